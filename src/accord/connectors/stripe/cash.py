"""Customers' money: surplus taken off a balance, cash from elsewhere reported as paid, refunds by the way it came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, listed, ours, read
from accord.connectors.stripe.minor_units import units_of
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.money import Money
from accord.model.plain import from_plain

NOTHING = "nothing of it lies at Stripe"


async def keep_apart(steps: Steps) -> Outcome:
    """Take what was paid too much off the customer's balance: Stripe would use it up for the next invoice."""
    write = steps.write
    customer, invoice = (write.vendor_ids.get(str(write.body.get(name))) for name in ("customer_id", "invoice_id"))
    if customer is None or invoice is None:
        return Rejected("not_writable", "customer and invoice are not known in Stripe yet", ("customer_id",))
    if write.attempt > 1 and (known := await find_transaction(steps.session, write)) is not None:
        return taken_off(known)
    paid = await read(steps.session, f"invoices/{invoice}")
    balance = (await read(steps.session, f"customers/{customer}"))["balance"]
    amount = min(units_of(_amount(write)), paid["amount_overpaid"], max(0, -balance))
    if not amount:
        return Committed(None, {"note": NOTHING})
    form = {
        "amount": amount,
        "currency": paid["currency"],
        "description": "Kept as unapplied cash in Accord",
        "metadata": {"accord_id": write.canonical_id},
    }
    return taken_off(await steps.post("adjust", f"customers/{customer}/balance_transactions", form))


async def find_transaction(session: Session, write: Write) -> Json | None:
    customer = write.vendor_ids.get(str(write.body.get("customer_id")))
    path = f"customers/{customer}/balance_transactions"
    return await ours(session, path, {}, write.canonical_id) if customer else None


def taken_off(transaction: Json) -> Outcome:
    return Committed(str(transaction["id"]), {"balance": transaction["ending_balance"]})


async def report(steps: Steps) -> Outcome:
    """Report money that came another way as paid on an invoice: a payment record, attached to it."""
    write = steps.write
    invoice = write.vendor_ids.get(write.body["invoice_id"])
    if invoice is None:
        return Rejected("not_writable", "the invoice is not known in Stripe yet", ("invoice_id",))
    if write.attempt > 1 and (known := await find_report(steps.session, write)) is not None:
        return reported(known)
    # After a chargeback Stripe goes on to call an invoice paid: what it does not ask for cannot be reported to it.
    held = await read(steps.session, f"invoices/{invoice}")
    amount, at = min(units_of(_amount(write)), held["amount_remaining"]), _noon(write.body["applied_on"])
    if not amount or held["status"] not in ("open", "uncollectible"):
        return Committed(None, {"note": f"the invoice is {held['status']} at Stripe"})
    form = {
        "amount_requested": {"value": amount, "currency": held["currency"]},
        "initiated_at": at,
        "payment_method_details": {"type": "custom", "custom": {"display_name": "Reported by Accord"}},
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": at},
        "metadata": {"accord_id": write.canonical_id, "source_id": write.body["source_id"]},
    }
    record = await steps.post("report", "payment_records/report_payment", form)
    await steps.post("attach", f"invoices/{invoice}/attach_payment", {"payment_record": record["id"]})
    return reported(record)


async def find_report(session: Session, write: Write) -> Json | None:
    """The payment record among those attached to the invoice."""
    invoice = write.vendor_ids.get(write.body["invoice_id"])
    if invoice is None:
        return None
    async for row in listed(session, "invoice_payments", {"invoice": invoice}):
        record = await record_of(session, row)
        if record is not None and (record["metadata"] or {}).get("accord_id") == write.canonical_id:
            return record
    return None


async def record_of(session: Session, payment: Json) -> Json | None:
    """The payment record behind an invoice payment; None for money that Stripe itself moved."""
    id = payment["payment"].get("payment_record")
    return await read(session, f"payment_records/{id}") if id else None


def reported(record: Json) -> Outcome:
    return Committed(str(record["id"]))


async def refund(steps: Steps) -> Outcome:
    """Refund by the payments the money came by, the newest first. What Stripe did not move goes back by the bank."""
    write = steps.write
    left, done = units_of(_amount(write)), []
    intents = [each for each in write.body.get("references") or () if str(each).startswith("pi_")]
    if not intents:
        return Committed(None, {"by": "bank", "note": NOTHING})
    for intent in intents:
        made = await _made(steps.session, intent, write.canonical_id)
        done += [each["id"] for each in made]
        left -= sum(each["amount"] for each in made)
    for number, intent in enumerate(intents):
        part = min(left, await _refundable(steps.session, intent))
        if part > 0:
            form: Mapping[str, Any] = {
                "payment_intent": intent,
                "amount": part,
                "metadata": {"accord_id": write.canonical_id},
            }
            done.append((await steps.post(f"refund-{number}-{part}", "refunds", form))["id"])
            left -= part
    if left:
        why = f"{left} minor units cannot go back by the payments they came by"
        return Rejected("not_refundable", why, ("amount",))
    return Committed(str(done[0]), {"by": "stripe", "refunds": done})


async def _made(session: Session, intent: str, accord_id: str) -> list[Json]:
    return [
        each
        async for each in listed(session, "refunds", {"payment_intent": intent})
        if (each["metadata"] or {}).get("accord_id") == accord_id
    ]


async def _refundable(session: Session, intent: str) -> int:
    charges = [each async for each in listed(session, "charges", {"payment_intent": intent}) if each["paid"]]
    return sum(each["amount_captured"] - each["amount_refunded"] for each in charges if not each["disputed"])


async def find_refund(session: Session, write: Write) -> Json | None:
    """The first of its refunds, once they come to all of it."""
    found = [
        each
        for intent in write.body.get("references") or ()
        if str(intent).startswith("pi_")
        for each in await _made(session, intent, write.canonical_id)
    ]
    whole = sum(each["amount"] for each in found) == units_of(_amount(write))
    return found[0] if found and whole else None


def refunded(found: Json) -> Outcome:
    return Committed(str(found["id"]), {"by": "stripe"})


def _amount(write: Write) -> Money:
    return from_plain(Money, write.body["amount"])


def _noon(day: str) -> int:
    on = date.fromisoformat(day)
    return int(datetime(on.year, on.month, on.day, 12, tzinfo=UTC).timestamp())
