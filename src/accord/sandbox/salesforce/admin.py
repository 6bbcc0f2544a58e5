"""What people and the world do to the org: deals are won, contracts approved, accounts merged, rules set, rows held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from accord.sandbox.salesforce.fields import Field
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.org import Writer
from accord.sandbox.salesforce.rules import DuplicateRule, Lock, ValidationRule
from accord.sandbox.salesforce.schema import Row, SObject
from accord.sandbox.salesforce.soql.filter import compiled
from accord.sandbox.salesforce.soql.parser import parse_condition

if TYPE_CHECKING:
    from accord.sandbox.salesforce.simulator import SalesforceSimulator

Arguments = Mapping[str, Any]


def perform(simulator: SalesforceSimulator, action: str, arguments: Arguments) -> Any:
    """Do one action. Raises ValueError for an unknown one or one that cannot happen now."""
    known = ACTIONS.get(action)
    if known is None:
        raise ValueError(f"Unknown action {action!r}; known are {', '.join(sorted(ACTIONS))}.")
    return known(simulator, arguments)


def _need(arguments: Arguments, name: str) -> Any:
    value = arguments.get(name)
    if value is None or value == "":
        raise ValueError(f"{name}: missing.")
    return value


def _found(simulator: SalesforceSimulator, arguments: Arguments, name: str) -> tuple[SObject, Row]:
    """The record an argument names by id."""
    text = str(_need(arguments, name))
    found = simulator.org.find(normal_id(text) or "")
    if found is None:
        raise ValueError(f"{name}: there is no record {text!r}.")
    return found


def _writer(simulator: SalesforceSimulator, arguments: Arguments) -> Writer:
    """Who does it: `user` (an id, username or name), by default the first salesperson."""
    wanted = arguments.get("user")
    users = list(simulator.org.table("User").live())
    for each in users:
        if wanted in (each["Id"], each["Username"], each["Name"]):
            return Writer(each["Id"], "admin")
    if wanted:
        raise ValueError(f"user: there is no user {wanted!r}.")
    return Writer(users[1]["Id"] if len(users) > 1 else users[0]["Id"], "admin")


def update(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id, fields, user?}`: a person changes a record."""
    sobject, row = _found(simulator, arguments, "id")
    simulator.records.update(sobject, row["Id"], dict(_need(arguments, "fields")), _writer(simulator, arguments))
    return {"id": row["Id"], "SystemModstamp": row["SystemModstamp"]}


def create(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, fields, user?}`: a person makes a record."""
    sobject = simulator.org.schema.resource(str(_need(arguments, "object")))
    writer = _writer(simulator, arguments)
    return {"id": simulator.records.create(sobject, dict(_need(arguments, "fields")), writer)}


def _set(simulator: SalesforceSimulator, arguments: Arguments, name: str, fields: Mapping[str, Any]) -> Any:
    return update(simulator, {**arguments, "id": _need(arguments, name), "fields": fields})


def close_won(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{opportunity, user?, close_date?}`: the deal is won."""
    fields = {"StageName": "Closed Won"}
    if arguments.get("close_date"):
        fields["CloseDate"] = str(arguments["close_date"])
    return _set(simulator, arguments, "opportunity", fields)


def reopen(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{opportunity, stage?, user?}`: a closed deal is open again."""
    stage = str(arguments.get("stage") or "Negotiation/Review")
    return _set(simulator, arguments, "opportunity", {"StageName": stage})


