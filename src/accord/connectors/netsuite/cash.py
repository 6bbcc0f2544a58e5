"""Customers' money in NetSuite: unapplied payments and credit memos applied later, refunds, payments taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from accord.connect.connector import Action, Proof
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, key, text
from accord.connect.session import Session
from accord.connectors.netsuite.calls import Json, address, find, patch, put, reference
from accord.connectors.netsuite.chart import Chart, NotCharted, chart_of, table_of
from accord.connectors.netsuite.writing import UPSERT, Fields, asked, not_written
from accord.engine.outcomes import Absent, Committed, Outcome, Write
from accord.model.billing import PaymentReversal, Refund

SOURCES = {"payment": "customerPayment", "credit_note": "creditMemo"}
REFUND = Table(
    "netsuite.refund", "refund", "Customer refund", of=Refund,
    rows=(key("id"), day("refunded_on", "tranDate", required=True), text("reason", "memo", max_length=999, cut=True)),
)  # fmt: skip
REVERSAL = Table(
    "netsuite.payment_reversal", "payment_reversal", "Customer refund", of=PaymentReversal,
    rows=(key("id"), day("reversed_on", "tranDate", required=True), text("reason", "memo", max_length=999, cut=True)),
)  # fmt: skip


def _path(write: Write, kind: str, id: str) -> str:
    return address(SOURCES[kind], write.vendor_ids.get(id), id)


# What is unapplied of a payment or credit memo pays an invoice: a line of its `apply` sublist, matched by the invoice.
# A line has no id of its own, and that of its record is the one of the payment or memo, which several may pay from.


async def apply(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Apply unapplied cash; the amount is all that this money pays of the invoice, so saying it twice is once."""
    return [await _apply(session, write) for write in writes]


async def _apply(session: Session, write: Write) -> Outcome:
    body = write.body
    line = {
        "doc": reference(write, body["invoice_id"]),
        "apply": True,
        "amount": Decimal(body["on_invoice"]["amount"]),
    }
    path = _path(write, body["source_kind"], body["source_id"])
    outcome = await patch(session, SOURCES[body["source_kind"]], path, {"apply": {"items": [line]}})
    return replace(outcome, vendor_id=None) if isinstance(outcome, Committed) else outcome


async def applied(session: Session, write: Write) -> Outcome:
    """Whether the money pays as much of the invoice as the write says."""
    body = write.body
    try:
        held = await find(
            session, SOURCES[body["source_kind"]], _path(write, body["source_kind"], body["source_id"]), lines=True
        )
    except CallFailed as error:
        return asked(outcome_of(error))
    paid = _pays(held, write, body["invoice_id"])
    if held is None or paid != Decimal(body["on_invoice"]["amount"]):
        return Absent(f"it pays {paid} of the invoice")
    return Committed()


def _pays(held: Json | None, write: Write, invoice_id: str) -> Decimal:
    lines = ((held or {}).get("apply") or {}).get("items") or []
    known = write.vendor_ids.get(invoice_id)
    found = [
        each
        for each in lines
        if each.get("apply") is not False and {invoice_id, known} & {each["doc"].get("externalId"), each["doc"]["id"]}
    ]
    return sum((Decimal(each["amount"]) for each in found), Decimal(0))


# Money goes back: a customer refund of a payment or credit memo.


async def refund(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Customer refunds of what is unapplied."""
    return [await _given_back(session, write, REFUND, str(write.body["source_id"])) for write in writes]


async def _given_back(session: Session, write: Write, table: Table, source: str) -> Outcome:
    writing = table_of(session, table).write(write.body)
    if (rejected := writing.rejected()) is not None:
        return rejected
    try:
        fields = _refund_fields(write, await chart_of(session), writing.fields, source)
    except NotCharted as lacking:
        return lacking.rejected
    except CallFailed as error:
        return not_written(outcome_of(error))
    return await put(session, "customerRefund", write, fields, ("apply",))


def _refund_fields(write: Write, chart: Chart, fields: Json, source: str) -> Fields:
    body = write.body
    line = {"doc": reference(write, source), "apply": True, "amount": Decimal(body["amount"]["amount"])}
    return {
        **fields,
        "customer": reference(write, body["customer_id"]),
        "subsidiary": chart.subsidiary(body["legal_entity"]),
        "currency": chart.currency(body["amount"]["currency"]),
        "apply": {"items": [line]},
    }


async def refunded(session: Session, write: Write) -> Outcome:
    """Whether the refund is there; it is never changed afterwards."""
    try:
        made = await find(session, "customerRefund", address("customerRefund", None, write.canonical_id))
    except CallFailed as error:
        return asked(outcome_of(error))
    return Absent("NetSuite has no such refund") if made is None else Committed(str(made["id"]))


async def reverse(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Payments taken back: they pay less of their invoice, and what has gone is refunded, dated when it went."""
    return [await _reverse(session, write) for write in writes]


async def _reverse(session: Session, write: Write) -> Outcome:
    body = write.body
    left = Decimal(body["still_pays"]["amount"])
    line: Fields = {"doc": reference(write, body["invoice_id"]), "apply": bool(left)}
    if left:
        line["amount"] = left
    path = _path(write, "payment", body["payment_id"])
    outcome = await patch(session, "customerPayment", path, {"apply": {"items": [line]}})
    if not isinstance(outcome, Committed):
        return outcome
    return await _given_back(session, write, REVERSAL, body["payment_id"])


CHANGE = Proof("upsert_key", note="a line of a sublist, matched by its invoice; saying the same twice changes nothing")
APPLICATIONS = Action(apply, applied, CHANGE)
REFUNDS = Action(refund, refunded, UPSERT)
REVERSALS = Action(reverse, refunded, UPSERT)
