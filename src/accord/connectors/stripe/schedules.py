"""Billing schedules: a milestone is a product with a price not yet billed, a recurring service a subscription schedule.

A product's id is ours, so making it again cannot make a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from accord.connect.failures import Refused
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, key, link, money, own, text
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, ours, read
from accord.connectors.stripe.minor_units import DIFFERENT
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.billing import RecurringSchedule, ScheduledMilestone

_LABELS = ("engagement_id", "customer_id", "legal_entity")
SCHEDULED_MILESTONE = Table(
    "stripe.scheduled_milestone",
    "scheduled_milestone",
    "Product with its price",
    of=ScheduledMilestone,
    null="",
    rows=(
        key("id"),
        own("metadata.accord_id"),
        text("name", "name", required=True, max_length=250, cut=True),
        money(
            "amount", "default_price_data.unit_amount", currency_at="default_price_data.currency", required=True,
            minor=True, minor_decimals=DIFFERENT, lower=True,
        ),
        day("planned_on", "metadata.planned_on", sparse=True),
        *(text(name, f"metadata.{name}", required=True) for name in _LABELS),
    ),
)  # fmt: skip
RECURRING_SCHEDULE = Table(
    "stripe.recurring_schedule",
    "recurring_schedule",
    "Subscription schedule with its product",
    of=RecurringSchedule,
    rows=(
        key("id"),
        own("metadata.accord_id"),
        text("name", "name", required=True, max_length=250, cut=True),
        money(
            "monthly", "default_price_data.unit_amount", currency_at="default_price_data.currency", required=True,
            minor=True, minor_decimals=DIFFERENT, lower=True,
        ),
        link("tax_rate_id", "default_tax_rate", kind="tax_rate", sparse=True),
        link("customer_id", "customer", kind="customer", required=True),
        text("engagement_id", "metadata.engagement_id", required=True),
        text("legal_entity", "metadata.legal_entity", required=True),
    ),
)  # fmt: skip


async def put_milestone(steps: Steps) -> Outcome:
    """Make the product of a milestone, or bring its price, name and date up to date; a cancelled one is
    archived."""
    write = steps.write
    writing = SCHEDULED_MILESTONE.write({**write.body, "id": write.canonical_id})
    if (problem := writing.rejected()) is not None:
        return problem
    form = {"id": write.canonical_id, **writing.fields}
    wanted = write.body.get("status", "scheduled") != "cancelled"
    if write.vendor_id is None and wanted:
        try:
            made = await steps.post("create", "products", form)
            if write.attempt == 1:
                return Committed(str(made["id"]))
        except Refused as refused:
            if not _is(refused.outcome, "resource_already_exists"):
                raise
    return await _keep_product(steps, form, wanted=wanted)


async def _keep_product(steps: Steps, form: Mapping[str, Any], *, wanted: bool) -> Outcome:
    product_id = form["id"]
    product = await _product(steps.session, product_id)
    if product is None:
        return (
            Committed(product_id, {"note": "never scheduled"})
            if not wanted
            else Rejected("resource_missing", "The product is gone.")
        )
    changes = {"name": form["name"], "active": wanted, "metadata": form["metadata"]}
    price = product["default_price"]
    data = form["default_price_data"]
    if price is None or (price["unit_amount"], price["currency"]) != (data["unit_amount"], data["currency"]):
        changes["default_price"] = (await steps.post("price", "prices", {"product": product_id, **data}))["id"]
    await steps.post("update", f"products/{product_id}", changes)
    if "default_price" in changes and price is not None:
        await steps.post("archive-price", f"prices/{price['id']}", {"active": False})
    return Committed(product_id)


async def _product(session: Session, product_id: str) -> Json | None:
    try:
        return await read(session, f"products/{product_id}", {"expand": ["default_price"]})
    except Refused as refused:
        if _is(refused.outcome, "resource_missing"):
            return None
        raise


def _is(outcome: Outcome, code: str) -> bool:
    return isinstance(outcome, Rejected) and outcome.code == code


async def find_milestone(session: Session, write: Write) -> Json | None:
    """The product, once it is as the write wants it; an older state is as good as none."""
    product = await _product(session, write.vendor_id or write.canonical_id)
    if product is None:
        return None
    form = SCHEDULED_MILESTONE.write({**write.body, "id": write.canonical_id}).fields
    data, price = form.get("default_price_data", {}), product["default_price"] or {}
    same_price = (price.get("unit_amount"), price.get("currency")) == (
        data.get("unit_amount"),
        data.get("currency"),
    )
    same = product["active"] == (write.body.get("status", "scheduled") != "cancelled") and product["name"] == form.get(
        "name"
    )
    metadata = product["metadata"] or {}
    dated = metadata.get("planned_on", "") == form.get("metadata", {}).get("planned_on", "")
    return product if same_price and same and dated else None


async def put_recurring(steps: Steps) -> Outcome:
    """Make the product with its monthly price and the schedule over it, change a running one, or cancel it.

    Changes apply without proration: a month is billed at the price it began with.
    """
    write = steps.write
    writing = RECURRING_SCHEDULE.write({**write.body, "id": write.canonical_id}, write.vendor_ids)
    if (problem := writing.rejected()) is not None:
        return problem
    schedule = await find_recurring(steps.session, write) if write.vendor_id or write.attempt > 1 else None
    if write.body.get("status") == "cancelled":
        return await _cancel(steps, schedule)
    price = await _monthly_price(steps, writing.fields)
    if schedule is None:
        form = _schedule(write, writing.fields, price)
        made = await steps.post("schedule", "subscription_schedules", form)
        return _scheduled(made)
    phase = _phase(write, writing.fields, price)
    phase["start_date"] = schedule["phases"][0]["start_date"]
    form = {"phases": [phase], "proration_behavior": "none", "metadata": writing.fields["metadata"]}
    return _scheduled(await steps.post("update", f"subscription_schedules/{schedule['id']}", form))


async def _cancel(steps: Steps, schedule: Json | None) -> Outcome:
    if schedule is None:
        return Committed(steps.write.canonical_id, {"note": "never scheduled"})
    if schedule["status"] in ("not_started", "active"):
        form = {"invoice_now": False, "prorate": False}
        await steps.post("cancel", f"subscription_schedules/{schedule['id']}/cancel", form)
    return Committed(str(schedule["id"]))


async def _monthly_price(steps: Steps, fields: Mapping[str, Any]) -> str:
    """The product's monthly price, made with the product, or made anew when the amount changed."""
    product_id = steps.write.canonical_id
    data = {**fields["default_price_data"], "recurring": {"interval": "month"}}
    form = {
        "id": product_id,
        "name": fields["name"],
        "default_price_data": data,
        "metadata": fields["metadata"],
    }
    try:
        if steps.write.vendor_id is None:
            return str((await steps.post("product", "products", form))["default_price"])
    except Refused as refused:
        if not _is(refused.outcome, "resource_already_exists"):
            raise
    product = await read(steps.session, f"products/{product_id}", {"expand": ["default_price"]})
    price = product["default_price"]
    if price is not None and (price["unit_amount"], price["currency"]) == (
        data["unit_amount"],
        data["currency"],
    ):
        return str(price["id"])
    made = await steps.post("price", "prices", {"product": product_id, **data})
    await steps.post("default-price", f"products/{product_id}", {"default_price": made["id"], "name": fields["name"]})
    return str(made["id"])


