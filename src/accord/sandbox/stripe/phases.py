"""The phases of a subscription schedule, as they are given and as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.amounts import half_up
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.periods import boundary
from accord.sandbox.stripe.prices import INTERVALS, price_data
from accord.sandbox.stripe.refusals import invalid
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.subscriptions import PRORATIONS, Ordered, ordered_given, plan_of
from accord.sandbox.stripe.tax_rates import rates_given

COLLECTION = ("charge_automatically", "send_invoice")
DEFAULTS: Json = {
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor": "automatic",
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "description": None,
    "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
    "on_behalf_of": None,
    "transfer_data": None,
}


@dataclass(frozen=True, slots=True)
class OneOff:
    """An item billed once, on a phase's first invoice."""

    price: Json
    quantity: int
    rates: tuple[str, ...]
    metadata: dict[str, str]

    @property
    def unit_amount(self) -> Decimal:
        return Decimal(self.price["unit_amount_decimal"])

    @property
    def amount(self) -> int:
        return half_up(self.unit_amount * self.quantity)


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase from `start` to `end` (Unix seconds). `days_until_due` and `collection_method` may be the
    schedule's."""

    start: int
    end: int
    ordered: tuple[Ordered, ...]
    one_off: tuple[OneOff, ...]
    metadata: dict[str, str]
    collection_method: str | None
    days_until_due: int | None
    default_tax_rates: tuple[Json, ...]
    description: str | None
    proration: str

    def terms(self, settings: Json) -> dict[str, Any]:
        """The fields the subscription takes from this phase."""
        method = self.collection_method or settings["collection_method"]
        days = self.days_until_due
        if days is None and method == "send_invoice":
            days = settings["invoice_settings"]["days_until_due"]
        return {
            "collection_method": method,
            "days_until_due": days,
            "default_tax_rates": list(self.default_tax_rates),
            "description": self.description or settings["description"],
            "metadata": dict(self.metadata),
        }


def default_settings(form: Form | None) -> Json:
    """The given part of `default_settings`."""
    if form is None:
        return {}
    found: Json = {}
    method = form.choice("collection_method", COLLECTION)
    if method:
        found["collection_method"] = method
    if form.given("description"):
        found["description"] = form.text("description")
    days = _days(form)
    if days is not None:
        found["invoice_settings"] = {
            "account_tax_ids": None,
            "days_until_due": days,
            "issuer": {"type": "self"},
        }
    form.choice("billing_cycle_anchor", ("automatic",))
    form.set_aside("automatic_tax")
    form.not_simulated("default_payment_method", "transfer_data", "on_behalf_of", "billing_thresholds")
    return found


def _days(form: Form) -> int | None:
    settings = form.inside("invoice_settings")
    if settings is None:
        return None
    settings.set_aside("issuer", "account_tax_ids", "footer", "description", "custom_fields")
    return settings.integer("days_until_due", low=0, high=3650)


def phases_given(account: Account, form: Form, start: int, settings: Json, *, may_start: bool = False) -> list[Phase]:
    """The phases of a request, one after the other from `start` (or the first one's own start_date, on
    updates)."""
    given = form.hashes("phases")
    if not given:
        raise form.missing("phases")
    if len(given) > 10:
        raise invalid("A schedule can have at most 10 current or future phases.", "phases")
    phases: list[Phase] = []
    for each in given:
        own = each.integer("start_date") if may_start and each.text("start_date") not in (None, "now") else None
        begin = phases[-1].end if phases else start if own is None else own
        if own is not None and own != begin:
            raise invalid("The start date of a phase must be the end date of the one before.", each.name("start_date"))
        phases.append(_phase(account, each, begin, {**DEFAULTS, **settings}))
    return phases


