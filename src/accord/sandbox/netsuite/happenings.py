"""What people and the world do inside the account: approve a milestone, close a period, refresh the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.reading import shown
from accord.sandbox.netsuite.refusals import Refused
from accord.sandbox.netsuite.rules import delete_row
from accord.sandbox.netsuite.schema import PERIOD, PROJECT_TASK, TYPES
from accord.sandbox.netsuite.timekeeping import (
    approve_work,
    enter_expenses,
    enter_timesheet,
    hire,
    recall_work,
    reject_work,
    submit_work,
)
from accord.sandbox.netsuite.writing import Write, save

if TYPE_CHECKING:
    from accord.sandbox.netsuite.simulator import NetSuiteSimulator

Arguments = Mapping[str, Any]


def perform(simulator: NetSuiteSimulator, action: str, arguments: Arguments) -> Any:
    """Do one thing. Raises ValueError for an unknown action, or for one NetSuite would refuse."""
    known = ACTIONS.get(action)
    if known is None:
        raise ValueError(f"Unknown action {action!r}; known are {', '.join(sorted(ACTIONS))}.")
    try:
        return known(simulator, arguments)
    except Refused as refusal:
        raise ValueError(refusal.detail) from refusal


def approve_milestone(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{external_id | id, by?, on?}`: a project manager ticks the milestone off; external_id is the task's or the
    milestone's."""
    on = str(arguments.get("on") or simulator.account.today().isoformat())
    by = str(arguments.get("by") or "Paula Meyer")
    fields = {"custevent_milestone_approved": True, "custevent_milestone_approved_on": on,
              "custevent_milestone_approved_by": by}  # fmt: skip
    return _approval(simulator, arguments, fields)


