"""Invoices, payments, holds and credit memos. Lines always replace the ones before: NetSuite appends otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from accord.connect.connector import Action, Proof
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, flag, key, text
from accord.connect.session import Session
from accord.connectors.netsuite.batches import BATCH
from accord.connectors.netsuite.calls import Json, address, find, holds, patch, put, reference
from accord.connectors.netsuite.chart import Chart, chart_of, table_of
from accord.connectors.netsuite.writing import UPSERT, Fields, Upsert, asked, not_written
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Write
from accord.model.billing import CreditNote, Invoice, Payment, ReceivableHold, WriteOff
from accord.model.money import Money
from accord.model.plain import to_plain

LINES_A_CALL = 1000  # no limit is documented; a setting, because a call ends with the web server's patience
SERVICE_ITEM = "ACCORD-SERVICES"  # external id of the item our lines are booked on, `service_item` in the settings
INVOICE = Table(
    "netsuite.invoice", "invoice", "Invoice", of=Invoice,
    rows=(
        key("id"),
        text("number", "otherRefNum", max_length=45),
        text("billing_ref", "custbody_accord_billing_id"),
        day("issued_on", "tranDate", required=True),
        day("due_on", "dueDate"),
    ),
)  # fmt: skip
PAYMENT = Table(
    "netsuite.payment", "payment", "Customer payment", of=Payment,
    rows=(
        key("id"),
        day("received_on", "tranDate", required=True),
        text("reference", "otherRefNum", max_length=45, cut=True),
    ),
)  # fmt: skip
HOLD = Table(
    "netsuite.receivable_hold", "receivable_hold", "Hold of an invoice", of=ReceivableHold,
    rows=(
        key("id"),
        flag("on_hold", "custbody_accord_hold", required=True),
        text("reason", "custbody_accord_hold_reason", clears=True, max_length=300, cut=True),
    ),
)  # fmt: skip
WRITE_OFF_ITEM = "ACCORD-WRITE-OFF"  # external id of the item write-offs are booked on, `write_off_item`
WRITE_OFF = Table(
    "netsuite.write_off", "write_off", "Credit memo of a write-off", of=WriteOff,
    rows=(
        key("id"),
        day("written_off_on", "tranDate", required=True),
        text("reason", "memo", max_length=999, cut=True),
    ),
)  # fmt: skip
CREDIT_NOTE = Table(
    "netsuite.credit_note", "credit_note", "Credit memo", of=CreditNote,
    rows=(
        key("id"),
        day("issued_on", "tranDate", required=True),
        text("reason", "memo", max_length=999, cut=True),
        text("number", "otherRefNum", max_length=45),
        text("billing_ref", "custbody_accord_billing_id"),
    ),
)  # fmt: skip


def _invoice(write: Write, chart: Chart, fields: Fields, config: Mapping[str, Any]) -> None:
    body = write.body
    fields["entity"] = reference(write, body["customer_id"])
    fields["subsidiary"] = chart.subsidiary(body["legal_entity"])
    fields["currency"] = chart.currency(body["currency"])
    if body.get("project_id") is not None:
        fields["job"] = reference(write, body["project_id"])
    if "number" in fields and config.get("invoice_number_field"):
        fields[config["invoice_number_field"]] = fields.pop("otherRefNum")
    fields["item"] = {"items": [_line(number, each, config) for number, each in enumerate(body["lines"], start=1)]}


def _line(number: int, line: Json, config: Mapping[str, Any]) -> Fields:
    return {
        "line": number,
        "item": {"externalId": str(config.get("service_item") or SERVICE_ITEM)},
        "description": line["text"],
        "amount": Decimal(line["net"]["amount"]),
        "taxAmount": Decimal(line["tax"]["amount"]),
    }


def _payment(write: Write, chart: Chart, fields: Fields, _: Mapping[str, Any]) -> None:
    body = write.body
    fee = Decimal((body.get("bank_fee") or {"amount": 0})["amount"])
    amount = Decimal(body["amount"]["amount"]) + fee
    fields["customer"] = reference(write, body["customer_id"])
    fields["subsidiary"] = chart.subsidiary(body["legal_entity"])
    fields["currency"] = chart.currency(body["amount"]["currency"])
    fields["payment"] = amount
    if fee:
        fields["custbody_accord_bank_fee"] = fee
    shares = body.get("allocations")
    if shares is None:
        shares = [{"invoice_id": body["invoice_id"], "amount": {"amount": amount}}]
    fields["apply"] = {"items": [_applied(write, each["invoice_id"], each["amount"]["amount"]) for each in shares]}


def _applied(write: Write, invoice_id: str, amount: Any) -> Json:
    return {"doc": reference(write, invoice_id), "apply": True, "amount": Decimal(amount)}


INVOICES = Upsert("invoice", INVOICE, _invoice, replace=("item",))


# A long invoice is one record that is written in several calls: the first with what it is and its first lines, which
# replace whatever an interrupted attempt has left there; each further one adds lines, matched by their number.


async def post_invoices(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Post invoices; those of more lines than one call takes (`lines_a_call`, 1,000) line by line, never split."""
    most = int(session.config.get("lines_a_call") or LINES_A_CALL)
    long = [len(each.body["lines"]) > most for each in writes]
    short = [each for each, is_long in zip(writes, long, strict=True) if not is_long]
    sent = iter(await INVOICES.send(session, short) if short else ())
    return [
        await _in_parts(session, each, most) if is_long else next(sent)
        for each, is_long in zip(writes, long, strict=True)
    ]


