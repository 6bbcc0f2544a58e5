"""Subscription schedules: phases that start, change and end a subscription at set times.

A phase's length is a `duration` or an `end_date`; `iterations` was removed with 2025-09-30.clover
(docs.stripe.com/changelog), so the pinned version answers it with `parameter_unknown`.
"""

from __future__ import annotations

from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.agenda import REMIND, SCHEDULE
from accord.sandbox.stripe.call import Call, Routes, between, listed
from accord.sandbox.stripe.cycles import end, stop
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.invoice_items import Charged, item
from accord.sandbox.stripe.invoices import DAY
from accord.sandbox.stripe.phases import DEFAULTS, Phase, default_settings, phases_given, shown
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.subscriptions import PRORATIONS, new_subscription, replace_items

EXPIRING_SECONDS = 7 * DAY  # `subscription_schedule.expiring` comes 7 days before the end (docs.stripe.com api/events)
END_BEHAVIORS = ("release", "cancel")


def create(call: Call) -> Json:
    form, account = call.form, call.account
    form.not_simulated("from_subscription", "pause_schedules", "customer_account")
    customer = account.find("customer", form.required("customer"), "customer")
    start = _start(account, form)
    settings = default_settings(form.inside("default_settings"))
    phases = phases_given(account, form, start, settings)
    behavior = form.choice("end_behavior", END_BEHAVIORS) or "release"
    metadata = form.metadata()
    form.set_aside("billing_mode")
    form.close()
    if phases[0].end <= account.now():
        raise invalid("The end date of the first phase must be in the future.", "phases[0][end_date]")
    schedule = account.create(_new(account, customer, phases, settings, behavior, metadata))
    account.phases[schedule["id"]] = phases
    if start <= account.now():
        _begin(account, schedule)
    else:
        account.later(start, SCHEDULE, lambda: _begin_if_planned(account, schedule, start))
    return schedule


def _start(account: Account, form: Form) -> int:
    if form.raw("start_date") in (None, "", "now"):
        return account.now()
    start = form.integer("start_date", low=0)
    assert start is not None  # it is neither missing nor empty
    return start


def _new(
    account: Account,
    customer: Json,
    phases: list[Phase],
    settings: Json,
    behavior: str,
    metadata: dict[str, str],
) -> Json:
    return {
        "id": account.new_id("subscription_schedule"),
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": None,
        },
        "canceled_at": None,
        "completed_at": None,
        "created": account.now(),
        "current_phase": None,
        "customer": customer["id"],
        "customer_account": None,
        "default_settings": {**DEFAULTS, **settings},
        "end_behavior": behavior,
        "livemode": False,
        "metadata": metadata,
        "pause_schedules": [],
        "phases": [shown(account, phase) for phase in phases],
        "released_at": None,
        "released_subscription": None,
        "status": "not_started",
        "subscription": None,
        "test_clock": None,
    }


def _begin_if_planned(account: Account, schedule: Json, start: int) -> None:
    phases = account.phases[schedule["id"]]
    if schedule["status"] == "not_started" and phases[0].start == start:
        _begin(account, schedule)


def _begin(account: Account, schedule: Json) -> None:
    """The first phase starts: its items become a subscription."""
    phase = account.phases[schedule["id"]][0]
    _add_items(account, schedule["customer"], phase)
    subscription = new_subscription(
        account, account.find("customer", schedule["customer"]), phase.ordered, anchor=phase.start,
        schedule=schedule["id"], **phase.terms(schedule["default_settings"]),
    )  # fmt: skip
    changes = {"status": "active", "subscription": subscription["id"], "current_phase": _span(phase)}
    account.change(schedule, changes, "subscription_schedule.updated")
    _plan(account, schedule, phase)


def _span(phase: Phase) -> Json:
    return {"start_date": phase.start, "end_date": phase.end}


