"""The first line of finance's workbench, and cells of files that no spreadsheet runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accord.insight.proposals import Waiting
from accord.model.money import Money
from accord.reconcile.checking import Check, UnexplainedSum
from accord.web.exporting import cell
from accord.web.finance_words import first_line, quantity

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
CHECK = Check(NOW - timedelta(minutes=2), 0.4, 0, complete=True)


def lost(currency: str | None, amount: str, count: int = 1) -> UnexplainedSum:
    return UnexplainedSum(currency, count, Decimal(amount), NOW - timedelta(days=3))


def waits(count: int, amount: str, currency: str = "USD", status: str = "draft") -> Waiting:
    return Waiting(status, count, Money.of(amount, currency), NOW)


@pytest.mark.parametrize(
    ("checked", "found", "waiting", "said"),
    [
        (None, [], [], "What is unexplained was not looked at yet."),
        (CHECK, [], [], "Unexplained: 0 JPY and 0.00 USD."),
        (
            CHECK, [], [waits(1, "12.50"), waits(3, "7", "JPY", "held")],
            "Unexplained: 0 JPY and 0.00 USD. 1 invoice proposal over 12.50 USD waits for approval.",
        ),
        (
            CHECK, [lost("USD", "1680.00"), lost("JPY", "5", 2)], [waits(2, "1.00"), waits(1, "3", "JPY")],
            ("1,680.00 USD and 5 JPY cannot be explained: 3 things, known for 3 d. "
             "3 invoice proposals over 1.00 USD and 3 JPY wait for approval."),
        ),
        (CHECK, [lost(None, "0", 2)], [], "2 things without a price cannot be explained, known for 3 d."),
        (
            CHECK, [lost("USD", "1.00"), lost(None, "0", 2)], [],
            "1.00 USD cannot be explained: 3 things, known for 3 d; 2 more have no price.",
        ),
    ],
)  # fmt: skip
def test_the_first_line_says_what_is_unexplained_and_what_waits(
    checked: Check | None, found: list[UnexplainedSum], waiting: list[Waiting], said: str
) -> None:
    assert first_line(checked, found, ["USD", "JPY"], waiting, NOW).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1+1", "\uff1d1+1", "\uff20x", "\u00a0=1",
     "-2+3+cmd|' /C calc'!A0"],
)  # fmt: skip
def test_words_that_a_spreadsheet_would_run_are_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("-800.00"), "-800.00"), (Decimal("0E-20"), "0.00000000000000000000"), (-3, "-3"), (None, ""),
        (True, "yes"), (False, "no"), (date(2026, 11, 2), "2026-11-02"), (NOW, "2026-11-28T09:00:00+00:00"),
        ("anna = ben", "anna = ben"), ("", ""), ("'quoted", "'quoted"),
    ],
)  # fmt: skip
def test_what_accord_reckoned_stays_a_number(value: Any, said: str) -> None:
    assert cell(value) == said


def test_quantities_have_no_decimals_that_say_nothing() -> None:
    assert [quantity(Decimal(each)) for each in ("8", "0.25", "133.333333", "1200", "0")] == [
        "8", "0.25", "133.33", "1,200", "0"
    ]  # fmt: skip
    assert quantity(None) == "\u2013"
