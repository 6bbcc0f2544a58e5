"""Rates, caps, retainers, usage and expenses: the worked values, and what must hold for all."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import Money
from accord.model.terms import (
    BillingTerms,
    Cap,
    CapLevel,
    ExpenseRule,
    FixedFee,
    RateRow,
    Retainer,
    UsageRate,
    UsageTier,
)
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.rules.rating import Pricer, Rated
from accord.rules.rating.pricer import price_of
from accord.rules.rating.release import OverCap, release

DAY = date(2026, 11, 2)


def usd(amount: str) -> Money:
    return Money.of(amount, "USD")


ANNA = RateRow("R-anna", Money(Decimal("187.50"), "USD"), worker="anna")
BEN = RateRow("R-ben", usd("250.00"), worker="ben")
TERMS = BillingTerms("DEA-1", "US", 1, "USD", "CUS-1", rates=(ANNA, BEN))


def entry(hours: str = "8", worker: str = "anna", **changes: object) -> WorkEntry:
    base = WorkEntry(
        id="WRK-1", revision=1, kind=WorkKind.TIME, source="t", source_key="1", status=WorkStatus.APPROVED,
        worked_on=DAY, quantity=Decimal(hours), engagement_id="DEA-1", legal_entity="US", worker=worker,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def priced(pricer: Pricer, work: WorkEntry) -> Rated:
    rated = pricer.rate(work)
    assert isinstance(rated, Rated), rated
    assert sum(part.amount for part in rated.parts) == rated.amount
    return rated


def places(rated: Rated) -> list[tuple[str, str, str]]:
    return [(each.disposition, str(each.amount), str(each.quantity.normalize())) for each in rated.parts]


def capped(limit: str, level: CapLevel = CapLevel.CONTRACT, **more: object) -> BillingTerms:
    return replace(TERMS, caps=(Cap("CAP", level, usd(limit), **more),))  # type: ignore[arg-type]


def test_edge_06_cap_hit_mid_entry_is_split_to_the_cent_and_the_minute() -> None:
    """Source: features.md 3.4: 3,000 left; 8 h and 6 h at 187.50, 5 h at 250."""
    pricer = Pricer(capped("3000.00"))
    assert places(priced(pricer, entry("8"))) == [("wip", "1500.00", "8")]
    assert places(priced(pricer, entry("6"))) == [("wip", "1125.00", "6")]
    assert places(priced(pricer, entry("5", "ben"))) == [("wip", "375.00", "1.5"), ("over_cap", "875.00", "3.5")]
    assert places(priced(pricer, entry("1"))) == [("over_cap", "187.50", "1")]


def test_a_correction_gives_the_room_of_a_cap_back() -> None:
    pricer = Pricer(capped("1500.00"))
    priced(pricer, entry("8"))
    assert places(priced(pricer, entry("-2"))) == [("wip", "-375.00", "-2")]
    assert places(priced(pricer, entry("2"))) == [("wip", "375.00", "2")]


def test_edge_06_a_raised_cap_releases_first_in_first_out_or_as_chosen() -> None:
    over = [OverCap("B", 2, date(2026, 11, 4), Decimal(875)), OverCap("A", 1, DAY, Decimal(100))]
    assert [(each.item_id, each.amount) for each in release(over, Decimal(500))] == [
        ("A", Decimal(100)),
        ("B", Decimal(400)),
    ]
    assert [each.item_id for each in release(over, Decimal(500), chosen=("B",))] == ["B"]


def test_edge_07_of_several_caps_the_tightest_decides_and_all_are_used() -> None:
    caps = (
        Cap("PO", CapLevel.PURCHASE_ORDER, usd("1000.00")),
        Cap("LINE", CapLevel.LINE, usd("700.00"), applies_to="design"),
        Cap("GROUP", CapLevel.CUSTOMER, Money.of("5000.00", "EUR")),
    )

    def convert(amount: Decimal, from_: str, to: str, on: date) -> Decimal | None:
        return amount if from_ == to else amount * {"EURUSD": Decimal("1.10"), "USDEUR": Decimal("0.90")}[from_ + to]

    pricer = Pricer(replace(TERMS, caps=caps), convert=convert)
    assert places(priced(pricer, entry("4", "ben", task="design")))[0][:2] == ("wip", "700.00")
    assert places(priced(pricer, entry("2", "ben", task="build"))) == [
        ("wip", "300.00", "1.2"),
        ("over_cap", "200.00", "0.8"),
    ]
    assert pricer.counters.used == {
        "cap DEA-1 US PO": Decimal("1000.00"),
        "cap DEA-1 US LINE": Decimal("700.00"),
        "cap CUS-1 GROUP": Decimal("900.0000"),
    }


def test_edge_07_a_cap_in_a_currency_without_a_rate_bills_nothing_and_loses_nothing() -> None:
    terms = replace(TERMS, caps=(Cap("PO", CapLevel.PURCHASE_ORDER, Money.of("1000.00", "EUR")),))
    assert places(priced(Pricer(terms), entry("2"))) == [("over_cap", "375.00", "2")]


def test_the_most_specific_rate_row_wins_person_before_role_before_task() -> None:
    rows = (
        RateRow("any", usd("100.00")),
        RateRow("task", usd("110.00"), task="design"),
        RateRow("role", usd("120.00"), role="senior"),
        RateRow("person", usd("130.00"), worker="anna"),
        RateRow("person on task", usd("140.00"), worker="anna", task="design"),
    )
    pricer = Pricer(replace(TERMS, rates=rows))

    def row(worker: str, role: str, task: str) -> str | None:
        return priced(pricer, entry("1", worker, role=role, task=task)).rate_id

    assert row("anna", "senior", "design") == "person on task"
    assert row("anna", "senior", "build") == "person"
    assert row("ben", "senior", "design") == "role"
    assert row("ben", "junior", "design") == "task"
    assert row("ben", "junior", "build") == "any"


def test_a_rate_row_ends_before_its_last_day_and_a_later_one_overrides() -> None:
    rows = (
        RateRow("old", usd("100.00"), valid_to=date(2026, 11, 2)),
        RateRow("new", usd("120.00"), valid_from=date(2026, 11, 2)),
        RateRow("newer", usd("130.00"), valid_from=date(2026, 11, 5)),
    )
    pricer = Pricer(replace(TERMS, rates=rows))
    found = [priced(pricer, entry("1", worked_on=date(2026, 11, day))).rate_id for day in (1, 2, 4, 5)]
    assert found == ["old", "new", "new", "newer"]


def test_equal_work_is_told_apart_by_all_that_makes_its_price() -> None:
    """Prices of equal work are kept: rows may share a name, and each of these changes the price or its place."""
    rows = (
        RateRow("senior", usd("100.00"), valid_to=date(2026, 11, 2)),
        RateRow("senior", usd("120.00"), valid_from=date(2026, 11, 2)),
    )
    pricer = Pricer(replace(TERMS, rates=rows, non_billable_tasks=("internal",)))

    def found(**changes: object) -> tuple[str, str, Decimal | None]:
        rated = priced(pricer, entry("1", **{"worked_on": date(2026, 11, 2), **changes}))  # type: ignore[arg-type]
        return (str(rated.amount), rated.parts[0].disposition, rated.intercompany)

    for _ in range(2):
        assert found() == ("120.00", "wip", None)
        assert found(worked_on=date(2026, 11, 1)) == ("100.00", "wip", None)
        assert found(quantity=Decimal(2)) == ("240.00", "wip", None)
        assert found(task="internal") == ("120.00", "non_billable", None)
        assert found(billable=False) == ("120.00", "non_billable", None)
        assert found(worker_entity="DE") == ("120.00", "wip", Decimal("120.00"))


@pytest.mark.parametrize(
    ("rows", "code"),
    [((), "rate_missing"), ((RateRow("a", usd("1.00")), RateRow("b", usd("2.00"))), "rate_ambiguous")],
)
def test_a_rate_that_is_missing_or_not_clear_is_a_problem_never_a_guess(rows: tuple[RateRow, ...], code: str) -> None:
    found = Pricer(replace(TERMS, rates=rows)).rate(entry())
    assert isinstance(found, tuple)
    assert [each.code for each in found] == [code]


def test_work_that_is_not_billable_keeps_its_value() -> None:
    pricer = Pricer(replace(capped("10.00"), non_billable_tasks=("travel",)))
    assert places(priced(pricer, entry("2", task="travel"))) == [("non_billable", "375.00", "2")]
    assert places(priced(pricer, entry("2", billable=False))) == [("non_billable", "375.00", "2")]
    assert pricer.counters.used == {}


def test_edge_08_a_retainer_is_drawn_first_and_is_exhausted_in_the_middle_of_an_entry() -> None:
    retainer = Retainer("RET", usd("1000.00"), date(2026, 11, 1), 2)
    pricer = Pricer(replace(TERMS, retainer=retainer))
    assert places(priced(pricer, entry("4"))) == [("drawn", "750.00", "4")]
    assert places(priced(pricer, entry("2", "ben"))) == [("drawn", "250.00", "1"), ("wip", "250.00", "1")]
    assert places(priced(pricer, entry("2", worked_on=date(2026, 12, 1)))) == [("drawn", "375.00", "2")]
    assert places(priced(pricer, entry("2", worked_on=date(2027, 1, 4)))) == [("wip", "375.00", "2")]


def test_edge_08_what_is_left_of_a_retainer_rolls_over_and_then_expires() -> None:
    retainer = Retainer("RET", usd("1000.00"), date(2026, 10, 1), 12, rollover_months=1)
    pricer = Pricer(replace(TERMS, retainer=retainer))
    # October's 1,000 are left: November has 2,000, and October's go first.
    assert places(priced(pricer, entry("8", "ben"))) == [("drawn", "2000.00", "8")]
    # In January only December's and January's are left: November's, and October's, are over.
    january = entry("12", "ben", worked_on=date(2027, 1, 4))
    assert places(priced(pricer, january)) == [("drawn", "2000.00", "8"), ("wip", "1000.00", "4")]


def test_edge_02_a_correction_gives_back_to_the_retainer() -> None:
    pricer = Pricer(replace(TERMS, retainer=Retainer("RET", usd("1000.00"), date(2026, 11, 1), 1)))
    priced(pricer, entry("8"))
    assert places(priced(pricer, entry("-8"))) == [("drawn", "-1000.00", "-5.333333"), ("wip", "-500.00", "-2.666667")]


TIERS = (
    UsageTier(Decimal(0), Money(Decimal("0.10"), "USD")),
    UsageTier(Decimal(1000), Money(Decimal("0.08"), "USD")),
)


def test_usage_crosses_a_tier_within_the_month_and_a_correction_comes_back_over_it() -> None:
    pricer = Pricer(replace(TERMS, usage=(UsageRate("U", "call", TIERS),)))

    def use(units: str, on: date = DAY) -> str:
        work = entry(units, kind=WorkKind.USAGE, unit="call", worked_on=on)
        return str(priced(pricer, work).amount)

    assert [use("900"), use("200"), use("-200"), use("900", date(2026, 12, 1))] == ["90.00", "18.00", "-18.00", "90.00"]


def test_a_volume_price_applies_to_all_units_once_it_is_reached() -> None:
    pricer = Pricer(replace(TERMS, usage=(UsageRate("U", "call", TIERS, graduated=False),)))
    amounts = [priced(pricer, entry(n, kind=WorkKind.USAGE, unit="call")).amount for n in ("1000", "500")]
    assert amounts == [Decimal("100.00"), Decimal("20.00")]  # 1,500 at 0.08


def reached(percent: str, fee: str = "Design") -> WorkEntry:
    return entry(percent, kind=WorkKind.USAGE, unit="percent", task=fee)


FEE = replace(TERMS, fixed_fees=(FixedFee("Design", usd("100.01"), "SOW 3"),))


def test_a_fixed_fee_is_billed_by_progress_to_the_last_cent() -> None:
    pricer = Pricer(FEE)
    amounts = [str(priced(pricer, reached(step)).amount) for step in ("33.3333", "33.3333", "33.3334")]
    assert amounts == ["33.34", "33.33", "33.34"]
    assert str(priced(pricer, reached("-100")).amount) == "-100.01"


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (reached("100.01"), "progress_beyond_fee"),
        (reached("-1"), "progress_beyond_fee"),
        (reached("10", "Build"), "fixed_fee_missing"),
    ],
)
def test_progress_that_cannot_be_is_a_problem_and_counts_nothing(work: WorkEntry, code: str) -> None:
    pricer = Pricer(FEE)
    rated = pricer.rate(work)
    assert isinstance(rated, tuple)
    assert [each.code for each in rated] == [code]
    assert priced(pricer, reached("100")).amount == Decimal("100.01")


@given(st.lists(st.decimals("0.01", "20", places=2), min_size=1, max_size=5), st.data())
def test_whatever_progress_is_taken_back_and_told_anew_a_whole_fee_is_billed_whole(
    steps: list[Decimal], data: st.DataObject
) -> None:
    """A revision takes its item back with what it added to the counters, as the ledger does."""
    pricer = Pricer(FEE)
    billed = [priced(pricer, reached(str(step))) for step in steps]
    again = data.draw(st.integers(0, len(steps) - 1))
    taken = billed.pop(again)
    for name, added in taken.used:
        pricer.counters.used[name] -= added
    billed.append(priced(pricer, reached(str(Decimal(100) - sum(steps) + steps[again]))))
    assert sum(each.amount for each in billed) == Decimal("100.01")


def test_expenses_have_mark_up_receipts_limits_and_tax() -> None:
    rules = (
        ExpenseRule("hotel", "hotel", mark_up=Decimal(10), receipt_above=usd("50.00"), limit=usd("200.00")),
        ExpenseRule("other", None, principal=False),
        ExpenseRule("meal", "meal", billable=False),
    )
    pricer = Pricer(replace(TERMS, expenses=rules))

    def spend(amount: str, category: str, receipt: str | None = "r.pdf", tax: str = "0.00") -> list[tuple[str, str]]:
        work = entry(
            "1", kind=WorkKind.EXPENSE, unit="item", category=category, cost=usd(amount), receipt=receipt,
            tax_included=usd(tax),
        )  # fmt: skip
        return [(each.disposition, str(each.amount)) for each in priced(pricer, work).parts]

    assert spend("119.00", "hotel", tax="19.00") == [("wip", "110.00")]
    assert spend("119.00", "taxi", tax="19.00") == [("wip", "119.00")]  # an agent passes the receipt through
    assert spend("119.00", "hotel", receipt=None) == [("held", "130.90")]
    assert spend("300.00", "hotel") == [("wip", "200.00"), ("non_billable", "130.00")]
    assert spend("20.00", "meal") == [("non_billable", "20.00")]


def test_edge_12_work_for_another_legal_entity_has_its_transfer_price() -> None:
    pricer = Pricer(replace(TERMS, intercompany_percentage=Decimal(80)))
    assert priced(pricer, entry("8", worker_entity="DE")).intercompany == Decimal("1200.00")
    assert priced(pricer, entry("8", worker_entity="US")).intercompany is None


@pytest.mark.parametrize(
    ("currency", "rate", "amount"), [("JPY", "10001", "3334"), ("KWD", "10.001", "3.334"), ("USD", "10.01", "3.34")]
)
def test_edge_13_each_currency_has_its_own_minor_unit(currency: str, rate: str, amount: str) -> None:
    rows = (RateRow("R", Money(Decimal(rate), currency)),)
    pricer = Pricer(replace(TERMS, currency=currency, rates=rows))
    assert str(priced(pricer, entry("0.3334")).amount) == amount


def test_steps_and_discounts() -> None:
    pricer = Pricer(replace(TERMS, minutes_step=15, discount=Decimal(5)))
    rated = priced(pricer, entry("1.1", "ben"))
    assert (rated.quantity, rated.amount) == (Decimal("1.25"), Decimal("296.88"))


HOURS = st.decimals(min_value=-12, max_value=24, places=2)


@given(st.lists(st.tuples(HOURS, st.sampled_from(["anna", "ben"])), max_size=40), st.integers(0, 20_000))
def test_whatever_is_worked_no_cap_is_passed_and_no_cent_is_lost(work: list[tuple[Decimal, str]], limit: int) -> None:
    pricer = Pricer(capped(f"{limit}.00"))
    placed = Decimal(0)
    for hours, worker in work:
        rated = priced(pricer, entry(str(hours), worker))
        placed += sum(part.amount for part in rated.parts if part.disposition == "wip")
        assert placed <= limit
        assert sum((part.quantity for part in rated.parts), Decimal(0)) == rated.quantity
        assert pricer.counters.used["cap DEA-1 US CAP"] == placed


@given(units=st.lists(st.integers(-500, 1500), max_size=20), graduated=st.booleans())
def test_metered_units_cost_what_the_month_costs_in_any_order(units: list[int], *, graduated: bool) -> None:
    rate = UsageRate("U", "call", TIERS, graduated=graduated)
    pricer = Pricer(replace(TERMS, usage=(rate,)))
    billed = sum(
        (priced(pricer, entry(str(each), kind=WorkKind.USAGE, unit="call")).amount for each in units), Decimal(0)
    )
    assert billed == price_of(rate, Decimal(sum(units))).quantize(Decimal("0.01"))


def test_work_that_is_worth_nothing_draws_nothing_from_a_retainer_that_is_overdrawn() -> None:
    """A correction that is taken back may leave a month drawn above what was prepaid for it."""
    retainer = Retainer("RET", usd("1000.00"), date(2026, 11, 1), 1)
    drawn = {"retainer DEA-1 US RET 2026-11": Decimal("1150.00")}
    assert places(priced(Pricer(replace(TERMS, retainer=retainer), drawn), entry("0"))) == [("wip", "0.00", "0")]
