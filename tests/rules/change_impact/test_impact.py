"""What a contract change would do, to the cent, before it is applied."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.money import CurrenciesDiffer, Money
from accord.model.terms import Cap, CapLevel, RateRow, Retainer
from accord.rules.change_impact.change import (
    Area,
    CapUse,
    ContractChange,
    Cost,
    IssuedInvoices,
    Lies,
    PricedWork,
    RetainerUse,
    Standing,
)
from accord.rules.change_impact.impact import Impact, impact_of, undone
from accord.rules.fx import ExchangeRates, Rate, RateDate, RateDatePolicy, by_day
from accord.rules.rating.pricer import Pricer
from accord.rules.revenue.modifications import Added, Modification, Treatment
from accord.rules.revenue.onerous import Framework
from tests.rules.change_impact.engagement import (
    WORK,
    build,
    change,
    entry,
    milestone,
    rates,
    standing,
    terms,
    usd,
)


def impact(about: ContractChange, at: Standing | None = None, framework: Framework = Framework.US_GAAP) -> Impact:
    return impact_of(about, at or standing(), framework=framework)


def figures(found: Impact, area: Area) -> list[tuple[str, str, str, str]]:
    return [
        (each.subject, str(each.before.amount), str(each.after.amount), str(each.by.amount)) for each in found.of(area)
    ]


def test_nothing_changes_when_nothing_changes() -> None:
    found = impact(change())
    assert (found.effects, found.problems, found.revenue) == ((), (), None)
    assert found.applicable
    assert found.margins is not None
    assert found.margins.before.text == found.margins.after.text == "40.00 %"


class TestRates:
    """Developers cost 200 instead of 187.50 from 1 November."""

    RAISED = change(after=terms(2, rates=rates("200")))

    def test_credit_and_rebill_reaches_the_invoice_of_november_only(self) -> None:
        found = impact(self.RAISED)
        assert figures(found, Area.WIP) == [("unbilled work", "875.00", "900.00", "25.00")]
        assert figures(found, Area.DRAFTS) == [("draft 12", "750.00", "800.00", "50.00")]
        assert figures(found, Area.ISSUED_INVOICES) == [("INV-101", "1125.00", "1200.00", "75.00")]
        assert found.of(Area.ISSUED_INVOICES)[0].told == "1 of 1 units credited and billed again"
        assert found.of(Area.WIP)[0].told == "1 of 2 units at another price"

    def test_invoices_stay_when_that_was_chosen_and_it_is_said(self) -> None:
        found = impact(replace(self.RAISED, issued=IssuedInvoices.STAY))
        assert found.of(Area.ISSUED_INVOICES) == ()
        [problem] = found.problems
        assert problem.message == "INV-101 stays as it is; by the new terms it would be 75.00 USD more."
        assert found.applicable

    def test_a_lower_rate_is_said_as_less(self) -> None:
        lowered = change(after=terms(2, rates=rates("180")), issued=IssuedInvoices.STAY)
        assert [each.message for each in impact(lowered).problems] == [
            "INV-101 stays as it is; by the new terms it would be 45.00 USD less."
        ]

    def test_a_retroactive_change_reaches_october(self) -> None:
        found = impact(replace(self.RAISED, after=replace(self.RAISED.after, valid_from=date(2026, 10, 1))))
        assert figures(found, Area.ISSUED_INVOICES) == [
            ("INV-100", "1500.00", "1600.00", "100.00"),
            ("INV-101", "1125.00", "1200.00", "75.00"),
        ]

    def test_work_without_a_rate_is_a_problem_with_its_value(self) -> None:
        found = impact(change(after=terms(2, rates=rates()[:1])))
        [problem] = found.problems
        assert problem.message == (
            "The new terms give no price for architect: 1 unit keeps its price (500.00 USD). "
            "No rate row fits architect on 2026-11-20."
        )
        assert not found.applicable

    def test_a_task_that_is_no_longer_billed_has_no_price(self) -> None:
        rework = PricedWork(entry("W9", date(2026, 11, 23), 2, task="rework"), usd(375), usd(375), Lies.WIP)
        found = impact(change(after=terms(2, non_billable_tasks=("rework",))), standing(work=(*WORK, rework)))
        assert figures(found, Area.WIP) == [("unbilled work", "1250.00", "875.00", "-375.00")]

    def test_a_unit_split_at_its_cap_is_re_priced_as_a_whole(self) -> None:
        """5 hours at 250: 375.00 in WIP, 875.00 over the cap (features.md 3.4); at 275 it is 412.50 and 962.50."""
        split = PricedWork(entry("W9", date(2026, 11, 23), 5, "architect"), usd(1250), usd(375), Lies.WIP)
        found = impact(change(after=terms(2, rates=rates(architect="275"))), standing(work=(split,)))
        assert figures(found, Area.WIP) == [("unbilled work", "375.00", "412.50", "37.50")]

    def test_a_unit_split_over_two_invoices_keeps_every_cent(self) -> None:
        about = entry("W9", date(2026, 11, 23), "0.01")
        halves = [PricedWork(about, usd("1.88"), usd("0.94"), Lies.DRAFT, name) for name in ("draft 1", "draft 2")]
        found = impact(change(after=terms(2, rates=rates("200.50"))), standing(work=halves))
        assert figures(found, Area.DRAFTS) == [
            ("draft 1", "0.94", "1.01", "0.07"),
            ("draft 2", "0.94", "1.00", "0.06"),
        ]

    def test_a_rate_in_another_currency_is_converted_as_it_is_billed(self) -> None:
        euros = (RateRow("R1", Money.of("180", "EUR"), role="developer"), rates()[1])
        about = change(after=terms(2, rates=euros))
        exchange = ExchangeRates([Rate("EUR", "USD", Decimal("1.10"), date(2026, 11, 20), "ECB")])
        found = impact_of(
            about, standing(), convert=by_day(RateDatePolicy(RateDate.WORKED, "ECB", version=1), exchange)
        )
        assert figures(found, Area.WIP) == [("unbilled work", "875.00", "896.00", "21.00")]
        assert [each.code for each in found.problems] == ["exchange_rate_missing"]


class TestCaps:
    def test_the_worked_cap_raised_sets_free_what_waits(self) -> None:
        """3,000 were left and are used up, 875 wait above the cap (features.md 3.4); 1,000 more let them go."""
        used_up = standing(caps=(CapUse("PO-7", usd(10000), unbilled=usd(3000), over=usd(875)),))
        raised = change(after=terms(2, caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(11000)),)))
        found = impact(raised, used_up)
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "875.00", "0.00", "-875.00")]
        assert figures(found, Area.CAP) == [("purchase order cap PO-7", "0.00", "125.00", "125.00")]

    def test_a_cap_raised_a_little_sets_free_a_little(self) -> None:
        used_up = standing(caps=(CapUse("PO-7", usd(10000), unbilled=usd(3000), over=usd(875)),))
        found = impact(change(after=terms(2, caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(10500)),))), used_up)
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "875.00", "375.00", "-500.00")]
        assert found.of(Area.CAP) == ()

    def test_an_invoice_that_stays_uses_no_more_of_the_cap(self) -> None:
        found = impact(replace(TestRates.RAISED, issued=IssuedInvoices.STAY))
        assert figures(found, Area.CAP) == [("purchase order cap PO-7", "3000.00", "2925.00", "-75.00")]

    def test_unbilled_work_at_a_higher_rate_can_all_be_pushed_above(self) -> None:
        """5,375 is invoiced, 1,625 + 75 is not; a cap of 5,375 leaves room for the invoices alone."""
        caps = (Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(5375)),)
        about = change(after=terms(2, rates=rates("200"), caps=caps), issued=IssuedInvoices.STAY)
        found = impact(about)
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "0.00", "1700.00", "1700.00")]
        assert found.applicable

    def test_a_higher_rate_uses_more_of_the_cap(self) -> None:
        found = impact(TestRates.RAISED)
        assert figures(found, Area.CAP) == [("purchase order cap PO-7", "3000.00", "2850.00", "-150.00")]

    def test_a_cap_of_another_task_is_not_touched(self) -> None:
        other = (Cap("PO-7", CapLevel.LINE, usd(10000), applies_to="design"),)
        found = impact(change(before=terms(caps=other), after=terms(2, rates=rates("200"), caps=other)))
        assert found.of(Area.CAP) == ()

    def test_a_cap_lowered_into_unbilled_work_pushes_it_above(self) -> None:
        found = impact(change(after=terms(2, caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(6000)),))))
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "0.00", "1000.00", "1000.00")]
        assert figures(found, Area.CAP) == [("purchase order cap PO-7", "3000.00", "0.00", "-3000.00")]
        assert found.applicable

    def test_a_cap_below_what_is_invoiced_is_a_problem(self) -> None:
        found = impact(change(after=terms(2, caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(5000)),))))
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "0.00", "1625.00", "1625.00")]
        assert [each.message for each in found.problems] == [
            "purchase order cap PO-7 would be 5000.00 USD, but 5375.00 USD is invoiced already."
        ]

    def test_a_cap_lifted_and_a_new_one(self) -> None:
        waiting = standing(caps=(CapUse("PO-7", usd(10000), unbilled=usd(0), over=usd(875)),))
        found = impact(change(after=terms(2, caps=(Cap("MSA", CapLevel.CUSTOMER, usd(90000)),))), waiting)
        assert figures(found, Area.CAP) == [
            ("purchase order cap PO-7", "0.00", "0.00", "0.00"),
            ("customer cap MSA", "0.00", "90000.00", "90000.00"),
        ]
        assert figures(found, Area.OVER_CAP) == [("purchase order cap PO-7", "875.00", "0.00", "-875.00")]


class TestRetainers:
    OLD = Retainer("RET", usd(10000), date(2026, 1, 1), 12)

    def test_a_smaller_retainer(self) -> None:
        about = change(before=terms(retainer=self.OLD), after=terms(2, retainer=replace(self.OLD, per_month=usd(6000))))
        found = impact(about, standing(retainer=RetainerUse(usd(4000), 2)))
        assert figures(found, Area.RETAINER) == [("retainer RET", "24000.00", "16000.00", "-8000.00")]
        assert found.applicable

    def test_what_is_left_of_one_that_ends_has_to_go_somewhere(self) -> None:
        about = change(before=terms(retainer=self.OLD))
        found = impact(about, standing(retainer=RetainerUse(usd(4000), 2)))
        assert figures(found, Area.RETAINER) == [("retainer RET", "24000.00", "4000.00", "-20000.00")]
        assert [each.message for each in found.problems] == ["The retainer ends with 4000.00 USD not worked off."]

    def test_a_new_one(self) -> None:
        found = impact(change(after=terms(2, retainer=self.OLD)))
        assert figures(found, Area.RETAINER) == [("retainer RET", "0.00", "120000.00", "120000.00")]


class TestMilestones:
    def test_added_re_priced_re_dated_and_cancelled(self) -> None:
        before = (milestone("core"), milestone("go-live"), milestone("training", 5000))
        after = (
            milestone("core", 24000),
            milestone("go-live", planned_on=date(2027, 1, 1)),
            milestone("training", 5000, "cancelled"),
            milestone("hypercare", 8000),
        )
        found = impact(change(milestones_after=after), standing(milestones=before))
        assert [(each.subject, str(each.by.amount), each.told) for each in found.of(Area.MILESTONES)] == [
            ("core", "4000.00", "from 20000.00 USD to 24000.00 USD"),
            ("go-live", "0.00", "re-dated from None to 2027-01-01"),
            ("training", "-5000.00", "cancelled"),
            ("hypercare", "8000.00", "added"),
        ]
        assert found.by_area()[Area.MILESTONES] == usd(7000)

    def test_a_billed_one_is_a_problem(self) -> None:
        found = impact(change(milestones_after=()), standing(milestones=(milestone(status="billed"),)))
        assert found.of(Area.MILESTONES) == ()
        assert [each.message for each in found.problems] == [
            "go-live is billed with 20000.00 USD and would become 0.00 USD."
        ]


class TestRevenue:
    """The golden cases of features.md 3.4 and of the standards' own examples."""

    def test_an_extension_that_is_not_distinct_is_caught_up(self) -> None:
        """500,000 at 30 %; + 60,000 of price and of cost: 25 % of 560,000 is 10,000 less than was recognised."""
        extension = Modification("CO-1", usd(60000), (Added("extra", usd(60000), extends="build"),))
        at = standing(obligations=(build(90, 360),), cost=Cost(usd(90000), usd(210000), usd(270000)))
        found = impact(change(revenue=extension), at)
        assert found.revenue is not None
        assert found.revenue.treatment is Treatment.CATCH_UP
        assert figures(found, Area.REVENUE_NOW) == [("build", "0.00", "-10000.00", "-10000.00")]
        assert figures(found, Area.REVENUE_LATER) == [("build", "350000.00", "420000.00", "70000.00")]
        assert found.margins is not None
        assert (found.margins.before.text, found.margins.after.text) == ("40.00 %", "35.71 %")
        assert figures(found, Area.MARGIN) == [("at completion", "200000.00", "200000.00", "0.00")]

    def test_a_distinct_promise_below_its_own_price_is_prospective(self) -> None:
        """60 of 120 products at 100 are delivered, 30 more come at 80 (IFRS 15 example 5): 8,400 over the rest."""
        products = replace(
            build(60, 120), obligation_id="products", price=usd(12000), recognised=usd(6000),
            remaining_is_distinct=True, remaining_alone=usd(5700),
        )  # fmt: skip
        more = Modification("CO-2", usd(2400), (Added("more", usd(2850)),))
        found = impact(change(revenue=more), standing(obligations=(products,), cost=None))
        assert found.revenue is not None
        assert found.revenue.treatment is Treatment.PROSPECTIVE
        assert found.of(Area.REVENUE_NOW) == ()
        assert figures(found, Area.REVENUE_LATER) == [
            ("products", "6000.00", "5600.00", "-400.00"),
            ("more", "0.00", "2800.00", "2800.00"),
        ]
        assert found.margins is None

    def test_a_distinct_promise_at_its_own_price_touches_nothing_old(self) -> None:
        more = Modification("CO-3", usd(2850), (Added("more", usd(2850)),))
        found = impact(change(revenue=more))
        assert found.revenue is not None
        assert found.revenue.treatment is Treatment.SEPARATE_CONTRACT
        assert figures(found, Area.REVENUE_LATER) == [("more", "0.00", "2850.00", "2850.00")]

    def test_a_change_of_scope_without_a_price_makes_the_contract_onerous(self) -> None:
        """500,000, 45 % recognised; 140,000 more to do: 166,666.67 by 1/3, 26,666.67 to provide (features.md 3.4)."""
        at = standing(
            obligations=(build(180, 540, recognised=225000),), cost=Cost(usd(180000), usd(220000), usd(360000))
        )
        for framework in Framework:
            found = impact(change(revenue=Modification("CO-4", usd(0), changes_scope=True)), at, framework)
            assert figures(found, Area.REVENUE_NOW) == [("build", "0.00", "-58333.33", "-58333.33")]
            assert figures(found, Area.LOSS_PROVISION) == [("contract", "0.00", "26666.67", "26666.67")]
            assert figures(found, Area.MARGIN) == [("at completion", "100000.00", "-40000.00", "-140000.00")]
            assert found.of(Area.MARGIN)[0].told == "20.00 %, then -8.00 %"