def approve_contract(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{contract, user?}`: approved and activated."""
    return _set(simulator, arguments, "contract", {"Approval_Status__c": "Approved", "Status": "Activated"})


def sign(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{contract | milestone, on?, change_order?, user?}`: the customer signs a contract or a change order."""
    day = str(arguments.get("on") or simulator.org.moment()[:10])
    if "milestone" in arguments:
        fields = {"Change_Order_Signed__c": day}
        if arguments.get("change_order"):
            fields["Change_Order__c"] = str(arguments["change_order"])
        return _set(simulator, arguments, "milestone", fields)
    return _set(simulator, arguments, "contract", {"CustomerSignedDate": day})


def merge(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{master, merged: [ids], user?}`: the merged accounts' children move to the master; they end in the bin with
    MasterRecordId."""
    sobject, master = _found(simulator, arguments, "master")
    writer, moved = _writer(simulator, arguments), 0
    for text in _need(arguments, "merged"):
        other, row = _found(simulator, {"merged": text}, "merged")
        if other is not sobject or row is master or "MasterRecordId" not in sobject.fields:
            raise ValueError("merged: other records of the master's object, which must be Account.")
        for child, field in _references_to(simulator, sobject):
            for each in simulator.records.live_by(child, field, row["Id"]):
                simulator.org.change_row(child, each, {field.name: master["Id"]}, writer)
                moved += 1
        gone = {"IsDeleted": True, "MasterRecordId": master["Id"], "_bin": row["Id"]}
        simulator.org.change_row(sobject, row, gone, writer, "DELETE")
    simulator.org.change_row(sobject, master, {}, writer)
    return {"master": master["Id"], "moved": moved}


def _references_to(simulator: SalesforceSimulator, sobject: SObject) -> list[tuple[SObject, Field]]:
    return [
        (child, field)
        for child in simulator.org.schema.objects.values()
        for field in child.fields.values()
        if sobject.name in field.refers_to and field.updateable
    ]


def delete(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id, user?}`: into the recycle bin."""
    sobject, row = _found(simulator, arguments, "id")
    simulator.records.delete(sobject, row["Id"], _writer(simulator, arguments))
    return {"id": row["Id"]}


def undelete(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id, user?}`: out of the recycle bin."""
    sobject, row = _found(simulator, arguments, "id")
    simulator.records.undelete(sobject, row["Id"], _writer(simulator, arguments))
    return {"id": row["Id"]}


def purge(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id}`: the record is gone for good; no query finds it any more, not even queryAll."""
    sobject, row = _found(simulator, arguments, "id")
    simulator.org.table(sobject.name).remove(row["Id"])
    return {"id": row["Id"]}


def submit_work(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{ids, user?}`: time or expenses are handed in."""
    return _work(simulator, arguments, {"Status__c": "Submitted", "Submitted_At__c": simulator.org.moment()})


def approve_work(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{ids, user?}`: time or expenses are approved by the user."""
    by = _writer(simulator, arguments).user_id
    return _work(
        simulator,
        arguments,
        {"Status__c": "Approved", "Approved_By__c": by, "Approved_At__c": simulator.org.moment()},
    )


def reject_work(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{ids, user?}`: time or expenses are sent back."""
    return _work(simulator, arguments, {"Status__c": "Rejected", **_UNAPPROVED})


def recall_work(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{ids, user?}`: time or expenses are taken back by whoever handed them in or approved them."""
    return _work(simulator, arguments, {"Status__c": "Recalled", **_UNAPPROVED})


_UNAPPROVED: Mapping[str, Any] = {"Approved_By__c": None, "Approved_At__c": None}


def _work(simulator: SalesforceSimulator, arguments: Arguments, fields: Mapping[str, Any]) -> Any:
    ids = [str(each) for each in _need(arguments, "ids")]
    for each in ids:
        _set(simulator, {**arguments, "record": each}, "record", fields)
    return {"ids": ids}


def subscribe_outbound(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, fields, url, when?}`: tell this URL of changes; `when` is a SOQL condition."""
    name = str(_need(arguments, "object"))
    wanted = _condition(simulator, name, arguments["when"]) if arguments.get("when") else None
    fields = list(arguments.get("fields") or ["Id"])
    made = simulator.outbound.subscribe(name, fields, str(_need(arguments, "url")), wanted)
    return {"action_id": made.action_id, "organization_id": simulator.org.id}


def _condition(simulator: SalesforceSimulator, name: str, text: Any) -> Callable[[Row], bool]:
    sobject = simulator.org.schema.resource(name)
    return compiled(simulator.org, sobject, parse_condition(str(text)), lambda _: ())


def lock_row(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id, times? | seconds?, reason?}`: somebody holds the row (`busy`: UNABLE_TO_LOCK_ROW, once unless told
    otherwise), or an approval does (`approval`: ENTITY_IS_LOCKED until `unlock_row`)."""
    row = _found(simulator, arguments, "id")[1]
    reason = str(arguments.get("reason") or "busy")
    if reason not in ("busy", "approval"):
        raise ValueError("reason: busy or approval.")
    seconds = arguments.get("seconds")
    until = simulator.clock.now() + timedelta(seconds=float(seconds)) if seconds is not None else None
    times = int(arguments.get("times", 1)) if until is None else None
    simulator.rules.locks[row["Id"]] = Lock(reason, times, until)
    return {"id": row["Id"]}


def unlock_row(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{id}`"""
    row = _found(simulator, arguments, "id")[1]
    return {"unlocked": simulator.rules.locks.pop(row["Id"], None) is not None}


def race_upsert(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, times?}`: the next upserts that would create lose against another client's: the record is there, ours
    is answered DUPLICATE_VALUE."""
    name = simulator.org.schema.resource(str(_need(arguments, "object"))).name
    simulator.rules.races[name] += int(arguments.get("times", 1))
    return {name: simulator.rules.races[name]}


def add_validation_rule(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, name, when, message, field?}`: records meeting the SOQL condition `when` are refused."""
    name = str(_need(arguments, "object"))
    broken = _condition(simulator, name, _need(arguments, "when"))
    label, message = str(_need(arguments, "name")), str(_need(arguments, "message"))
    sobject = simulator.org.schema.resource(name)
    simulator.rules.validation.append(ValidationRule(sobject.name, label, broken, message, arguments.get("field")))
    return {"rules": [rule.name for rule in simulator.rules.validation]}


def add_duplicate_rule(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, name, fields, block?}`: a new record that agrees in all fields with another is refused."""
    sobject = simulator.org.schema.resource(str(_need(arguments, "object")))
    fields = tuple(str(each) for each in _need(arguments, "fields"))
    if any(sobject.find(each) is None for each in fields):
        raise ValueError(f"fields: {sobject.name} has not all of them.")
    rule = DuplicateRule(sobject.name, str(_need(arguments, "name")), fields, bool(arguments.get("block")))
    simulator.rules.duplicates.append(rule)
    return {"rules": [each.name for each in simulator.rules.duplicates]}


def remove_rule(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{name}`: of either kind."""
    name, rules = _need(arguments, "name"), simulator.rules
    before = len(rules.validation) + len(rules.duplicates)
    rules.validation = [each for each in rules.validation if each.name != name]
    rules.duplicates = [each for each in rules.duplicates if each.name != name]
    return {"removed": before - len(rules.validation) - len(rules.duplicates)}


def rename_field(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, field, to}`: schema drift."""
    name, field, to = (str(_need(arguments, each)) for each in ("object", "field", "to"))
    simulator.rename_field(name, field, to)
    return {"object": name, "fields": list(simulator.org.schema.objects[name].fields)}


def add_field(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{object, field, type?, ...}`: a new custom field; further arguments are those of `Field`."""
    name = str(_need(arguments, "object"))
    more = {key: value for key, value in arguments.items() if key not in ("object", "field")}
    more |= {key: tuple(more[key]) for key in ("values", "refers_to") if key in more}
    try:
        new = Field(str(_need(arguments, "field")), **more)
    except TypeError as error:
        raise ValueError(f"add_field: {error}") from None
    simulator.org.schema.add_field(name, new)
    simulator.org.table(name).reindex()
    return {"object": name, "field": new.name}


def revoke_tokens(simulator: SalesforceSimulator, _arguments: Arguments) -> Any:
    """Every session ends."""
    return {"revoked": simulator.tokens.revoke()}


def approve_app(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{approved}`: whether the user has approved the connected app."""
    simulator.tokens.approved = bool(arguments.get("approved", True))
    return {"approved": simulator.tokens.approved}


def set_limit(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{daily_requests?, long_running?, long_seconds?, session_seconds?}`"""
    for name in ("daily_requests", "long_running", "long_seconds"):
        if name in arguments:
            setattr(simulator.limits, name, type(getattr(simulator.limits, name))(arguments[name]))
    if "session_seconds" in arguments:
        simulator.tokens.session_seconds = float(arguments["session_seconds"])
    return {"daily_requests": simulator.limits.daily_requests, "used": simulator.limits.used}


def lose_cursors(simulator: SalesforceSimulator, _arguments: Arguments) -> Any:
    """Every open query cursor is gone: the next page is answered INVALID_QUERY_LOCATOR."""
    return {"lost": simulator.queries.lose_cursors()}


def hold_jobs(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{held?}`: bulk jobs stay InProgress."""
    simulator.jobs.held = bool(arguments.get("held", True))
    return {"held": simulator.jobs.held}


def shift_clock(simulator: SalesforceSimulator, arguments: Arguments) -> Any:
    """`{seconds}`: the business clock jumps forward; sessions live on."""
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


ACTIONS: dict[str, Callable[[SalesforceSimulator, Arguments], Any]] = {
    each.__name__: each
    for each in (
        create, update, close_won, reopen, approve_contract, sign, merge, delete, undelete, subscribe_outbound,
        lock_row, unlock_row, race_upsert, add_validation_rule, add_duplicate_rule, remove_rule, rename_field,
        add_field, revoke_tokens, approve_app, set_limit, lose_cursors, hold_jobs, shift_clock, purge, submit_work,
        approve_work, reject_work, recall_work,
    )
}  # fmt: skip