def _plan(account: Account, schedule: Json, phase: Phase) -> None:
    at = phase.end
    account.later(at, SCHEDULE, lambda: _move_on(account, schedule, at))
    last = account.phases[schedule["id"]][-1]
    if last is phase and at - EXPIRING_SECONDS > account.now():
        account.later(at - EXPIRING_SECONDS, REMIND, lambda: _expiring(account, schedule, at))


def _expiring(account: Account, schedule: Json, at: int) -> None:
    if schedule["status"] == "active" and account.phases[schedule["id"]][-1].end == at:
        account.emit("subscription_schedule.expiring", schedule)


def _move_on(account: Account, schedule: Json, at: int) -> None:
    """A phase is over: the next one starts, or the schedule ends. `at` guards against a stale plan."""
    if schedule["status"] != "active" or schedule["current_phase"]["end_date"] != at:
        return
    following = [phase for phase in account.phases[schedule["id"]] if phase.start >= at]
    subscription = account.find("subscription", schedule["subscription"])
    if subscription["status"] == "canceled":
        return
    if not following:
        _finish(account, schedule, subscription)
        return
    phase = following[0]
    _add_items(account, schedule["customer"], phase, subscription["id"])
    terms = phase.terms(schedule["default_settings"])
    on_boundary = subscription["items"]["data"][0]["current_period_end"] == at
    replace_items(account, subscription, phase.ordered, "none" if on_boundary else phase.proration, **terms)
    account.change(schedule, {"current_phase": _span(phase)}, "subscription_schedule.updated")
    _plan(account, schedule, phase)


def _add_items(account: Account, customer: str, phase: Phase, subscription: str | None = None) -> None:
    """A phase's one-off items wait as pending items for the phase's first invoice."""
    for each in phase.one_off:
        charge = Charged(each.amount, each.price["currency"], each.quantity, each.unit_amount, each.price)
        name = account.find("product", each.price["product"])["name"]
        period = {"start": phase.start, "end": phase.end}
        account.create(
            item(
                account, customer, charge, description=name, period=period, metadata=each.metadata,
                rates=list(each.rates), subscription=subscription,
            )
        )  # fmt: skip


def _finish(account: Account, schedule: Json, subscription: Json) -> None:
    if schedule["end_behavior"] == "release":
        _let_go(account, schedule, subscription)
        return
    changes = {"status": "completed", "completed_at": account.now(), "current_phase": None}
    account.change(schedule, changes, "subscription_schedule.updated", "subscription_schedule.completed")
    end(account, subscription, "cancellation_requested")


def _let_go(account: Account, schedule: Json, subscription: Json | None) -> None:
    """The subscription goes on by itself."""
    changes: Json = {"status": "released", "released_at": account.now(), "current_phase": None}
    if subscription is not None:
        changes |= {"released_subscription": subscription["id"], "subscription": None}
        account.change(subscription, {"schedule": None}, "customer.subscription.updated")
    account.change(schedule, changes, "subscription_schedule.updated", "subscription_schedule.released")


def update(call: Call) -> Json:
    form, account = call.form, call.account
    schedule = account.find("subscription_schedule", call.ids[0])
    form.not_simulated("pause_schedules")
    changes: Json = {"metadata": form.metadata(schedule["metadata"])}
    behavior = form.choice("end_behavior", END_BEHAVIORS)
    if behavior is not None:
        changes["end_behavior"] = behavior
    settings = form.inside("default_settings")
    if settings is not None:
        changes["default_settings"] = {**schedule["default_settings"], **default_settings(settings)}
    proration = form.choice("proration_behavior", PRORATIONS) or "create_prorations"
    phases = _new_phases(account, form, {**schedule, **changes})
    form.close()
    if schedule["status"] not in ("not_started", "active") and (changes.keys() - {"metadata"} or phases):
        raise refused(
            f"You cannot update a subscription schedule that is currently in the `{schedule['status']}` status."
        )
    if phases:
        changes["phases"] = [shown(account, phase) for phase in phases]
        account.phases[schedule["id"]] = phases
    if phases and schedule["status"] == "active":
        changes["current_phase"] = _apply(account, schedule, phases, proration)
    elif phases:
        start = phases[0].start
        account.later(max(start, account.now()), SCHEDULE, lambda: _begin_if_planned(account, schedule, start))
    return account.change(schedule, changes, "subscription_schedule.updated")