def test_two_currencies_are_two_contracts() -> None:
    with pytest.raises(CurrenciesDiffer, match="CO-1 goes from USD to EUR"):
        impact(change(after=terms(2, currency="EUR")))


HOURLY = st.integers(1, 40000).map(lambda cents: str(Decimal(cents) / 100))


@given(HOURLY, HOURLY, st.integers(5375, 50000), st.integers(0, 90000))
def test_a_change_taken_back_leaves_the_billing_as_it_was(
    developer: str, architect: str, limit: int, amount: int
) -> None:
    """The impact of a change, applied, and the impact of taking it back add up to nothing."""
    about = change(
        after=terms(2, rates=rates(developer, architect), caps=(Cap("PO-7", CapLevel.PURCHASE_ORDER, usd(limit)),)),
        milestones_after=(milestone(amount=amount),),
    )
    there = impact(about)
    back = impact(undone(about, standing()), applied(about))
    sums = there.by_area()
    for area in (Area.MILESTONES, Area.WIP, Area.DRAFTS, Area.ISSUED_INVOICES):
        assert sums.get(area, usd(0)) + back.by_area().get(area, usd(0)) == usd(0)


def applied(about: ContractChange) -> Standing:
    """The engagement after the change: work at its new price, the new milestones."""
    pricer = Pricer(about.after)
    priced = []
    for each in WORK:
        rated = pricer.rate(each.entry)
        if each.entry.worked_on < about.after.valid_from or isinstance(rated, tuple):
            priced.append(each)
        else:
            price = usd(str(rated.amount))
            priced.append(replace(each, price=price, value=price))
    return standing(work=priced, milestones=tuple(about.milestones_after))
