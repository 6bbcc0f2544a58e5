"""Schedules and subscriptions: phases, cycle invoices, changes and ends."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.sandbox.stripe.periods import boundary, period_after, periods_until


def _price(caller: Any, product: str = "SUB-1", amount: int = 500000, currency: str = "jpy") -> str:
    if not any(row["id"] == product for row in caller.simulator.dump()["product"]):
        caller.post("products", {"id": product, "name": "Managed service"})
    form = {"product": product, "currency": currency, "unit_amount": amount, "recurring[interval]": "month"}
    return str(caller.post("prices", form)["id"])


def _schedule(caller: Any, months: int = 12, **more: Any) -> Any:
    form = {
        "customer": caller.customer(),
        "start_date": "now",
        "end_behavior": "cancel",
        "metadata[accord_id]": "SUB-1",
        "default_settings[collection_method]": "send_invoice",
        "default_settings[invoice_settings][days_until_due]": 30,
        "phases[0][items][0][price]": _price(caller),
        "phases[0][duration][interval]": "month",
        "phases[0][duration][interval_count]": months,
        "phases[0][metadata][accord_id]": "SUB-1",
        "phases[0][proration_behavior]": "none",
    }
    return caller.post("subscription_schedules", {**form, **more})


def _cycle_invoices(caller: Any) -> list[dict[str, Any]]:
    return [row for row in caller.simulator.dump()["invoice"] if row["parent"]]


def test_twelve_months_give_twelve_invoices_and_then_the_end(caller: Any) -> None:
    schedule = _schedule(caller)
    for _ in range(14):
        caller.shift(days=31)
    invoices = _cycle_invoices(caller)
    assert [row["billing_reason"] for row in invoices] == ["subscription_create"] + ["subscription_cycle"] * 11
    assert {row["status"] for row in invoices} == {"open"}
    assert {row["total"] for row in invoices} == {500000}
    assert caller.get(f"subscription_schedules/{schedule['id']}")["status"] == "completed"
    assert caller.get(f"subscriptions/{schedule['subscription']}")["status"] == "canceled"


def test_one_long_shift_does_the_same_as_many_short_ones(caller: Any) -> None:
    _schedule(caller)
    caller.shift(days=400)
    dates = [datetime.fromtimestamp(row["created"], UTC) for row in _cycle_invoices(caller)]
    assert [(date.day, date.hour) for date in dates] == [(23, 9)] * 12
    assert [date.month for date in dates] == [11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    created = [each["created"] for each in caller.simulator.dump()["event"]]
    assert created == sorted(created)


def test_a_cycle_invoice_is_a_draft_for_an_hour(caller: Any) -> None:
    _schedule(caller)
    invoice = _cycle_invoices(caller)[0]["id"]
    assert caller.get(f"invoices/{invoice}")["status"] == "draft"
    caller.shift(hours=1)
    assert caller.get(f"invoices/{invoice}")["status"] == "open"


def test_the_line_carries_the_period_ahead_and_the_invoice_the_one_behind(caller: Any) -> None:
    _schedule(caller)
    caller.shift(days=31)
    invoice = _cycle_invoices(caller)[1]
    line = invoice["lines"]["data"][0]
    assert line["period"]["start"] == invoice["period_end"] == invoice["created"]
    assert datetime.fromtimestamp(invoice["period_start"], UTC).month == 11
    details = invoice["parent"]["subscription_details"]
    assert details["metadata"] == {"accord_id": "SUB-1"}
    assert line["parent"]["subscription_item_details"]["subscription"] == details["subscription"]


def test_the_subscription_shows_its_period_on_its_items_only(caller: Any) -> None:
    subscription = caller.get(f"subscriptions/{_schedule(caller)['subscription']}")
    assert "current_period_end" not in subscription
    assert subscription["items"]["data"][0]["current_period_end"] > subscription["created"]
    assert subscription["collection_method"] == "send_invoice"


def test_iterations_are_no_longer_known_to_the_pinned_version(caller: Any) -> None:
    with pytest.raises(AssertionError, match="parameter_unknown"):
        _schedule(caller, **{"phases[0][iterations]": 3})


def test_a_schedule_for_later_starts_on_its_day(caller: Any) -> None:
    start = int(caller.clock.now().timestamp()) + 10 * 86400
    schedule = _schedule(caller, start_date=start)
    assert (schedule["status"], schedule["subscription"]) == ("not_started", None)
    caller.shift(days=11)
    started = caller.get(f"subscription_schedules/{schedule['id']}")
    assert started["status"] == "active"
    assert _cycle_invoices(caller)[0]["created"] == start


def test_a_schedule_from_the_past_bills_what_has_passed_in_its_first_invoice(caller: Any) -> None:
    start = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())
    _schedule(caller, start_date=start)
    lines = _cycle_invoices(caller)[0]["lines"]["data"]
    assert [datetime.fromtimestamp(line["period"]["start"], UTC).month for line in lines] == [9, 10, 11]


def test_phases_follow_each_other_at_their_own_price(caller: Any) -> None:
    more = {
        "phases[1][items][0][price]": _price(caller, amount=600000),
        "phases[1][duration][interval]": "month",
        "phases[1][duration][interval_count]": 2,
    }
    _schedule(caller, months=2, **more)
    caller.shift(days=200)
    assert [row["total"] for row in _cycle_invoices(caller)] == [500000, 500000, 600000, 600000]
    assert caller.simulator.dump()["invoiceitem"] == []  # the change falls on a boundary: nothing to prorate


def test_a_phase_can_bill_something_once(caller: Any) -> None:
    caller.post("products", {"id": "SETUP", "name": "Set-up"})
    once = caller.post("prices", {"product": "SETUP", "currency": "jpy", "unit_amount": 90000})["id"]
    _schedule(caller, months=2, **{"phases[0][add_invoice_items][0][price]": once})
    caller.shift(days=90)
    assert [row["total"] for row in _cycle_invoices(caller)] == [590000, 500000]


def test_a_schedule_that_releases_leaves_the_subscription_running(caller: Any) -> None:
    schedule = _schedule(caller, months=1, end_behavior="release")
    caller.shift(days=65)
    shown = caller.get(f"subscription_schedules/{schedule['id']}")
    assert (shown["status"], shown["released_subscription"]) == ("released", schedule["subscription"])
    assert len(_cycle_invoices(caller)) == 3


def test_a_canceled_schedule_bills_no_more_and_its_draft_does_not_go_out(caller: Any) -> None:
    schedule = _schedule(caller)
    form = {"invoice_now": "false", "prorate": "false"}
    assert caller.post(f"subscription_schedules/{schedule['id']}/cancel", form)["status"] == "canceled"
    caller.shift(days=90)
    assert [(row["status"], row["auto_advance"]) for row in _cycle_invoices(caller)] == [("draft", False)]
    assert "not_started" in caller.refused("POST", f"subscription_schedules/{schedule['id']}/cancel")["message"]


def test_a_change_within_a_period_is_prorated_unless_told_otherwise(caller: Any) -> None:
    schedule = _schedule(caller)
    caller.shift(days=15)
    phase = {
        "phases[0][start_date]": schedule["current_phase"]["start_date"],
        "phases[0][end_date]": schedule["current_phase"]["end_date"],
        "phases[0][items][0][price]": _price(caller, amount=800000),
    }
    caller.post(f"subscription_schedules/{schedule['id']}", phase)
    amounts = [row["amount"] for row in caller.simulator.dump()["invoiceitem"]]
    assert amounts == [-250000, 400000]  # 15 of 30 days at the old price back, at the new price charged
    caller.shift(days=16)
    assert _cycle_invoices(caller)[1]["total"] == 800000 + 150000


def test_an_update_must_keep_the_current_phase(caller: Any) -> None:
    schedule = _schedule(caller)
    caller.shift(days=15)
    form = {
        "phases[0][start_date]": schedule["current_phase"]["start_date"] + 5,
        "phases[0][items][0][price]": _price(caller),
    }
    assert "current phase" in caller.refused("POST", f"subscription_schedules/{schedule['id']}", form)["message"]


def test_a_schedule_that_ends_earlier_after_an_update_stops_earlier(caller: Any) -> None:
    schedule = _schedule(caller)
    form = {
        "phases[0][start_date]": schedule["current_phase"]["start_date"],
        "phases[0][items][0][price]": schedule["phases"][0]["items"][0]["price"],
        "phases[0][duration][interval]": "month",
        "phases[0][duration][interval_count]": 2,
        "phases[0][collection_method]": "send_invoice",
        "phases[0][invoice_settings][days_until_due]": 30,
        "proration_behavior": "none",
    }
    caller.post(f"subscription_schedules/{schedule['id']}", form)
    caller.shift(days=365)
    assert len(_cycle_invoices(caller)) == 2


def test_an_overdue_invoice_makes_the_subscription_past_due_until_paid(caller: Any) -> None:
    schedule = _schedule(caller)
    caller.shift(days=31)
    assert caller.get(f"subscriptions/{schedule['subscription']}")["status"] == "past_due"
    caller.simulator.admin("pay_invoice", {"invoice": _cycle_invoices(caller)[0]["id"]})
    assert caller.get(f"subscriptions/{schedule['subscription']}")["status"] == "active"


def test_the_31st_does_not_drift() -> None:
    anchor = int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp())
    ends = [datetime.fromtimestamp(boundary(anchor, "month", 1, n), UTC) for n in (1, 2, 3)]
    assert [(end.month, end.day) for end in ends] == [(2, 28), (3, 31), (4, 30)]


@given(
    anchor=st.integers(min_value=1_600_000_000, max_value=2_000_000_000),
    interval=st.sampled_from(["day", "week", "month", "year"]),
    count=st.integers(min_value=1, max_value=4),
    number=st.integers(min_value=0, max_value=40),
)
def test_the_period_after_a_boundary_starts_there_and_ends_at_the_next(
    anchor: int, interval: str, count: int, number: int
) -> None:
    start = boundary(anchor, interval, count, number)
    assert period_after(anchor, interval, count, start) == (
        start,
        boundary(anchor, interval, count, number + 1),
    )


def test_periods_until_now_leave_no_gap() -> None:
    anchor = int(datetime(2026, 1, 31, tzinfo=UTC).timestamp())
    now = int(datetime(2026, 6, 15, tzinfo=UTC).timestamp())
    periods = periods_until(anchor, "month", 1, now)
    assert all(one[1] == two[0] for one, two in pairwise(periods))
    assert periods[-1][0] <= now < periods[-1][1]
