"""Credit notes: by line, first against what is open; the rest is the customer's money, which Accord keeps track of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, listed, ours, read
from accord.connectors.stripe.minor_units import money_of, units_of
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.money import Money
from accord.model.plain import from_plain, to_plain


async def credit(steps: Steps) -> Outcome:
    """Credit lines of an invoice (or a gross amount of the whole of it): first what is still open.

    What was paid already is credited out of band: on the customer's balance it would pay whatever invoice comes next,
    behind everybody's back. A preview shows the total before a number is used up.
    """
    write = steps.write
    invoice_id = write.vendor_ids.get(write.body["invoice_id"])
    if invoice_id is None:
        return Rejected("not_writable", "the invoice is not known in Stripe yet", ("invoice_id",))
    # The split below depends on what is open now, so a repeat could not use the key: look first.
    known = await find_credit(steps.session, write) if write.attempt > 1 else None
    if known is not None:
        return credited(known)
    invoice = await read(steps.session, f"invoices/{invoice_id}")
    approved = from_plain(Money, write.body["amount"])
    what = await _what(steps.session, write, invoice_id)
    if isinstance(what, Rejected):
        return what
    back = units_of(approved) - min(units_of(approved), invoice["amount_remaining"])
    form = {"invoice": invoice_id, **what, **({"out_of_band_amount": back} if back else {})}
    if "lines" in what:
        preview = await read(steps.session, "credit_notes/preview", form)
        computed = money_of(preview["total"], preview["currency"])
        if computed != approved:
            return Rejected("amounts_differ", f"Stripe computes {computed}, {approved} was approved.", ("amount",))
    form |= {"memo": write.body.get("reason"), "metadata": {"accord_id": write.canonical_id}}
    return credited(await steps.post("create", "credit_notes", form))


async def _what(session: Session, write: Write, invoice_id: str) -> dict[str, Any] | Rejected:
    """The lines to credit, by Stripe's ids of them; or the gross amount alone."""
    lines = write.body.get("lines") or ()
    if not lines:
        return {"amount": units_of(from_plain(Money, write.body["amount"]))}
    places: dict[str, str] = {}
    async for each in listed(session, f"invoices/{invoice_id}/lines", {}):
        places[(each["metadata"] or {}).get("line") or str(len(places))] = str(each["id"])
    lacking = [each["line"] for each in lines if str(each["line"] - 1) not in places]
    if lacking:
        return Rejected("unknown_line", f"Stripe's invoice has no line {lacking[0]}.", ("lines",))
    return {"lines": [_line(each, places) for each in lines]}


def _line(line: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "invoice_line_item",
        "invoice_line_item": places[str(line["line"] - 1)],
        "amount": units_of(from_plain(Money, line["net"])),
    }


def credited(note: Json) -> Outcome:
    """What the process needs of a credit note: number and total as Stripe computed it, and what of it was paid."""
    currency = note["currency"]
    details = {
        "number": note["number"],
        "total": to_plain(money_of(note["total"], currency)),
        "of_paid": to_plain(money_of(note["post_payment_amount"], currency)),
    }
    return Committed(str(note["id"]), details)


async def find_credit(session: Session, write: Write) -> Json | None:
    """The credit note among those of its invoice."""
    invoice_id = write.vendor_ids.get(write.body["invoice_id"])
    return await ours(session, "credit_notes", {"invoice": invoice_id}, write.canonical_id) if invoice_id else None