def _new_phases(account: Account, form: Form, schedule: Json) -> list[Phase]:
    """The phases as the update leaves them: those over stay, the current one must be among the new ones."""
    if not form.given("phases"):
        return []
    old, current = account.phases[schedule["id"]], schedule["current_phase"]
    start = current["start_date"] if current else old[0].start
    phases = phases_given(account, form, start, schedule["default_settings"], may_start=True)
    if current is None:
        return phases
    if not any(phase.start == start for phase in phases):
        raise refused("The current phase must be included in the phases, with its start date.", param="phases")
    return [phase for phase in old if phase.end <= start and phase.start < phases[0].start] + phases


def _apply(account: Account, schedule: Json, phases: list[Phase], proration: str) -> Json:
    """Bring the running subscription to the current phase's new terms."""
    current = next(phase for phase in phases if phase.start == schedule["current_phase"]["start_date"])
    if current.end <= account.now():
        raise refused("The current phase must end in the future.", param="phases")
    subscription = account.find("subscription", schedule["subscription"])
    replace_items(account, subscription, current.ordered, proration, **current.terms(schedule["default_settings"]))
    _plan(account, schedule, current)
    return _span(current)


def cancel(call: Call) -> Json:
    form, account = call.form, call.account
    prorate, invoice_now = form.boolean("prorate"), form.boolean("invoice_now")
    form.close()
    schedule = _running(account, call.ids[0], "canceled")
    if schedule["subscription"] is not None:
        subscription = account.find("subscription", schedule["subscription"])
        if subscription["status"] != "canceled":
            stop(account, subscription, prorate=prorate is not False, invoice_now=invoice_now is not False)
    changes = {"status": "canceled", "canceled_at": account.now(), "current_phase": None}
    return account.change(schedule, changes, "subscription_schedule.updated", "subscription_schedule.canceled")


def _running(account: Account, schedule_id: str, becoming: str) -> Json:
    schedule = account.find("subscription_schedule", schedule_id)
    if schedule["status"] not in ("not_started", "active"):
        raise refused(
            f"You cannot make a subscription schedule {becoming} that is currently in the "
            f"`{schedule['status']}` status. "
            "Only schedules with `not_started` or `active` status can be changed this way."
        )
    return schedule


def release(call: Call) -> Json:
    call.form.set_aside("preserve_cancel_date")
    call.form.close()
    account = call.account
    schedule = _running(account, call.ids[0], "released")
    subscription = account.find("subscription", schedule["subscription"]) if schedule["subscription"] else None
    _let_go(account, schedule, subscription)
    return schedule


def list_schedules(call: Call) -> Json:
    form = call.form
    customer, scheduled = form.text("customer"), form.boolean("scheduled")
    tests: list[Any] = [between(form, key) for key in ("canceled_at", "completed_at", "released_at")]
    if scheduled is not None:
        tests.append(lambda row: (row["status"] == "not_started") == scheduled)
    return listed(call, "subscription_schedule", *tests, index=("customer", customer) if customer else None)


ROUTES: Routes = {
    ("POST", "subscription_schedules"): create,
    ("GET", "subscription_schedules"): list_schedules,
    ("GET", "subscription_schedules/*"): lambda call: call.found("subscription_schedule"),
    ("POST", "subscription_schedules/*"): update,
    ("POST", "subscription_schedules/*/cancel"): cancel,
    ("POST", "subscription_schedules/*/release"): release,
}
