"""Why an obligation's revenue is over time, and by which measure, is stored and checked."""

from datetime import date
from decimal import Decimal

import pytest

from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow, Retainer, UsageRate, UsageTier
from accord.rules.revenue.obligations import (
    Criterion,
    Method,
    Milestone,
    Obligation,
    OverTime,
    change_of_method,
    problems_of,
)
from accord.rules.revenue.right_to_invoice import warnings
from tests.rules.revenue.contracts import CONSUMED, obligation, usd

LEGAL = Criterion(OverTime.NO_ALTERNATIVE_USE, ("built to their data model", "MSA 12: paid for work done if ended"))


@pytest.mark.parametrize("method", Method)
def test_a_complete_obligation_has_no_problems(method: Method) -> None:
    assert problems_of(obligation(method)) == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (obligation(Method.HOURS, criterion=None), "criterion_missing"),
        (obligation(Method.POINT_IN_TIME, criterion=CONSUMED), "method_not_allowed"),
        (obligation(criterion=Criterion(OverTime.CONSUMED_AS_PERFORMED, (" ",))), "evidence_missing"),
        (obligation(criterion=Criterion(OverTime.NO_ALTERNATIVE_USE, ("one of two",))), "evidence_missing"),
        (obligation(Method.STRAIGHT_LINE, ends_on=None), "term_missing"),
        (obligation(Method.STRAIGHT_LINE, ends_on=date(2025, 1, 1)), "term_reversed"),
        (obligation(Method.MILESTONES, milestones=()), "milestones_missing"),
        (obligation(Method.MILESTONES, milestones=(Milestone("a", Decimal(0)),)), "milestones_missing"),
        (obligation(Method.MILESTONES, depicts_transfer=None), "transfer_not_depicted"),
    ],
)
def test_what_is_missing_is_named(wrong: Obligation, code: str) -> None:
    assert [each.code for each in problems_of(wrong)] == [code]


def test_the_right_to_payment_needs_both_pieces_of_evidence() -> None:
    assert problems_of(obligation(criterion=LEGAL)) == []


def test_the_method_stays() -> None:
    assert change_of_method(obligation(), obligation(stand_alone_price=usd(1))) is None
    problem = change_of_method(obligation(), obligation(Method.HOURS))
    assert problem is not None
    assert problem.message == "Build went from cost to cost to hours after revenue was measured."


def terms(**changes: object) -> BillingTerms:
    rates = (RateRow("R1", usd(200), role="architect"), RateRow("R2", usd(150), role="developer"))
    given = {"rates": rates, **changes}
    return BillingTerms("ENG-1", "US", 1, "USD", "CUS-1", **given)  # type: ignore[arg-type]


def rate(id: str, amount: int, on: date) -> RateRow:
    return RateRow(id, usd(amount), role="architect", valid_from=on)


RISING = (rate("R1", 200, date(2026, 1, 1)), rate("R2", 210, date(2027, 1, 1)))


@pytest.mark.parametrize(
    ("found", "code", "message"),
    [
        (
            terms(caps=(Cap("C1", CapLevel.CONTRACT, usd(50000)),)),
            "right_to_invoice_capped",
            "What may be invoiced is capped (contract 50000.00 USD).",
        ),
        (
            terms(rates=RISING),
            "right_to_invoice_rates_change",
            "The rate of architect changes over time: 200.00 USD, then 210.00 USD an hour.",
        ),
        (
            terms(retainer=Retainer("T1", usd(10000), date(2026, 1, 1), 12)),
            "right_to_invoice_retainer",
            "10000.00 USD is paid ahead as a retainer, whenever work is done.",
        ),
        (
            terms(usage=(UsageRate("U1", "call", (UsageTier(Decimal(0), usd(2)), UsageTier(Decimal(9), usd(1)))),)),
            "right_to_invoice_volume_discount",
            "The price of a call depends on how many are used.",
        ),
        (
            terms(discount=Decimal(5)),
            "right_to_invoice_discount",
            "5 % are taken off each rate; a discount by volume or paid later would not correspond.",
        ),
    ],
)
def test_what_puts_the_right_to_invoice_in_question(found: BillingTerms, code: str, message: str) -> None:
    """features.md 3.4: not automatically valid with caps, rising or falling rates, retainers, volume discounts."""
    assert [(each.code, each.message) for each in warnings(found)] == [(code, message)]


def test_plain_time_and_material_has_the_right_to_invoice() -> None:
    assert warnings(terms()) == []
    same = (rate("R1", 200, date(2026, 1, 1)), rate("R2", 200, date(2027, 1, 1)))
    assert warnings(terms(rates=same)) == []
    level = (UsageTier(Decimal(0), usd(2)), UsageTier(Decimal(9), usd(2)))
    assert warnings(terms(usage=(UsageRate("U1", "call", level),))) == []
