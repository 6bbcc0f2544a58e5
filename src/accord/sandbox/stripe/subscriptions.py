"""Subscriptions: items billed at the start of every period, each period with its own invoice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, Where, equal, list_object, listed, searched
from accord.sandbox.stripe.cycles import Period, bill, is_for, plan_cycle, prorate_change, stop
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.invoice_items import pending
from accord.sandbox.stripe.invoices import COLLECTION
from accord.sandbox.stripe.periods import periods_until
from accord.sandbox.stripe.prices import price_data
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.tax_rates import rates_given

PRORATIONS = ("create_prorations", "always_invoice", "none")


@dataclass(frozen=True, slots=True)
class Ordered:
    """One item as it is ordered: a recurring price, how many of it, taxed how."""

    price: Json
    quantity: int
    rates: tuple[str, ...]
    metadata: dict[str, str]


def ordered_given(account: Account, form: Form, key: str = "items") -> list[Ordered]:
    """The items of a subscription or a phase. Raises Refused unless all share one interval and currency."""
    given = form.hashes(key)
    if not given:
        raise form.missing(key)
    found = [_ordered(account, each) for each in given]
    first = found[0].price
    for each in found[1:]:
        if each.price["currency"] != first["currency"]:
            raise invalid("All prices on a subscription must use the same currency.", form.name(key))
        if each.price["recurring"] != first["recurring"]:
            raise invalid("All prices on a subscription must have the same interval.", form.name(key))
    return found


def _ordered(account: Account, form: Form) -> Ordered:
    inline, price_id = form.inside("price_data"), form.text("price")
    if inline is not None:
        price = account.create(price_data(account, inline, needs_recurring=True))
    elif price_id is None:
        raise form.missing("price")
    else:
        price = account.find("price", price_id, form.name("price"))
    if price["type"] != "recurring":
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise invalid(message, form.name("price"))
    if not price["active"] and inline is None:
        raise refused("The price specified is inactive. This field only accepts active prices.", "price_inactive")
    quantity = form.integer("quantity", low=0)
    form.set_aside("id", "deleted", "clear_usage")
    form.not_simulated("plan", "discounts", "billing_thresholds")
    rates = tuple(rates_given(account, form) or ())
    return Ordered(price, 1 if quantity is None else quantity, rates, form.metadata())


def new_subscription(
    account: Account,
    customer: Json,
    ordered: Sequence[Ordered],
    *,
    anchor: int,
    collection_method: str,
    **fields: Any,
) -> Json:
    """A subscription from `anchor` on, active at once; bills every period up to the one under way."""
    subscription_id, recurring = account.new_id("subscription"), ordered[0].price["recurring"]
    periods = periods_until(anchor, recurring["interval"], recurring["interval_count"], account.now())
    rows = [_item(account, subscription_id, each, periods[-1]) for each in ordered]
    subscription: Json = {
        "id": subscription_id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": None,
        },
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": collection_method,
        "created": account.now(),
        "currency": ordered[0].price["currency"],
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": list_object(f"/v1/subscription_items?subscription={subscription_id}", rows, has_more=False),
        "latest_invoice": None,
        "livemode": False,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None},
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": anchor,
        "status": "active",
        "status_details": None,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        **fields,
    }
    account.create(subscription)
    bill(account, subscription, "subscription_create", periods)
    plan_cycle(account, subscription)
    return subscription


def _item(account: Account, subscription_id: str, ordered: Ordered, period: Period) -> Json:
    price = ordered.price
    return {
        "id": account.new_id("subscription_item", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": account.now(),
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": ordered.metadata,
        "plan": plan_of(price),
        "price": price,
        "quantity": ordered.quantity,
        "subscription": subscription_id,
        "tax_rates": [account.find("tax_rate", each) for each in ordered.rates],
    }


def plan_of(price: Json) -> Json:
    """The old form of a recurring price, still shown beside it."""
    recurring = price["recurring"]
    return {
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": price["billing_scheme"],
        "created": price["created"], "currency": price["currency"], "interval": recurring["interval"],
        "interval_count": recurring["interval_count"], "livemode": False, "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"], "product": price["product"], "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None, "usage_type": recurring["usage_type"],
    }  # fmt: skip


def replace_items(
    account: Account, subscription: Json, ordered: Sequence[Ordered], proration: str, **changes: Any
) -> None:
    """Put other items on a subscription within its current period."""
    before = subscription["items"]["data"]
    period = (before[0]["current_period_start"], before[0]["current_period_end"])
    if ordered[0].price["recurring"] != before[0]["price"]["recurring"]:
        raise invalid("The sandbox does not simulate a change of the billing interval.", "items")
    after = [_item(account, subscription["id"], each, period) for each in ordered]
    for old, new in zip(before, after, strict=False):
        new["id"], new["created"] = old["id"], old["created"]
    if proration != "none" and _terms(before) != _terms(after):
        prorate_change(account, subscription, before, after)
    changes["items"] = {**subscription["items"], "data": after}
    account.change(subscription, changes, "customer.subscription.updated")
    if proration == "always_invoice" and any(
        is_for(row, subscription) for row in pending(account, subscription["customer"])
    ):
        bill(account, subscription, "subscription_update", [])


def _terms(rows: Sequence[Json]) -> list[tuple[str, int]]:
    return [(row["price"]["id"], row["quantity"]) for row in rows]


def create(call: Call) -> Json:
    form, account = call.form, call.account
    customer = account.find("customer", form.required("customer"), "customer")
    ordered = ordered_given(account, form)
    method = form.choice("collection_method", COLLECTION) or "charge_automatically"
    days = days_given(form, method)
    backdated = form.integer("backdate_start_date")
    if backdated is not None and backdated > account.now():
        raise invalid("`backdate_start_date` must be in the past.", "backdate_start_date")
    rates = rates_given(account, form, "default_tax_rates") or []
    fields = {
        "metadata": form.metadata(),
        "days_until_due": days,
        "description": form.text("description"),
        "cancel_at_period_end": form.boolean("cancel_at_period_end") or False,
        "cancel_at": form.integer("cancel_at"),
        "default_tax_rates": [account.find("tax_rate", each) for each in rates],
    }
    form.set_aside(
        "off_session",
        "payment_behavior",
        "payment_settings",
        "automatic_tax",
        "currency",
        "proration_behavior",
    )
    form.set_aside("billing_mode", "invoice_settings")
    form.not_simulated("trial_end", "trial_period_days", "add_invoice_items", "billing_cycle_anchor", "discounts")
    form.close()
    anchor = backdated if backdated is not None else account.now()
    return new_subscription(account, customer, ordered, anchor=anchor, collection_method=method, **fields)


def days_given(form: Form, method: str, key: str = "days_until_due") -> int | None:
    days = form.integer(key, low=0, high=3650)
    if method == "send_invoice" and days is None:
        message = "If `collection_method` is set to `send_invoice`, you must specify `days_until_due`."
        raise invalid(message, form.name(key))
    if method == "charge_automatically" and days is not None:
        raise invalid("`days_until_due` can only be set if `collection_method` is `send_invoice`.", form.name(key))
    return days


def update(call: Call) -> Json:
    form, account = call.form, call.account
    subscription = account.find("subscription", call.ids[0])
    if subscription["status"] == "canceled" and any(
        form.given(key) for key in ("items", "collection_method", "cancel_at")
    ):
        raise refused("A canceled subscription can only update its cancellation_details and metadata.")
    changes: Json = {"metadata": form.metadata(subscription["metadata"])}
    if form.given("cancel_at_period_end"):
        changes["cancel_at_period_end"] = form.boolean("cancel_at_period_end") or False
    for key, value in (("cancel_at", form.integer("cancel_at")), ("description", form.text("description"))):
        if form.given(key):
            changes[key] = value
    method = form.choice("collection_method", COLLECTION) or subscription["collection_method"]
    if form.given("days_until_due") or method != subscription["collection_method"]:
        changes |= {"collection_method": method, "days_until_due": days_given(form, method)}
    rates = rates_given(account, form, "default_tax_rates")
    if rates is not None:
        changes["default_tax_rates"] = [account.find("tax_rate", each) for each in rates]
    ordered = ordered_given(account, form) if form.given("items") else None
    proration = form.choice("proration_behavior", PRORATIONS) or "create_prorations"
    form.set_aside("off_session", "payment_behavior", "payment_settings", "automatic_tax", "cancellation_details")
    form.not_simulated("trial_end", "add_invoice_items", "billing_cycle_anchor", "pause_collection", "discounts")
    form.close()
    if ordered is not None:
        replace_items(account, subscription, ordered, proration, **changes)
    else:
        account.change(subscription, changes, "customer.subscription.updated")
    return subscription


def cancel(call: Call) -> Json:
    form, account = call.form, call.account
    subscription = account.find("subscription", call.ids[0])
    prorate, invoice_now = form.boolean("prorate") or False, form.boolean("invoice_now") or False
    form.set_aside("cancellation_details")
    form.close()
    if subscription["status"] == "canceled":
        raise refused(f"No such subscription: '{subscription['id']}'", "resource_missing", "id")
    stop(account, subscription, prorate=prorate, invoice_now=invoice_now)
    return subscription


def list_subscriptions(call: Call) -> Json:
    form = call.form
    customer, status, price = form.text("customer"), form.text("status"), form.text("price")
    tests = [_of_status(status), equal(form, "collection_method")]
    if price is not None:
        tests.append(lambda row: any(each["price"]["id"] == price for each in row["items"]["data"]))
    return listed(call, "subscription", *tests, index=("customer", customer) if customer else None)


def _of_status(status: str | None) -> Where | None:
    """Canceled subscriptions are listed only when asked for."""
    if status is None:
        return lambda row: row["status"] != "canceled"
    if status == "all":
        return None
    ended = ("canceled", "incomplete_expired")
    return (lambda row: row["status"] in ended) if status == "ended" else (lambda row: row["status"] == status)


def list_subscription_items(call: Call) -> Json:
    subscription = call.account.find("subscription", call.form.required("subscription"), "subscription")
    call.form.set_aside("limit", "starting_after", "ending_before")
    call.form.close()
    return list_object(call.path, subscription["items"]["data"], has_more=False)


ROUTES: Routes = {
    ("POST", "subscriptions"): create,
    ("GET", "subscriptions"): list_subscriptions,
    ("GET", "subscriptions/search"): lambda call: searched(call, "subscription"),
    ("GET", "subscriptions/*"): lambda call: call.found("subscription"),
    ("POST", "subscriptions/*"): update,
    ("DELETE", "subscriptions/*"): cancel,
    ("GET", "subscription_items"): list_subscription_items,
}