def _schedule(write: Write, fields: Mapping[str, Any], price: str) -> dict[str, Any]:
    starts_on = date.fromisoformat(write.body["starts_on"])
    return {
        "customer": fields["customer"],
        "start_date": int(datetime(starts_on.year, starts_on.month, starts_on.day, tzinfo=UTC).timestamp()),
        "end_behavior": "cancel",
        "phases": [_phase(write, fields, price)],
        "metadata": fields["metadata"],
    }


def _phase(write: Write, fields: Mapping[str, Any], price: str) -> dict[str, Any]:
    """One phase of `months` months; its metadata becomes the subscription's and travels with every
    invoice."""
    tax_rate = fields.get("default_tax_rate")
    return {
        "items": [{"price": price, "quantity": 1}],
        "duration": {"interval": "month", "interval_count": write.body["months"]},
        "collection_method": "send_invoice",
        "invoice_settings": {"days_until_due": write.body["terms_days"]},
        "default_tax_rates": [tax_rate] if tax_rate else None,
        "proration_behavior": "none",
        "metadata": {
            **fields["metadata"],
            "customer_id": write.body["customer_id"],
            "origin": "subscription",
        },
    }


def _scheduled(schedule: Json) -> Outcome:
    details = {"status": schedule["status"], "subscription": schedule["subscription"]}
    return Committed(str(schedule["id"]), details)


async def find_recurring(session: Session, write: Write) -> Json | None:
    """The schedule, by its id or among those of its customer."""
    if write.vendor_id is not None:
        return await read(session, f"subscription_schedules/{write.vendor_id}")
    customer = write.vendor_ids.get(write.body["customer_id"])
    return (
        await ours(session, "subscription_schedules", {"customer": customer}, write.canonical_id) if customer else None
    )


def probed_recurring(schedule: Json) -> Outcome:
    return _scheduled(schedule)
