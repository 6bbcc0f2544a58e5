"""What a subscription does by itself: bill a period, begin the next one, prorate a change, end."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.agenda import CYCLE
from accord.sandbox.stripe.amounts import half_up
from accord.sandbox.stripe.invoice_items import Charged, item, pending, pricing
from accord.sandbox.stripe.invoices import DAY, DRAFT_SECONDS, new_invoice, shelve
from accord.sandbox.stripe.lines import line_of_item, new_line
from accord.sandbox.stripe.periods import period_after
from accord.sandbox.stripe.shelf import Json

Period = tuple[int, int]


def bill(account: Account, subscription: Json, reason: str, periods: Sequence[Period]) -> Json:
    """The invoice of some periods: a draft that becomes final in about an hour. Takes pending items along.

    `period_start` and `period_end` of the invoice are the period behind; the lines carry the period ahead.
    That is how Stripe has it.
    """
    customer, now = account.find("customer", subscription["customer"]), account.now()
    first = reason == "subscription_create"
    details = {
        "metadata": dict(subscription["metadata"]),
        "subscription": subscription["id"],
        "subscription_proration_date": None,
    }
    days = subscription["days_until_due"]
    invoice = new_invoice(
        account, customer, subscription["currency"],
        collection_method=subscription["collection_method"], billing_reason=reason, auto_advance=True,
        automatically_finalizes_at=now + DRAFT_SECONDS, default_tax_rates=subscription["default_tax_rates"],
        description=subscription["description"], due_date=None if days is None else now + days * DAY,
        parent={"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        period_start=now if first else _period_behind(subscription), period_end=now,
    )  # fmt: skip
    for period in periods:
        for row in subscription["items"]["data"]:
            _bill_item(account, invoice, row, period)
    for waiting in pending(account, customer["id"], subscription["currency"]):
        if waiting["parent"] is None or waiting["parent"]["subscription_details"]["subscription"] == subscription["id"]:
            account.change(waiting, {"invoice": invoice["id"]})
            line_of_item(account, invoice, waiting)
    shelve(account, invoice)
    account.change(subscription, {"latest_invoice": invoice["id"]}, "customer.subscription.updated")
    return invoice


def _period_behind(subscription: Json) -> int:
    return int(subscription["items"]["data"][0]["current_period_start"])


def _bill_item(account: Account, invoice: Json, row: Json, period: Period) -> None:
    unit, price = Decimal(row["price"]["unit_amount_decimal"]), row["price"]
    name = account.find("product", price["product"])["name"]
    source = {
        "amount": half_up(unit * row["quantity"]),
        "currency": price["currency"],
        "description": f"{row['quantity']} x {name}",
        "metadata": row["metadata"],
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing(price, unit),
        "quantity": row["quantity"],
    }
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": row["subscription"],
        "subscription_item": row["id"],
    }
    parent = {
        "invoice_item_details": None,
        "subscription_item_details": details,
        "type": "subscription_item_details",
    }
    line = new_line(account, invoice, source, parent)
    line["subscription"] = row["subscription"]
    account.line_rates[line["id"]] = [rate["id"] for rate in row["tax_rates"]]
    account.lines[invoice["id"]].append(line)


def plan_cycle(account: Account, subscription: Json) -> None:
    at = subscription["items"]["data"][0]["current_period_end"]
    account.later(at, CYCLE, lambda: _cycle(account, subscription["id"], at))


def _cycle(account: Account, subscription_id: str, at: int) -> None:
    """A period is over: the next one begins and is billed. `at` guards against a stale plan."""
    subscription = account.find("subscription", subscription_id)
    rows = subscription["items"]["data"]
    if subscription["status"] == "canceled" or rows[0]["current_period_end"] != at:
        return
    if subscription["cancel_at_period_end"] or (subscription["cancel_at"] or at + 1) <= at:
        end(account, subscription, "cancellation_requested")
        return
    recurring = rows[0]["price"]["recurring"]
    anchor = subscription["billing_cycle_anchor"]
    period = period_after(anchor, recurring["interval"], recurring["interval_count"], at)
    moved = [{**row, "current_period_start": period[0], "current_period_end": period[1]} for row in rows]
    bill(account, subscription, "subscription_cycle", [period])
    account.change(subscription, {"items": {**subscription["items"], "data": moved}}, "customer.subscription.updated")
    plan_cycle(account, subscription)


def end(account: Account, subscription: Json, reason: str | None) -> None:
    """The subscription is over."""
    now = account.now()
    changes = {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or now,
        "ended_at": now,
        "cancellation_details": {**subscription["cancellation_details"], "reason": reason},
    }
    account.change(subscription, changes, "customer.subscription.deleted")


def stop(account: Account, subscription: Json, *, prorate: bool, invoice_now: bool) -> None:
    """Cancel at once on request: credit unused time if asked, and let no draft of it go out by itself."""
    for invoice in account.shelf("invoice").by("customer", subscription["customer"]):
        parent = invoice["parent"]
        if (
            invoice["status"] == "draft"
            and parent
            and parent["subscription_details"]["subscription"] == subscription["id"]
        ):
            account.change(invoice, {"auto_advance": False, "automatically_finalizes_at": None}, "invoice.updated")
    if prorate:
        prorate_change(account, subscription, subscription["items"]["data"], [])
    if invoice_now and any(is_for(row, subscription) for row in pending(account, subscription["customer"])):
        bill(account, subscription, "subscription_update", [])
    end(account, subscription, "cancellation_requested")


def is_for(row: Json, subscription: Json) -> bool:
    return bool(row["parent"]) and row["parent"]["subscription_details"]["subscription"] == subscription["id"]


def prorate_change(account: Account, subscription: Json, before: Sequence[Json], after: Sequence[Json]) -> None:
    """Credit the unused rest of the period at the old terms and charge it at the new, as pending items."""
    now = account.now()
    for row, sign, text in [(each, -1, "Unused") for each in before] + [(each, 1, "Remaining") for each in after]:
        start, end_at = row["current_period_start"], row["current_period_end"]
        if not start < now < end_at:
            continue
        share = Decimal(end_at - now) / Decimal(end_at - start)
        unit = Decimal(row["price"]["unit_amount_decimal"])
        amount = sign * half_up(unit * row["quantity"] * share)
        name = account.find("product", row["price"]["product"])["name"]
        charge = Charged(amount, row["price"]["currency"], row["quantity"], unit, row["price"])
        account.create(
            item(
                account, subscription["customer"], charge, description=f"{text} time on {name}",
                period={"start": now, "end": end_at}, metadata={},
                rates=[each["id"] for each in row["tax_rates"]],
                subscription=subscription["id"], proration=True,
            )
        )  # fmt: skip