def _phase(account: Account, form: Form, start: int, settings: Json) -> Phase:
    ordered = tuple(ordered_given(account, form))
    method, days = form.choice("collection_method", COLLECTION), _days(form)
    used = method or settings["collection_method"]
    if used == "send_invoice" and days is None and settings["invoice_settings"]["days_until_due"] is None:
        message = "If `collection_method` is set to `send_invoice`, you must specify `days_until_due`."
        raise invalid(message, form.name("invoice_settings[days_until_due]"))
    rates = rates_given(account, form, "default_tax_rates") or []
    form.set_aside("currency", "automatic_tax", "billing_cycle_anchor")
    form.not_simulated("trial", "trial_end", "discounts", "transfer_data", "on_behalf_of", "default_payment_method")
    return Phase(
        start=start,
        end=_end(form, start, ordered[0].price["recurring"]),
        ordered=ordered,
        one_off=tuple(_one_off(account, each) for each in form.hashes("add_invoice_items") or []),
        metadata=form.metadata(),
        collection_method=method,
        days_until_due=days,
        default_tax_rates=tuple(account.find("tax_rate", each) for each in rates),
        description=form.text("description"),
        proration=form.choice("proration_behavior", PRORATIONS) or "create_prorations",
    )


def _end(form: Form, start: int, recurring: Json) -> int:
    duration, end = form.inside("duration"), form.integer("end_date")
    if duration is not None and end is not None:
        raise invalid("You may only specify one of these parameters: duration, end_date.", form.name("duration"))
    if duration is not None:
        interval = duration.choice("interval", INTERVALS)
        if interval is None:
            raise duration.missing("interval")
        return boundary(start, interval, duration.integer("interval_count", low=1) or 1, 1)
    if end is None:
        return boundary(start, recurring["interval"], recurring["interval_count"], 1)
    if end <= start:
        raise invalid("The end date of a phase must be after its start date.", form.name("end_date"))
    return end


def _one_off(account: Account, form: Form) -> OneOff:
    inline, price_id = form.inside("price_data"), form.text("price")
    if inline is not None:
        price = account.create(price_data(account, inline, needs_recurring=False))
    elif price_id is None:
        raise form.missing("price")
    else:
        price = account.find("price", price_id, form.name("price"))
    if price["type"] != "one_time":
        raise invalid("This field only accepts prices with `type=one_time`.", form.name("price"))
    form.set_aside("period", "discountable")
    form.not_simulated("discounts")
    rates = tuple(rates_given(account, form) or ())
    return OneOff(price, form.integer("quantity", low=0) or 1, rates, form.metadata())


def shown(account: Account, phase: Phase) -> Json:
    """A phase as the API shows it."""
    settings = {"account_tax_ids": None, "days_until_due": phase.days_until_due, "issuer": None}
    return {
        "add_invoice_items": [_one_off_shown(account, each) for each in phase.one_off],
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": phase.collection_method,
        "currency": phase.ordered[0].price["currency"],
        "default_payment_method": None,
        "default_tax_rates": list(phase.default_tax_rates),
        "description": phase.description,
        "discounts": [],
        "end_date": phase.end,
        "invoice_settings": settings if phase.days_until_due is not None else None,
        "items": [_item_shown(account, each) for each in phase.ordered],
        "metadata": phase.metadata,
        "on_behalf_of": None,
        "proration_behavior": phase.proration,
        "start_date": phase.start,
        "transfer_data": None,
        "trial_end": None,
    }


def _one_off_shown(account: Account, each: OneOff) -> Json:
    return {
        "discountable": None,
        "discounts": [],
        "metadata": each.metadata,
        "period": {"end": {"type": "phase_end"}, "start": {"type": "phase_start"}},
        "price": each.price["id"],
        "quantity": each.quantity,
        "tax_rates": [account.find("tax_rate", rate) for rate in each.rates],
    }


def _item_shown(account: Account, each: Ordered) -> Json:
    return {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": each.metadata,
        "plan": plan_of(each.price)["id"],
        "price": each.price["id"],
        "quantity": each.quantity,
        "tax_rates": [account.find("tax_rate", rate) for rate in each.rates],
    }
