"""The business rules of the account: what makes NetSuite refuse a record, and what follows from one that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.postings import apply_to_invoices, charge, refund_credits, take_off
from accord.sandbox.netsuite.refusals import already_exists, broken_rule, missing
from accord.sandbox.netsuite.relations import posting_subsidiary, refuse_unrelated
from accord.sandbox.netsuite.schema import RELATIONSHIP, RecordType
from accord.sandbox.netsuite.work_rules import settle_report, settle_time

After = list[Callable[[], None]]
Rule = Callable[[Account, Row | None, Row], After]


def settle_row(account: Account, kind: RecordType, before: Row | None, row: Row) -> After:
    """Check and complete a row before it is kept; answers what has to be done once it is. Raises Refused."""
    rule = _RULES.get(kind.name)
    return rule(account, before, row) if rule else []


def _customer(account: Account, before: Row | None, row: Row) -> After:
    if row.get("isPerson") and not row.get("lastName"):
        raise missing("lastName")
    if not row.get("isPerson") and not row.get("companyName"):
        raise missing("companyName")
    posting_subsidiary(account, row["subsidiary"])
    row["entityId"] = row.get("entityId") or f"CUST{row['id']}"
    if row.get("currency") is None:
        row["currency"] = (account.table("subsidiary").get(row["subsidiary"]) or {}).get("currency")
    if row.get("parent") == row["id"]:
        raise broken_rule("A customer cannot be its own parent.", "parent")
    if before is not None and before["subsidiary"] == row["subsidiary"]:
        return []
    return [lambda: _relate_primary(account, row)]


def _relate_primary(account: Account, customer: Row) -> None:
    """The primary subsidiary is a relation of its own."""
    for relation in account.table(RELATIONSHIP.name).by("entity", customer["id"]):
        if relation["subsidiary"] == customer["subsidiary"]:
            return
    relation = {"id": account.new_id(RELATIONSHIP), "externalId": None, "entity": customer["id"],
                "subsidiary": customer["subsidiary"], "isPrimarySub": True, "primaryCurrency": customer["currency"],
                "isInactive": False}  # fmt: skip
    account.keep(RELATIONSHIP, None, relation)


def _relationship(account: Account, _: Row | None, row: Row) -> After:
    posting_subsidiary(account, row["subsidiary"])
    for other in account.table(RELATIONSHIP.name).by("entity", row["entity"]):
        if other["subsidiary"] == row["subsidiary"] and other["id"] != row["id"]:
            raise already_exists("A relationship of this customer with this subsidiary")
    row.setdefault("isPrimarySub", False)
    return []


def _job(account: Account, before: Row | None, row: Row) -> After:
    customer = account.find("customer", row["parent"])
    if row.get("subsidiary") is None:
        row["subsidiary"] = customer["subsidiary"]
    posting_subsidiary(account, row["subsidiary"])
    refuse_unrelated(account, row["parent"], row["subsidiary"])
    row["entityId"] = row.get("entityId") or f"PROJ{row['id']}"
    row["currency"] = row.get("currency") or customer["currency"]
    row["entityStatus"] = row.get("entityStatus") or "2"
    if (
        before is not None
        and before["subsidiary"] != row["subsidiary"]
        and account.table("projectTask").by("project", row["id"])
    ):
        raise broken_rule("You cannot change the subsidiary of a project that has tasks.", "subsidiary")
    return []


def _project_task(account: Account, _: Row | None, row: Row) -> After:
    if row.get("parent") is not None:
        _refuse_strange_parent(account, row)
    row["status"] = row.get("status") or "NOTSTART"
    row["constraintType"] = row.get("constraintType") or "ASAP"
    row["custevent_milestone_approved"] = bool(row.get("custevent_milestone_approved"))
    currency = row.get("custevent_milestone_currency")
    if currency and not account.table("currency").by("symbol", currency):
        raise broken_rule(f"The currency {currency} is not known to this account.", "custevent_milestone_currency")
    return []


def _refuse_strange_parent(account: Account, row: Row) -> None:
    parent: Row | None = account.find("projectTask", row["parent"])
    if parent is not None and parent["project"] != row["project"]:
        raise broken_rule("The parent task belongs to another project.", "parent")
    seen = {row["id"]}
    while parent is not None:
        if parent["id"] in seen:
            raise broken_rule("A task cannot be below itself.", "parent")
        seen.add(parent["id"])
        parent = account.table("projectTask").get(parent.get("parent") or "")


def _invoice(account: Account, before: Row | None, row: Row) -> After:
    charge(account, before, row, prefix="INV")
    paid = account.paid(row["id"])
    if row["total"] < paid:
        raise broken_rule(f"The total cannot be less than {paid}, which has been applied to this invoice.", "item")
    row["amountPaid"], row["amountRemaining"] = paid, row["total"] - paid
    row["status"] = "paidInFull" if paid and paid == row["total"] else "open"
    if row.get("dueDate") is None:
        term = account.table("term").get(row.get("terms") or "") or {}
        due = date.fromisoformat(row["tranDate"]) + timedelta(days=int(term.get("daysUntilNetDue") or 0))
        row["dueDate"] = due.isoformat()
    return []


def _payment(account: Account, before: Row | None, row: Row) -> After:
    if row.get("payment") is None or row["payment"] <= 0:
        raise missing("payment")
    charge(account, before, row, prefix="PYMT", customer="customer")
    row["total"] = row["payment"]
    row["status"] = row.get("status") or "deposited"
    return apply_to_invoices(account, row, row["payment"], customer=row["customer"])


def _credit_memo(account: Account, before: Row | None, row: Row) -> After:
    charge(account, before, row, prefix="CM")
    after = apply_to_invoices(account, row, row["total"], customer=row["entity"])
    row["status"] = "fullyApplied" if row["applied"] == row["total"] != Decimal(0) else "open"
    return after


def _time_bill(account: Account, _: Row | None, row: Row) -> After:
    settle_time(account, row)
    return []


def _expense_report(account: Account, _: Row | None, row: Row) -> After:
    settle_report(account, row)
    return []


def _customer_refund(account: Account, before: Row | None, row: Row) -> After:
    charge(account, before, row, prefix="RFD", customer="customer")
    row["status"] = "paid"
    return refund_credits(account, row)


_RULES: Mapping[str, Rule] = {
    "customer": _customer,
    "customerSubsidiaryRelationship": _relationship,
    "job": _job,
    "projectTask": _project_task,
    "invoice": _invoice,
    "customerPayment": _payment,
    "creditMemo": _credit_memo,
    "timeBill": _time_bill,
    "expenseReport": _expense_report,
    "customerRefund": _customer_refund,
}


def delete_row(account: Account, kind: RecordType, row: Row) -> None:
    """Delete a record nobody needs; a payment gives back what it covered. Raises Refused (USER_ERROR)."""
    used = {
        "invoice": bool(account.applications.get(row["id"])),
        "customer": any(account.table(name).by("entity", row["id"]) for name in ("invoice", "creditMemo"))
        or bool(account.table("job").by("parent", row["id"])),
        "job": bool(account.table("projectTask").by("project", row["id"])),
        "employee": bool(account.table("timeBill").by("employee", row["id"])),
    }.get(kind.name, False)
    if used:
        raise broken_rule("This record cannot be deleted because it has dependent records.")
    account.drop(kind, row)
    if row["id"] in account.covered:
        take_off(account, row["id"], {})
