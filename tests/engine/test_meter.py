"""The pace of writes at a vendor: what was done, corrected by sends that take longer, untouched by an outage."""

from __future__ import annotations

import pytest

from accord.engine.meter import Meter, Pace


class Hands:
    moment = 0.0

    def __call__(self) -> float:
        return self.moment


def test_the_pace_is_what_the_sends_got_done_times_how_many_run() -> None:
    hands = Hands()
    meter = Meter(hands)
    assert meter.read() is None
    for _ in range(3):
        pair = [meter.begin(100), meter.begin(100)]
        meter.read()
        hands.moment += 50
        for each in pair:
            meter.end(each, 100)
    meter.begin(100), meter.begin(100)
    hands.moment += 10
    assert meter.read() == Pace(per_second=pytest.approx(4.0), begun=pytest.approx(40.0))


def test_a_send_that_takes_longer_than_any_before_says_so_while_it_runs() -> None:
    hands = Hands()
    meter = Meter(hands)
    first = meter.begin(1)
    meter.read()
    hands.moment += 0.1
    meter.end(first, 1)
    meter.begin(100)
    hands.moment += 200
    pace = meter.read()
    assert pace is not None
    assert pace.per_second == pytest.approx(0.5)


def test_sends_of_an_outage_say_nothing() -> None:
    hands = Hands()
    meter = Meter(hands)
    for done in (10, 0, 0, 0):
        each = meter.begin(10)
        meter.read()
        hands.moment += 5
        meter.end(each, done)
    assert meter.read() == Pace(per_second=pytest.approx(2.0), begun=0)
