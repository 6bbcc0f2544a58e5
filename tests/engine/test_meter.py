"""The pace of writes at a vendor: what those of each kind took lately, corrected by sends that take longer, and
untouched by an outage."""

from __future__ import annotations

import pytest

from accord.engine.meter import Meter, Pace, cost_of_each


class Hands:
    moment = 0.0

    def __call__(self) -> float:
        return self.moment


def each_of(pace: Pace | None, kind: str) -> float:
    assert pace is not None
    return cost_of_each([pace.costs[kind]])


def test_a_kind_costs_what_its_sends_took_and_as_many_run_as_ran() -> None:
    hands = Hands()
    meter = Meter(hands)
    assert meter.read() is None
    for _ in range(3):
        slow, quick = meter.begin("customer", 10), meter.begin("task", 100)
        meter.read()
        hands.moment += 50
        meter.end(slow, 10)
        meter.end(quick, 100)
    pace = meter.read()
    assert each_of(pace, "customer") == pytest.approx(5.0)
    assert each_of(pace, "task") == pytest.approx(0.5)
    assert pace is not None
    assert pace.under_way == pytest.approx(2.0)


def test_what_it_takes_now_counts_more_than_what_it_took() -> None:
    hands = Hands()
    meter = Meter(hands)
    for seconds in (1, *[3] * 20):
        number = meter.begin("task", 1)
        meter.read()
        hands.moment += seconds
        meter.end(number, 1)
    assert each_of(meter.read(), "task") == pytest.approx(3.0, rel=0.05)


def test_a_send_that_takes_longer_than_any_before_says_so_while_it_runs() -> None:
    hands = Hands()
    meter = Meter(hands)
    first = meter.begin("task", 1)
    meter.read()
    hands.moment += 0.1
    meter.end(first, 1)
    meter.begin("task", 100)
    meter.begin("customer", 10)  # nobody knows what one costs; but not more than so much, as all do
    hands.moment += 200
    pace = meter.read()
    assert each_of(pace, "task") == pytest.approx(2.0)
    assert each_of(pace, "customer") == pytest.approx(20.0)


def test_sends_of_an_outage_say_nothing() -> None:
    hands = Hands()
    meter = Meter(hands)
    for done in (10, 0, 0, 0):
        each = meter.begin("task", 10)
        meter.read()
        hands.moment += 5
        meter.end(each, done)
    assert each_of(meter.read(), "task") == pytest.approx(0.5)


def test_what_was_under_way_in_an_outage_does_not_count_and_what_ran_before_is_told_meanwhile() -> None:
    """A send that waited for the vendor to be back took hours, which no other will. How many go at once is told from
    before, as resting, and anew as soon as one comes back."""
    hands = Hands()
    meter = Meter(hands)
    before = [meter.begin("task", 10) for _ in range(4)]
    meter.read()
    hands.moment += 20
    for each in before:
        meter.end(each, 10)
    waiting, failing = meter.begin("task", 10), meter.begin("invoice", 1)
    hands.moment += 1
    meter.end(failing, 0)
    hands.moment += 3600
    pace = meter.read()
    assert pace is not None
    assert (pace.resting, round(pace.under_way)) == (True, 4)
    meter.begin("task", 10)
    hands.moment += 1
    meter.end(waiting, 10)
    pace = meter.read()
    assert pace is not None
    assert (pace.resting, pace.under_way) == (False, 2.0)
    assert each_of(pace, "task") == pytest.approx(2.0)
    assert "invoice" not in pace.costs
