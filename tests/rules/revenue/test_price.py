"""The transaction price, its constraint and its allocation."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money, total
from accord.rules.revenue.price import (
    Constraint,
    Estimate,
    ObligationUnknown,
    Outcome,
    ProbabilitiesDoNotAddUp,
    TransactionPrice,
    VariableConsideration,
    allocate_price,
    constrain,
    residual_price,
    transaction_price,
)
from tests.rules.revenue.contracts import obligation, usd

PROBABLE = Constraint(Decimal("0.8"), version=1)


def variable(
    *outcomes: tuple[int, str], by: Estimate = Estimate.MOST_LIKELY, belongs_to: str | None = None
) -> VariableConsideration:
    told = tuple(Outcome(usd(amount), Decimal(chance)) for amount, chance in outcomes)
    return VariableConsideration("VAR-1", "Bonus", told, by, belongs_to)


@pytest.mark.parametrize(
    ("outcomes", "by", "estimate", "included"),
    [
        # A bonus of 50,000 at 85 % is most likely and probable.
        (((50000, "0.85"), (0, "0.15")), Estimate.MOST_LIKELY, 50000, 50000),
        # At 70 % it is most likely, but a reversal would not be improbable.
        (((50000, "0.70"), (0, "0.30")), Estimate.MOST_LIKELY, 50000, 0),
        # Steps of a bonus: 90 % reach at least 20,000, so that much is safe.
        (((0, "0.10"), (20000, "0.30"), (40000, "0.60")), Estimate.EXPECTED_VALUE, 30000, 20000),
        # The estimate is the ceiling: all reach 10,000, the expected value is 19,000, 80 % reach 20,000.
        (((10000, "0.10"), (20000, "0.90")), Estimate.EXPECTED_VALUE, 19000, 19000),
        # A penalty for delay of 30,000 at 25 % is not improbable, so it is taken off.
        (((0, "0.75"), (-30000, "0.25")), Estimate.MOST_LIKELY, 0, -30000),
        # Exactly the threshold is enough.
        (((50000, "0.80"), (0, "0.20")), Estimate.MOST_LIKELY, 50000, 50000),
        (((0, "0.5"), (10, "0.5")), Estimate.MOST_LIKELY, 0, 0),
    ],
)
def test_variable_consideration_is_estimated_and_constrained(
    outcomes: tuple[tuple[int, str], ...], by: Estimate, estimate: int, included: int
) -> None:
    found = constrain(variable(*outcomes, by=by), PROBABLE)
    assert (found.estimate, found.included) == (usd(estimate), usd(included))
    assert found.constrained == usd(estimate - included)


def test_the_worked_allocation_by_stand_alone_price() -> None:
    """features.md 3.4: 600/250/150 of 900,000 is 540,000/225,000/135,000."""
    promises = [obligation(id=str(alone), stand_alone_price=usd(alone)) for alone in (600000, 250000, 150000)]
    parts = allocate_price(TransactionPrice(usd(900000)), promises)
    assert [str(each.total.amount) for each in parts] == ["540000.00", "225000.00", "135000.00"]


def test_what_belongs_to_one_obligation_alone_goes_there() -> None:
    promises = [obligation(id="build", stand_alone_price=usd(600)), obligation(id="run", stand_alone_price=usd(400))]
    price = transaction_price(
        usd(900),
        [variable((50, "1"), belongs_to="run"), variable((100, "1"))],
        PROBABLE,
    )
    assert price.total == usd(1050)
    parts = allocate_price(price, promises)
    assert [(each.shared, each.alone, each.total) for each in parts] == [
        (usd(600), usd(0), usd(600)),
        (usd(400), usd(50), usd(450)),
    ]
    with pytest.raises(ObligationUnknown, match="VAR-1 belongs to run"):
        allocate_price(price, promises[:1])


@pytest.mark.parametrize("outcomes", [(), ((1, "0.5"),), ((1, "1.5"), (2, "-0.5"))])
def test_probabilities_add_up_to_one(outcomes: tuple[tuple[int, str], ...]) -> None:
    with pytest.raises(ProbabilitiesDoNotAddUp):
        constrain(variable(*outcomes), PROBABLE)


def test_a_threshold_is_a_probability() -> None:
    with pytest.raises(ValueError, match="no probability"):
        Constraint(Decimal(0), version=1)


def test_a_residual_price_is_what_the_others_leave() -> None:
    assert residual_price(usd(1000), [usd(600), usd(250)]) == usd(150)
    with pytest.raises(ValueError, match="nothing is left"):
        residual_price(usd(800), [usd(600), usd(250)])


@given(
    alone=st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any),
    units=st.integers(0, 10**12),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_an_allocated_price_adds_up(alone: list[int], units: int, currency: str) -> None:
    price = Money.from_minor(units, currency)
    promises = [
        obligation(id=str(n), stand_alone_price=Money.from_minor(each, currency)) for n, each in enumerate(alone)
    ]
    parts = allocate_price(TransactionPrice(price), promises)
    assert total((each.total for each in parts), currency) == price
    for part, weight in zip(parts, alone, strict=True):
        assert abs(part.total.minor - Fraction(units * weight, sum(alone))) < 1


@given(
    chances=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    amounts=st.lists(st.integers(-(10**6), 10**6), min_size=6, max_size=6, unique=True),
    by=st.sampled_from(Estimate),
)
def test_what_is_included_is_never_more_than_the_estimate_and_is_reached_as_often_as_the_policy_asks(
    chances: list[int], amounts: list[int], by: Estimate
) -> None:
    # Parts of a power of two have exact decimals.
    rest = 1024 - sum(chances)
    outcomes = [(amount, str(Decimal(n) / 1024)) for amount, n in zip(amounts, [*chances, rest], strict=False)]
    if len(outcomes) <= len(chances):
        outcomes[-1] = (outcomes[-1][0], str(Decimal(outcomes[-1][1]) + Decimal(rest) / 1024))
    found = constrain(variable(*outcomes, by=by), PROBABLE)
    assert found.included <= found.estimate
    reached = sum(Decimal(chance) for amount, chance in outcomes if usd(amount) >= found.included)
    assert reached >= PROBABLE.threshold