async def _in_parts(session: Session, write: Write, most: int) -> Outcome:
    try:
        fields = INVOICES.fields(session, write, await chart_of(session))
    except CallFailed as error:
        return not_written(outcome_of(error))
    if isinstance(fields, Rejected):
        return fields
    lines = fields["item"]["items"]
    outcome = await put(session, "invoice", write, {**fields, "item": {"items": lines[:most]}}, ("item",))
    for start in range(most, len(lines), most):
        if not isinstance(outcome, Committed):
            return outcome
        path = address("invoice", outcome.vendor_id, write.canonical_id)
        added = await patch(session, "invoice", path, {"item": {"items": lines[start : start + most]}})
        outcome = Committed(outcome.vendor_id) if isinstance(added, Committed) else added
    return outcome


POSTS = Action(post_invoices, INVOICES.probe, UPSERT, batch=BATCH)
PAYMENTS = Upsert("customerPayment", PAYMENT, _payment, replace=("apply",))


# Holding back an invoice: the invoice must be there, so it is changed and never made.


def _held_invoice(write: Write) -> str:
    return address("invoice", write.vendor_ids.get(write.canonical_id) or write.vendor_id, write.canonical_id)


async def hold(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Set or lift the hold of each invoice."""
    outcomes: list[Outcome] = []
    for write in writes:
        writing = table_of(session, HOLD).write(write.body)
        rejected = writing.rejected()
        fields = {**writing.fields, **_disputed(write)}
        outcomes.append(rejected or await patch(session, "invoice", _held_invoice(write), fields))
    return outcomes


def _disputed(write: Write) -> Fields:
    """How much of it is in dispute by lines; the rest is collected as ever."""
    disputed = write.body.get("disputed")
    return {} if disputed is None else {"custbody_accord_disputed": Decimal(disputed["amount"])}


async def held(session: Session, write: Write) -> Outcome:
    """Whether the invoice is held as the write says."""
    try:
        invoice = await find(session, "invoice", _held_invoice(write))
    except CallFailed as error:
        return asked(outcome_of(error))
    if invoice is None or not holds(invoice, {**table_of(session, HOLD).write(write.body).fields, **_disputed(write)}):
        return Absent("the invoice is not held like this")
    return Committed(str(invoice["id"]))


# A credit memo takes customer, subsidiary and tax share from the invoice it credits.


async def credit(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Credit memos, applied to as much of their invoice as is still open."""
    return [await _credit(session, write) for write in writes]


async def _credit(session: Session, write: Write) -> Outcome:
    writing = table_of(session, CREDIT_NOTE).write(write.body)
    if (rejected := writing.rejected()) is not None:
        return rejected
    known = write.vendor_ids.get(write.body["invoice_id"])
    try:
        invoice = await find(session, "invoice", address("invoice", known, write.body["invoice_id"]))
        made = await find(session, "creditMemo", address("creditMemo", None, write.canonical_id))
    except CallFailed as error:
        return not_written(outcome_of(error))
    if invoice is None:
        return Rejected("unknown_invoice", "NetSuite does not have the credited invoice.", ("invoice_id",))
    if made is not None:
        return Committed(str(made["id"]))
    fields = {**writing.fields, **_credited(write, invoice, session.config)}
    return await put(session, "creditMemo", write, fields, ("item", "apply"))


def _credited(write: Write, invoice: Json, config: Mapping[str, Any]) -> Fields:
    amount = Decimal(write.body["amount"]["amount"])
    lines = write.body.get("lines") or [_whole(write, invoice)]
    fields: Fields = {name: {"id": invoice[name]["id"]} for name in ("entity", "subsidiary", "currency")}
    fields["item"] = {"items": [_line(number, each, config) for number, each in enumerate(lines, start=1)]}
    applied = min(amount, Decimal(invoice["amountRemaining"]))
    if applied:
        fields["apply"] = {"items": [{"doc": {"id": invoice["id"]}, "apply": True, "amount": applied}]}
    return fields


def _whole(write: Write, invoice: Json) -> Json:
    """The one line of a credit of the invoice as a whole, with the invoice's own share of tax."""
    amount = Money.of(write.body["amount"]["amount"], write.body["amount"]["currency"])
    total = Decimal(invoice["total"])
    share = Decimal(invoice.get("taxTotal", 0)) / total if total else Decimal(0)
    tax = Money(amount.amount * share, amount.currency).rounded()
    return {"text": write.body["reason"], "net": to_plain(amount - tax), "tax": to_plain(tax)}


async def credited(session: Session, write: Write) -> Outcome:
    """Whether the credit memo is there; it is never changed afterwards."""
    try:
        made = await find(session, "creditMemo", address("creditMemo", None, write.canonical_id))
    except CallFailed as error:
        return asked(outcome_of(error))
    return Absent("NetSuite has no such credit memo") if made is None else Committed(str(made["id"]))


# A debt that is given up is a credit memo on an item of its own, so that its cost has an account of its own.


async def give_up(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Credit memos of what is written off, applied to their invoices."""
    return [await _give_up(session, write) for write in writes]


async def _give_up(session: Session, write: Write) -> Outcome:
    item = str(session.config.get("write_off_item") or WRITE_OFF_ITEM)
    writing = table_of(session, WRITE_OFF).write(write.body)
    if (rejected := writing.rejected()) is not None:
        return rejected
    known = write.vendor_ids.get(write.body["invoice_id"])
    try:
        invoice = await find(session, "invoice", address("invoice", known, write.body["invoice_id"]))
    except CallFailed as error:
        return not_written(outcome_of(error))
    if invoice is None:
        return Rejected("unknown_invoice", "NetSuite does not have the invoice.", ("invoice_id",))
    amount, net = Decimal(write.body["amount"]["amount"]), Decimal(write.body["net"]["amount"])
    line = {
        "line": 1,
        "item": {"externalId": item},
        "description": write.body["reason"],
        "amount": net,
        "taxAmount": amount - net,
    }
    fields: Fields = {name: {"id": invoice[name]["id"]} for name in ("entity", "subsidiary", "currency")}
    fields["item"] = {"items": [line]}
    fields["apply"] = {"items": [{"doc": {"id": invoice["id"]}, "apply": True, "amount": amount}]}
    return await put(session, "creditMemo", write, {**writing.fields, **fields}, ("item", "apply"))


CHANGE = Proof("upsert_key", note="a change of fields; saying the same twice changes nothing")
HOLDS = Action(hold, held, CHANGE)
CREDITS = Action(credit, credited, UPSERT)
WRITE_OFFS = Action(give_up, credited, UPSERT)
