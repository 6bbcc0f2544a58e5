"""Billing schedules: a milestone is a product with a price not yet billed, a recurring service a subscription schedule.

A product's id is ours, so making it again cannot make a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from typing import Any

import orjson

from accord.connect.failures import Refused
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import day, key, link, money, own, text
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, listed, ours, read
from accord.connectors.stripe.minor_units import DIFFERENT, units_of
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.billing import ScheduledMilestone
from accord.model.plain import from_plain
from accord.model.recurring import RecurringSchedule
from accord.rules.proration import anniversary

TERMS = "terms"  # the label that says which terms a schedule has
# A price by its amount in minor units; and periods in a row at one price, with the moment at which they end.
Prices = dict[int, str]
Run = tuple[str, int]

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
    """Make the product with its monthly prices and the schedule over it, change a running one, or cancel it.

    A schedule has one phase for each run of periods at one price. What has begun stays at the price it began with:
    changes apply from the next period on, without proration.
    """
    write = steps.write
    writing = RECURRING_SCHEDULE.write({**write.body, "id": write.canonical_id}, write.vendor_ids)
    if (problem := writing.rejected()) is not None:
        return problem
    schedule = await _schedule_of(steps.session, write) if write.vendor_id or write.attempt > 1 else None
    if write.body.get("status") == "cancelled":
        return await _cancel(steps, schedule)
    if schedule is not None and _is_as_wanted(schedule, write):
        return _scheduled(schedule)
    terms = from_plain(RecurringSchedule, write.body)
    prices = await _monthly_prices(steps, writing.fields, terms)
    metadata = {**writing.fields["metadata"], TERMS: _terms(write.body)}
    if schedule is None:
        form = {
            "customer": writing.fields["customer"],
            "start_date": _at(terms, 0),
            "end_behavior": "cancel",
            "phases": [_phase(write, writing.fields, *each) for each in _runs(terms, prices, 0)],
            "metadata": metadata,
        }
        return _scheduled(await steps.post("schedule", "subscription_schedules", form))
    runs = await _runs_from_now_on(steps.session, schedule, terms, prices)
    phases = [_phase(write, writing.fields, *each) for each in runs]
    current = schedule["current_phase"] or schedule["phases"][0]
    phases[0]["start_date"] = current["start_date"]
    form = {"phases": phases, "proration_behavior": "none", "metadata": metadata}
    return _scheduled(await steps.post("update", f"subscription_schedules/{schedule['id']}", form))


async def _cancel(steps: Steps, schedule: Json | None) -> Outcome:
    if schedule is None:
        return Committed(steps.write.canonical_id, {"note": "never scheduled"})
    if schedule["status"] in ("not_started", "active"):
        form = {"invoice_now": False, "prorate": False}
        await steps.post("cancel", f"subscription_schedules/{schedule['id']}/cancel", form)
    return Committed(str(schedule["id"]))


async def _monthly_prices(steps: Steps, fields: Mapping[str, Any], terms: RecurringSchedule) -> Prices:
    """The product's price for each monthly amount; the product is made with its first one, the others as needed."""
    product_id = steps.write.canonical_id
    data = {**fields["default_price_data"], "recurring": {"interval": "month"}}
    wanted = [units_of(each) for each in (terms.monthly, *(change.monthly for change in terms.changes))]
    there: Prices = {}
    try:
        if steps.write.vendor_id is None:
            form = {
                "id": product_id,
                "name": fields["name"],
                "default_price_data": data,
                "metadata": fields["metadata"],
            }
            there[wanted[0]] = str((await steps.post("product", "products", form))["default_price"])
    except Refused as refused:
        if not _is(refused.outcome, "resource_already_exists"):
            raise
    if set(wanted) - there.keys():
        asked = {"product": product_id, "active": True, "currency": data["currency"]}
        async for price in listed(steps.session, "prices", asked):
            there.setdefault(price["unit_amount"], str(price["id"]))
    for units in dict.fromkeys(wanted):
        if units not in there:
            form = {"product": product_id, **data, "unit_amount": units}
            there[units] = str((await steps.post(f"price-{units}", "prices", form))["id"])
    return there


def _at(terms: RecurringSchedule, passed: int) -> int:
    """The moment at which so many months of the service have passed, in Unix seconds."""
    day = anniversary(terms.starts_on, passed)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _runs(terms: RecurringSchedule, prices: Prices, first: int) -> list[Run]:
    """The periods from the `first` on as runs at one price: each with the moment at which it ends."""
    runs: list[Run] = []
    for passed in range(first, terms.months_now):
        price = prices[units_of(terms.monthly_on(anniversary(terms.starts_on, passed)))]
        if runs and runs[-1][0] == price:
            runs.pop()
        runs.append((price, _at(terms, passed + 1)))
    return runs


async def _runs_from_now_on(session: Session, schedule: Json, terms: RecurringSchedule, prices: Prices) -> list[Run]:
    """The period that runs at the price it has, then those that have not begun."""
    if schedule["subscription"] is None:
        return _runs(terms, prices, 0)
    subscription = await read(session, f"subscriptions/{schedule['subscription']}")
    item = subscription["items"]["data"][0]
    ends, price = item["current_period_end"], str(item["price"]["id"])
    following = next(passed for passed in count() if _at(terms, passed) >= ends)
    runs = _runs(terms, prices, following)
    return runs if runs and runs[0][0] == price else [(price, ends), *runs]


def _phase(write: Write, fields: Mapping[str, Any], price: str, ends: int) -> dict[str, Any]:
    """One phase that ends at a moment; its metadata becomes the subscription's and travels with every invoice."""
    tax_rate = fields.get("default_tax_rate")
    return {
        "items": [{"price": price, "quantity": 1}],
        "end_date": ends,
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


def _terms(body: Mapping[str, Any]) -> str:
    """What was written, in short: prices, months and changes. A schedule bears it, so that a probe can tell whether the
    newest change has arrived."""
    about = [body.get(name) for name in ("monthly", "starts_on", "months", "terms_days", "changes")]
    return blake2b(orjson.dumps(about, option=orjson.OPT_SORT_KEYS), digest_size=10).hexdigest()


def _is_as_wanted(schedule: Json, write: Write) -> bool:
    return (schedule["metadata"] or {}).get(TERMS) == _terms(write.body)


def _scheduled(schedule: Json) -> Outcome:
    details = {"status": schedule["status"], "subscription": schedule["subscription"]}
    return Committed(str(schedule["id"]), details)


async def _schedule_of(session: Session, write: Write) -> Json | None:
    """The schedule as it is, by its id or among those of its customer."""
    if write.vendor_id is not None:
        return await read(session, f"subscription_schedules/{write.vendor_id}")
    customer = write.vendor_ids.get(write.body["customer_id"])
    return (
        await ours(session, "subscription_schedules", {"customer": customer}, write.canonical_id) if customer else None
    )


async def find_recurring(session: Session, write: Write) -> Json | None:
    """The schedule, once it is as the write wants it; an older state is as good as none."""
    schedule = await _schedule_of(session, write)
    if schedule is None:
        return None
    if write.body.get("status") == "cancelled":
        return None if schedule["status"] in ("not_started", "active") else schedule
    return schedule if _is_as_wanted(schedule, write) else None


def probed_recurring(schedule: Json) -> Outcome:
    return _scheduled(schedule)