def unapprove_milestone(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{external_id | id}`: the approval is taken back."""
    fields = {"custevent_milestone_approved": False, "custevent_milestone_approved_on": None,
              "custevent_milestone_approved_by": None}  # fmt: skip
    return _approval(simulator, arguments, fields)


def close_period(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{name | id | on}`: nothing can be posted into the period any more (`Nov 2026`, or a day in it)."""
    return _period(simulator, arguments, closed=True)


def open_period(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{name | id | on}`: postings are taken again."""
    return _period(simulator, arguments, closed=False)


def subscribe(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, url, secret, watched?}`: deploy the user event; `watched` are the fields whose change is pushed, by
    default those the shipped script watches, [] for every change."""
    record, url, secret = (str(arguments.get(name) or "") for name in ("record", "url", "secret"))
    if record not in TYPES or not url or not secret:
        raise ValueError(f"record (one of {', '.join(TYPES)}), url and secret are needed.")
    subscription = simulator.pushes.subscribe(record, url, secret, arguments.get("watched"))
    return {"record": record, "url": url, "watched": list(subscription.watched)}


def update(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, external_id | id, fields}`: somebody edits a record in the user interface."""
    row = _found(simulator, str(arguments.get("record")), arguments)
    return _edit(simulator, str(arguments.get("record")), row, dict(arguments.get("fields") or {}))


def delete(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{record, external_id | id}`: somebody deletes a record."""
    name = str(arguments.get("record"))
    row = _found(simulator, name, arguments)
    delete_row(simulator.account, TYPES[name], row)
    return {"id": row["id"]}


def refresh_sandbox(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{gone?: [record types]}`: the sandbox is copied from production: certificate mappings, tokens and the TBA token
    are gone, and so are the records of these types that only it had, without a word in deletedrecord; their ids are
    given again."""
    simulator.logins.wipe()
    simulator.signatures.renew()
    names = [str(each) for each in arguments.get("gone") or ()]
    if strange := [each for each in names if each not in TYPES]:
        raise ValueError(f"gone: there are no records of the type {strange[0]}.")
    return {"wiped": True, "gone": sum(simulator.account.forget(TYPES[each]) for each in names)}


def set_concurrency(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{limit?, code?, answer?, slow_seconds?}`: how many requests at once, the code of the 429, `too_many` or
    `slow_login`, and how late the latter comes."""
    governance = simulator.governance
    governance.limit = int(arguments.get("limit") or governance.limit)
    governance.code = str(arguments.get("code") or governance.code)
    answer = str(arguments.get("answer") or governance.answer)
    if answer not in ("too_many", "slow_login"):
        raise ValueError("answer: one of too_many, slow_login is expected.")
    governance.answer = answer
    governance.slow_seconds = float(arguments.get("slow_seconds", governance.slow_seconds))
    return {"limit": governance.limit, "code": governance.code, "answer": governance.answer}


def set_pace(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{service_seconds?, queue_seconds?, record_seconds?}`: how long a request, the queue, a record in it take."""
    simulator.service_seconds = float(arguments.get("service_seconds", simulator.service_seconds))
    jobs = simulator.jobs
    jobs.queue_seconds = float(arguments.get("queue_seconds", jobs.queue_seconds))
    jobs.record_seconds = float(arguments.get("record_seconds", jobs.record_seconds))
    return {
        "service_seconds": simulator.service_seconds,
        "queue_seconds": jobs.queue_seconds,
        "record_seconds": jobs.record_seconds,
    }


def shift_clock(simulator: NetSuiteSimulator, arguments: Arguments) -> Any:
    """`{seconds}`: the business clock jumps forward."""
    seconds = float(arguments.get("seconds", 0))
    if seconds < 0:
        raise ValueError("seconds: the clock only goes forward.")
    shift = getattr(simulator.clock, "shift", None)
    if callable(shift):
        shift(timedelta(seconds=seconds))
    elif hasattr(simulator.clock, "at"):
        simulator.clock.at += timedelta(seconds=seconds)
    else:
        raise ValueError("This simulator's clock cannot be shifted.")
    return {"now": simulator.clock.now().isoformat()}


ACTIONS: Mapping[str, Callable[[NetSuiteSimulator, Arguments], Any]] = {
    each.__name__: each
    for each in (
        approve_milestone, unapprove_milestone, close_period, open_period, subscribe, update, delete, refresh_sandbox,
        set_concurrency, set_pace, shift_clock, hire, enter_timesheet, enter_expenses, submit_work, approve_work,
        reject_work, recall_work,
    )
}  # fmt: skip


def _found(simulator: NetSuiteSimulator, name: str, arguments: Arguments) -> Row:
    if name not in TYPES:
        raise ValueError(f"record: one of {', '.join(TYPES)} is expected.")
    address = f"eid:{arguments['external_id']}" if arguments.get("external_id") else str(arguments.get("id") or "")
    return simulator.account.find(name, address)


def _approval(simulator: NetSuiteSimulator, arguments: Arguments, fields: dict[str, Any]) -> Any:
    milestone = str(arguments.get("external_id") or "")
    held = simulator.account.table("projectTask").by("custevent_accord_milestone", milestone) if milestone else []
    row = held[0] if held else _found(simulator, "projectTask", arguments)
    if not row.get("custevent_accord_milestone"):
        raise ValueError(f"The task {row['title']!r} is not a milestone.")
    return _edit(simulator, PROJECT_TASK.name, row, fields)


def _period(simulator: NetSuiteSimulator, arguments: Arguments, *, closed: bool) -> Any:
    table = simulator.account.table("accountingPeriod")
    name, on = arguments.get("name"), arguments.get("on")
    row = table.get(str(arguments.get("id") or ""))
    if row is None and on:
        row = simulator.account.period_of(str(on))
    if row is None:
        row = next((each for each in table.all() if each["periodName"] == name), None)
    if row is None:
        raise ValueError(
            "There is no such accounting period; give its name (Nov 2026), its id, or a day in it as `on`."
        )
    simulator.account.keep(PERIOD, row, {**row, "closed": closed})
    return {"id": row["id"], "name": row["periodName"], "closed": closed}


def _edit(simulator: NetSuiteSimulator, name: str, row: Row, fields: dict[str, Any]) -> Any:
    exact = {key: Decimal(str(value)) if isinstance(value, float) else value for key, value in fields.items()}
    edited = save(simulator.account, TYPES[name], row, exact, Write(strict=True))
    return shown(simulator.account, TYPES[name], edited, "", expand=True)
