"""Tax rates: made once, retired instead of changed, since Stripe never changes a percentage."""

from __future__ import annotations

from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import const, decimal, key, own, text
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, ours, read
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.billing import TaxRate

TAX_RATE = Table(
    "stripe.tax_rate",
    "tax_rate",
    "Tax rate",
    of=TaxRate,
    rows=(
        key("id"),
        own("metadata.accord_id"),
        text("label", "display_name", required=True, max_length=50, cut=True),
        text("country", "country", required=True, max_length=2),
        decimal("percentage", "percentage", required=True),
        text("kind", "metadata.kind", required=True),
        const("inclusive", False),  # our prices are net; tax comes on top
    ),
)


async def put(steps: Steps) -> Outcome:
    """Find the rate by our id, or make it. Another percentage is another rate, and so another id of ours."""
    write = steps.write
    writing = TAX_RATE.write({**write.body, "id": write.canonical_id})
    if (problem := writing.rejected()) is not None:
        return problem
    known = await find(steps.session, write)
    if known is None:
        return Committed(str((await steps.post("create", "tax_rates", writing.fields))["id"]))
    read_back = TAX_RATE.read(known).body
    if read_back.get("percentage") != write.body["percentage"]:
        message = f"Stripe's tax rate {known['id']} has {read_back.get('percentage')} %, which cannot be changed."
        return Rejected("tax_rate_fixed", message, ("percentage",))
    if not known["active"]:
        await steps.post("activate", f"tax_rates/{known['id']}", {"active": True})
    return Committed(str(known["id"]))


async def find(session: Session, write: Write) -> Json | None:
    """By Stripe's id, or among all rates (there are few, and no search for them)."""
    if write.vendor_id is not None:
        return await read(session, f"tax_rates/{write.vendor_id}")
    return await ours(session, "tax_rates", {}, write.canonical_id)
