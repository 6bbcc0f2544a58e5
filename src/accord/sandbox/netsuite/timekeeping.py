"""What consultants and their managers do with time and expenses: enter, submit, approve, reject, recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.schema import EMPLOYEE, EXPENSE_REPORT, TIME_BILL, TYPES
from accord.sandbox.netsuite.writing import Write, save

if TYPE_CHECKING:
    from accord.sandbox.netsuite.simulator import NetSuiteSimulator

Arguments = Mapping[str, Any]
# What a step makes of a time entry (approvalStatus) and of an expense report (status).
STEPS = {"submit": ("2", "B"), "approve": ("3", "F"), "reject": ("4", "D"), "recall": ("1", "A")}
_LINE_NAMES = {
    "date": "expenseDate", "amount": "foreignAmount", "project": "customer", "task": "projectTask",
    "billable": "isBillable",
}  # fmt: skip


def hire(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{external_id, name, subsidiary, email?}`: a new employee of a subsidiary, given by id or external id."""
    fields = {
        "externalId": arguments.get("external_id"), "entityId": arguments.get("name"),
        "subsidiary": arguments.get("subsidiary"), "email": arguments.get("email"),
    }  # fmt: skip
    return {"id": _saved(simulator, EMPLOYEE.name, None, fields)["id"]}


def enter_timesheet(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{employee, lines: [{date, hours, project?, task?, billable?, billing_class?, memo?}], status?}`: a week of time,
    each line an entry of its own; open unless `status` says 2 or 3. References are ids or external ids."""
    made = []
    for line in arguments.get("lines") or ():
        fields = {
            "employee": arguments.get("employee"), "tranDate": line.get("date"), "hours": line.get("hours"),
            "customer": line.get("project"), "caseTaskEvent": line.get("task"), "memo": line.get("memo"),
            "billingClass": line.get("billing_class"), "isBillable": bool(line.get("billable", True)),
            "approvalStatus": str(arguments.get("status") or "1"),
        }  # fmt: skip
        made.append(_saved(simulator, TIME_BILL.name, None, fields)["id"])
    return {"ids": made}


def enter_expenses(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{employee, currency?, lines: [{date, amount, currency?, project?, task?, category?, billable?, receipt?,
    memo?}]}`: an expense report in progress; currencies by ISO code, categories by name."""
    lines = [_expense(simulator, line) for line in arguments.get("lines") or ()]
    fields = {"entity": arguments.get("employee"), "expense": {"items": lines}}
    if arguments.get("currency"):
        fields["expenseReportCurrency"] = _currency(simulator, arguments["currency"])
    row = _saved(simulator, EXPENSE_REPORT.name, None, fields)
    return {"id": row["id"], "lines": [line["line"] for line in row["expense"]]}


def submit_work(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, ids}`: the consultant hands time or a report in; `record` is timeBill or expenseReport."""
    return _step(simulator, arguments, "submit", {})


def approve_work(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, ids, by?, at?}`: the manager approves it; `at` is a moment, now by default."""
    at = str(arguments.get("at") or simulator.account.now().isoformat())
    return _step(simulator, arguments, "approve", {"by": str(arguments.get("by") or "Paula Meyer"), "at": at})


def reject_work(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, ids, note?}`: the manager sends it back."""
    return _step(simulator, arguments, "reject", {}, arguments.get("note"))


def recall_work(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, ids}`: the consultant or the manager takes it back; it is open again."""
    return _step(simulator, arguments, "recall", {})


def _step(
    simulator: NetSuiteSimulator, arguments: Arguments, step: str, approval: Mapping[str, str], note: Any = None
) -> Any:
    record = str(arguments.get("record") or TIME_BILL.name)
    if record not in (TIME_BILL.name, EXPENSE_REPORT.name):
        raise ValueError("record: timeBill or expenseReport.")
    is_time = record == TIME_BILL.name
    field = "approvalStatus" if is_time else "status"
    prefix = "custcol" if is_time else "custbody"
    by = {f"{prefix}_accord_approved_{name}": approval.get(name) for name in ("by", "at")}
    said = {"rejectionNote": note} if is_time and note else {}
    done = []
    for each in _ids(arguments):
        row = simulator.account.find(record, each)
        _saved(simulator, record, row, {field: STEPS[step][0 if is_time else 1], **by, **said})
        done.append(row["id"])
    return {"record": record, "ids": done}


def _ids(arguments: Arguments) -> Sequence[str]:
    ids = arguments.get("ids") or [arguments["id"]] if arguments.get("ids") or arguments.get("id") else []
    if not ids:
        raise ValueError("ids: missing.")
    return [str(each) for each in ids]


def _expense(simulator: NetSuiteSimulator, line: Arguments) -> dict[str, Any]:
    fields = {_LINE_NAMES.get(name, name): value for name, value in line.items() if value is not None}
    if "currency" in fields:
        fields["currency"] = _currency(simulator, fields["currency"])
    if "category" in fields:
        known = simulator.account.table("expenseCategory").all()
        named = [each["id"] for each in known if each["name"] == fields["category"]]
        if not named:
            raise ValueError(f"category: there is no expense category {fields['category']!r}.")
        fields["category"] = named[0]
    for name in ("customer", "projectTask"):
        if name in fields:
            fields[name] = _reference(fields[name])
    return {name: _exact(value) for name, value in fields.items()}


def _currency(simulator: NetSuiteSimulator, code: Any) -> str:
    held = simulator.account.table("currency").by("symbol", str(code))
    if not held:
        raise ValueError(f"currency: the account has no {code}.")
    return str(held[0]["id"])


def _saved(simulator: NetSuiteSimulator, record: str, before: Row | None, fields: Mapping[str, Any]) -> Row:
    references = {name for name, spec in TYPES[record].fields.items() if spec.kind == "ref"}
    given = {
        name: _reference(value) if name in references and value is not None else _exact(value)
        for name, value in fields.items()
        if value is not None or before is not None
    }
    return save(simulator.account, TYPES[record], before, given, Write(strict=True))


def _reference(value: Any) -> Any:
    """What is no number is an external id."""
    text = str(value)
    return value if isinstance(value, Mapping) else {"id": text} if text.isdigit() else {"externalId": text}


def _exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value
