"""Contract changes, with the examples that the standards themselves give."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.model.money import total
from accord.rules.allocation import NothingToShareBy
from accord.rules.revenue.modifications import (
    Added,
    Consequence,
    ExtendsNothing,
    Followed,
    Modification,
    Modified,
    NothingRemains,
    Standing,
    Treatment,
    modify,
)
from accord.rules.revenue.progress import Progress
from tests.rules.revenue.contracts import usd


def progress(done: int, whole: int) -> Progress:
    return Progress(Fraction(done), Fraction(whole), "by the new estimate")


def of(found: Modified, id: str) -> Consequence:
    return next(each for each in found.consequences if each.obligation_id == id)


# 120 products at 100 each, 60 delivered; 30 more are ordered (IFRS 15 IE19 to IE21, ASC 606-10-55-111 to 116).
SIXTY_OF_120 = Standing("products", usd(12000), usd(6000), progress(60, 120), True, usd(6000))


def test_distinct_and_at_its_own_price_is_a_separate_contract() -> None:
    """Example 5, case A: 30 more at 95 each, their stand-alone price that day."""
    found = modify([SIXTY_OF_120], Modification("CO-1", usd(2850), (Added("more", usd(2850)),)))
    assert found.treatment is Treatment.SEPARATE_CONTRACT
    assert of(found, "products").followed is Followed.UNCHANGED
    assert (of(found, "more").followed, of(found, "more").later) == (Followed.NEW, usd(2850))
    assert found.catch_up == usd(0)


def test_distinct_below_its_own_price_is_prospective() -> None:
    """Example 5, case B: 30 more at 80. The rest, 90 products, earns 6,000 + 2,400 = 8,400, or 93.33 each."""
    change = Modification("CO-1", usd(2400), (Added("more", usd(2850)),))
    rest = replace(SIXTY_OF_120, remaining_alone=usd(5700))
    found = modify([rest], change)
    assert found.treatment is Treatment.PROSPECTIVE
    assert of(found, "products").later + of(found, "more").later == usd(8400)
    assert [each.later for each in found.consequences] == [usd(5600), usd(2800)]
    assert found.catch_up == usd(0)
    assert of(found, "products").price == usd(11600)


def test_a_year_more_of_a_service_at_a_lower_price_is_prospective() -> None:
    """Example 7: three years at 100,000; after two, the third becomes 80,000 and three more come for 200,000.
    280,000 are earned over four years, 70,000 a year."""
    service = Standing("years 1 to 3", usd(300000), usd(200000), progress(2, 3), True, usd(80000))
    found = modify([service], Modification("CO-2", usd(180000), (Added("years 4 to 6", usd(240000)),)))
    assert found.treatment is Treatment.PROSPECTIVE
    assert [each.later for each in found.consequences] == [usd(70000), usd(210000)]


def test_not_distinct_is_caught_up() -> None:
    """Example 8: price 1,000,000, cost 700,000, 60 % done. The floor plan changes: price + 150,000, cost + 120,000, and
    a bonus of 200,000 becomes part of the price. 420/820 of 1,350,000 less 600,000 is earned at once; the standard
    rounds the progress to 51.2 % and comes to 91,200."""
    building = Standing("building", usd(1000000), usd(600000), progress(420, 820), False, usd(400000))
    found = modify([building], Modification("CO-3", usd(350000), changes_scope=True))
    assert found.treatment is Treatment.CATCH_UP
    assert found.catch_up == usd("91463.41")
    assert of(found, "building").price == usd(1350000)
    assert of(found, "building").later == usd(1350000) - usd(600000) - usd("91463.41")


def test_the_worked_contract_grows_by_a_change_order_that_is_not_distinct() -> None:
    """500,000 with 30 % recognised (features.md 3.4); a change order adds 60,000 of price and of cost to 300,000:
    90/360 of 560,000 is 140,000, so 10,000 of what was recognised is taken back."""
    build = Standing("build", usd(500000), usd(150000), progress(90, 360), False, usd(350000))
    found = modify([build], Modification("CO-4", usd(60000), (Added("extra", usd(60000), extends="build"),)))
    assert found.treatment is Treatment.CATCH_UP
    assert found.catch_up == usd(-10000)
    assert [each.obligation_id for each in found.consequences] == ["build"]


def test_some_of_each_is_mixed() -> None:
    """The build is not distinct from what is done, the run is: + 40,000 is shared 30,000 to 10,000 by what remains."""
    build = Standing("build", usd(500000), usd(150000), progress(90, 300), False, usd(300000))
    run = Standing("run", usd(120000), usd(20000), progress(1, 6), True, usd(100000))
    found = modify([build, run], Modification("CO-5", usd(40000), changes_scope=True))
    assert found.treatment is Treatment.MIXED
    assert (of(found, "build").price, of(found, "build").now) == (usd(530000), usd(9000))
    assert (of(found, "run").price, of(found, "run").now, of(found, "run").later) == (usd(130000), usd(0), usd(110000))


def test_a_satisfied_obligation_is_left_alone() -> None:
    done = Standing("done", usd(1000), usd(1000), progress(1, 1), True, usd(0))
    found = modify([done, SIXTY_OF_120], Modification("CO-6", usd(-600), changes_scope=True))
    assert of(found, "done").followed is Followed.UNCHANGED
    assert of(found, "products").price == usd(11400)


def test_an_obligation_that_was_satisfied_is_open_again_when_it_is_extended() -> None:
    done = Standing("done", usd(1000), usd(1000), progress(1, 1), False, usd(0))
    found = modify([done], Modification("CO-12", usd(200), (Added("more", usd(200), extends="done"),)))
    assert (of(found, "done").followed, of(found, "done").price) == (Followed.CATCH_UP, usd(1200))


def test_an_extension_weighs_with_what_it_extends() -> None:
    """Of + 60,000, two thirds go to the one whose rest is 100,000 and grows by 100,000 beside one of 100,000."""
    rows = [Standing(id, usd(200000), usd(100000), progress(1, 2), False, usd(100000)) for id in ("extended", "other")]
    found = modify(rows, Modification("CO-11", usd(60000), (Added("extra", usd(100000), extends="extended"),)))
    assert [each.price for each in found.consequences] == [usd(240000), usd(220000)]


def test_a_price_near_its_own_is_its_own_within_the_tolerance() -> None:
    """The seller may give what it saves by selling to an old customer (606-10-25-12 b)."""
    change = Modification("CO-7", usd(2750), (Added("more", usd(2850)),))
    assert modify([SIXTY_OF_120], change).treatment is Treatment.PROSPECTIVE
    assert modify([SIXTY_OF_120], change, Decimal("0.05")).treatment is Treatment.SEPARATE_CONTRACT
    conceded = replace(change, changes_scope=True)
    assert modify([SIXTY_OF_120], conceded, Decimal("0.05")).treatment is Treatment.PROSPECTIVE


def test_a_change_that_has_nothing_to_belong_to_is_refused() -> None:
    done = Standing("done", usd(1000), usd(1000), progress(1, 1), True, usd(0))
    with pytest.raises(NothingRemains, match=r"CO-8: -100.00 USD"):
        modify([done], Modification("CO-8", usd(-100), changes_scope=True))
    with pytest.raises(ExtendsNothing, match="CO-9 extends nobody"):
        modify([done], Modification("CO-9", usd(1), (Added("x", usd(1), extends="nobody"),)))
    with pytest.raises(NothingToShareBy):
        modify([replace(SIXTY_OF_120, remaining_alone=usd(0))], Modification("CO-10", usd(1), changes_scope=True))


STANDINGS = st.lists(
    st.tuples(st.integers(0, 10**8), st.integers(0, 10**8), st.integers(0, 100), st.booleans(), st.integers(0, 10**8)),
    min_size=1,
    max_size=5,
)


@given(
    rows=STANDINGS,
    units=st.integers(-(10**8), 10**8),
    added=st.lists(st.integers(1, 10**8), max_size=3),
    extends=st.booleans(),
)
def test_a_change_of_price_is_shared_out_to_the_cent(
    rows: list[tuple[int, int, int, bool, int]], units: int, added: list[int], *, extends: bool
) -> None:
    """What all obligations earn in all grows by the change, and nothing that was recognised is forgotten."""
    standing = [
        Standing(f"OBL-{n}", usd(price), usd(recognised), progress(done, 100), distinct, usd(alone))
        for n, (price, recognised, done, distinct, alone) in enumerate(rows)
    ]
    new = tuple(Added(f"NEW-{n}", usd(alone), "OBL-0" if extends and n == 0 else None) for n, alone in enumerate(added))
    try:
        found = modify(standing, Modification("CO", usd(units), new))
    except (NothingRemains, NothingToShareBy):
        assume(all(each.satisfied or not each.remaining_alone for each in standing) and not new)
        return
    grown = total((each.price for each in found.consequences), "USD")
    assert grown == total((each.price for each in standing), "USD") + usd(units)
    assert [each.recognised for each in found.consequences[: len(standing)]] == [each.recognised for each in standing]
    for each in found.consequences:
        if each.followed is not Followed.CATCH_UP:
            assert each.now == usd(0)
