"""What signed change orders make of a recurring service, and what its billed periods are due afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.billing import Invoice, InvoiceLine
from accord.model.deal import ManagedService
from accord.model.money import Money
from accord.model.plain import from_plain, to_plain
from accord.model.problem import Problem
from accord.model.recurring import PricedDays, RecurringSchedule, ServiceSettlement
from accord.rules.proration import period, periods_of, priced_days, value_of, worth
from accord.rules.services import ServiceAmended, amended, due, settlement_text, settlements

START = date(2026, 1, 1)
SOLD = RecurringSchedule("SUB-1", "DEA-1", "CUS-1", "DE", "Run", Money.of("1000.00", "EUR"), START, 12, 30)


def eur(amount: str) -> Money:
    return Money.of(amount, "EUR")


def service(monthly: str = "1200.00", months: int = 12, **order: object) -> ManagedService:
    return replace(ManagedService("SVC-1", "Run", eur(monthly), START, months, "DE"), **order)  # type: ignore[arg-type]


def signed(monthly: str, from_on: date | None, order: str = "CO-1", months: int = 12) -> ManagedService:
    on = date(2026, 3, 10)
    return service(monthly, months, change_order=order, change_order_signed_on=on, change_order_from=from_on)


def after(*orders: ManagedService, on: date = date(2026, 3, 12)) -> RecurringSchedule:
    """The service after these change orders, one after the other."""
    schedule = SOLD
    for each in orders:
        found = amended(schedule, each, "DE", on)
        assert isinstance(found, ServiceAmended), found
        schedule = found.after
    return schedule


def invoice(month: int, net: str = "1000.00", **changes: object) -> Invoice:
    of, zero = period(START, month - 1), eur("0.00")
    line = InvoiceLine("", "Run", eur(net), zero, service_from=of.starts_on, service_to=of.ends_before)
    found = Invoice(f"INV-{month}", "CUS-1", "DE", "EUR", (line,), eur(net), zero, eur(net), "subscription",
                    status="open", subscription_id="SUB-1")  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_change_order_holds_from_its_day_or_from_its_signature() -> None:
    assert after(signed("1200.00", date(2026, 3, 15))).changes[0].from_on == date(2026, 3, 15)
    assert after(signed("1200.00", None)).changes[0].from_on == date(2026, 3, 10)
    assert after(signed("1200.00", date(2025, 12, 1))).changes[0].from_on == START


def test_what_it_adds_to_the_contract_is_counted_to_the_cent() -> None:
    schedule = after(signed("1200.00", date(2026, 3, 15)))
    # 17 of 31 days of March (658.06 less 548.39), and nine months of 200
    assert schedule.changes[0].adds == eur("1909.67")
    assert value_of(schedule) == eur("13909.67")


def test_what_all_change_orders_add_is_what_the_value_has_grown_by() -> None:
    schedule = after(
        signed("1200.00", date(2026, 3, 15)),
        signed("900.00", date(2026, 6, 10), "CO-2"),
        signed("900.00", None, "CO-3", 14),
        signed("950.00", date(2026, 6, 20), "CO-2", 14),  # entered again, corrected
    )
    assert [each.change_order for each in schedule.changes] == ["CO-1", "CO-3", "CO-2"]
    added = sum((each.adds for each in schedule.changes), start=eur("0.00"))
    assert value_of(schedule) == value_of(SOLD) + added


def test_the_price_that_was_agreed_last_counts_from_its_day_on() -> None:
    schedule = after(signed("1200.00", date(2026, 5, 1)), signed("1100.00", date(2026, 4, 1), "CO-2"))
    prices = [schedule.monthly_on(date(2026, month, 1)) for month in (3, 4, 5, 12)]
    assert prices == [eur("1000.00"), eur("1100.00"), eur("1100.00"), eur("1100.00")]


def test_another_order_for_more_months_leaves_a_price_to_come_where_it_is() -> None:
    schedule = after(signed("1200.00", date(2026, 7, 1)), signed("1200.00", None, "CO-2", 18))
    assert schedule.monthly_on(date(2026, 6, 30)) == eur("1000.00")
    assert (schedule.monthly_on(date(2026, 7, 1)), schedule.months_now) == (eur("1200.00"), 18)


def test_the_same_again_changes_nothing() -> None:
    order = signed("1200.00", date(2026, 3, 15))
    assert amended(after(order), order, "DE", date(2026, 4, 1)) is None
    assert amended(SOLD, service("1000.00"), "DE", date(2026, 4, 1)) is None
    unsigned = replace(order, change_order_signed_on=None, change_order=None)
    assert amended(after(order), unsigned, "DE", date(2026, 4, 1)) is None


def test_an_order_whose_day_was_corrected_holds_from_the_new_one() -> None:
    schedule = after(signed("1200.00", date(2026, 3, 15)), signed("1200.00", date(2026, 3, 20)))
    assert [each.from_on for each in schedule.changes] == [date(2026, 3, 20)]


@pytest.mark.parametrize(
    ("wanted", "on", "code"),
    [
        (None, date(2026, 3, 12), "service_changed"),
        (replace(signed("1200.00", None), starts_on=date(2026, 2, 1)), date(2026, 3, 12), "service_changed"),
        (replace(signed("1200.00", None), monthly=Money.of("1200.00", "USD")), date(2026, 3, 12), "service_changed"),
        (service("1200.00"), date(2026, 3, 12), "change_order_missing"),
        (service("1200.00", change_order="CO-1"), date(2026, 3, 12), "change_order_missing"),
        (signed("1200.00", None), date(2027, 1, 1), "service_over"),
        (signed("1000.00", None, months=2), date(2026, 3, 12), "service_ends_too_early"),
        (signed("1200.00", date(2027, 1, 1)), date(2026, 3, 12), "change_order_too_late"),
        (signed("1200.00", date(2026, 9, 1), months=6), date(2026, 3, 12), "change_order_too_late"),
    ],
)
def test_what_cannot_be_carried_out_says_so(wanted: ManagedService | None, on: date, code: str) -> None:
    found = amended(SOLD, wanted, "DE", on)
    assert isinstance(found, Problem)
    assert found.code == code
    assert found.cure


def test_another_legal_entity_is_a_problem() -> None:
    found = amended(SOLD, signed("1200.00", None), "US", date(2026, 3, 12))
    assert isinstance(found, Problem)
    assert found.code == "service_changed"


def test_a_service_may_end_with_the_period_that_has_begun() -> None:
    schedule = after(signed("1000.00", None, months=3))
    assert (schedule.months_now, value_of(schedule)) == (3, eur("3000.00"))


@pytest.mark.parametrize(
    ("monthly", "differences"),
    [
        # 17 of 31 days of March, all of April, both billed at the old price; May was billed at the new one
        ("1200.00", {"2026-03-01": "109.67", "2026-04-01": "200.00"}),
        ("800.00", {"2026-03-01": "-109.68", "2026-04-01": "-200.00"}),
    ],
)
def test_periods_billed_before_the_change_are_due_the_difference(monthly: str, differences: dict[str, str]) -> None:
    schedule = after(signed(monthly, date(2026, 3, 15)))
    billed = [invoice(2), invoice(3), invoice(4), invoice(5, monthly)]
    found = settlements(schedule, billed, [])
    assert {each.period_from.isoformat(): str(each.difference.amount) for each in found} == differences
    assert [due(each) for each in found] == [each.difference for each in found]
    assert settlements(schedule, billed, found) == ()


def test_a_difference_that_was_settled_is_settled_further_by_the_next_order() -> None:
    first = after(signed("1200.00", date(2026, 3, 15)))
    (done,) = settlements(first, [invoice(3)], [])
    second = after(signed("1200.00", date(2026, 3, 15)), signed("1500.00", date(2026, 3, 25), "CO-2"))
    (more,) = settlements(second, [invoice(3)], [done])
    assert done.id != more.id
    assert more.before == done.difference
    # 7 of 31 days: 338.71 less 270.97
    assert str(more.difference.amount) == "67.74"
    assert settlement_text(more) == (
        "Run from 2026-03-01: 14 of 31 days at 1000.00 EUR, 10 of 31 days at 1200.00 EUR (CO-1), "
        "7 of 31 days at 1500.00 EUR (CO-2), less 1000.00 EUR and 109.67 EUR settled before"
    )


def test_what_an_order_says_less_than_before_is_credited_where_it_was_invoiced() -> None:
    """Entered wrong, corrected, and corrected further: the settlement's invoice first, then the period's own."""
    first = after(signed("1500.00", date(2026, 3, 15)))
    (more,) = settlements(first, [invoice(3)], [])
    corrected = after(signed("1500.00", date(2026, 3, 15)), signed("1200.00", date(2026, 3, 15)))
    (less,) = settlements(corrected, [invoice(3)], [more])
    assert (less.invoice_id, less.difference) == (more.document_id, eur("109.67") - more.difference)
    cheaper = after(signed("1500.00", date(2026, 3, 15)), signed("800.00", date(2026, 3, 15)))
    rest = settlements(cheaper, [invoice(3)], [more, less])
    assert [(each.invoice_id, str(each.difference.amount)) for each in rest] == [
        (more.document_id, "-109.67"),
        ("INV-3", "-109.68"),
    ]
    assert len({each.id for each in (more, less, *rest)}) == 4
    assert settlements(cheaper, [invoice(3)], [more, less, *rest]) == ()


def test_what_is_no_bill_of_the_service_is_left_alone() -> None:
    schedule = after(signed("1200.00", date(2026, 3, 15)))
    others = [
        invoice(3, status="void"),
        invoice(3, status="draft"),
        invoice(3, subscription_id="SUB-2"),
        invoice(3, lines=(replace(invoice(3).lines[0], service_from=None),)),
        invoice(3, lines=()),
    ]
    assert settlements(schedule, others, []) == ()
    assert settlements(SOLD, [invoice(3, "900.00")], []) == ()


def test_a_settlement_survives_being_kept() -> None:
    (found,) = settlements(after(signed("1200.00", date(2026, 3, 15))), [invoice(3)], [])
    assert from_plain(ServiceSettlement, to_plain(found)) == found


def test_days_at_one_price_are_one() -> None:
    schedule = after(signed("1200.00", date(2026, 3, 15)), signed("1200.00", None, "CO-2", 14))
    assert priced_days(schedule, period(START, 2)) == (
        PricedDays(date(2026, 3, 1), date(2026, 3, 15), eur("1000.00")),
        PricedDays(date(2026, 3, 15), date(2026, 4, 1), eur("1200.00"), "CO-1"),
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 364), st.integers(0, 500_000), st.sampled_from(("CO-1", "CO-2", "CO-3"))), max_size=6
    ),
    st.sampled_from((date(2026, 1, 1), date(2026, 1, 15), date(2026, 1, 31))),
)
def test_whatever_is_agreed_in_whatever_order_bills_and_settlements_come_to_the_value(
    orders: list[tuple[int, int, str]], start: date
) -> None:
    """Each order arrives after all periods were billed at the price of before: what is billed and settled is the value
    of the contract, and what the orders say they add is what it has grown by."""
    schedule = replace(SOLD, starts_on=start)
    done: list[ServiceSettlement] = []
    bills = [
        replace(
            invoice(1),
            id=f"INV-{n}",
            lines=(replace(invoice(1).lines[0], service_from=each.starts_on),),
        )
        for n, each in enumerate(periods_of(schedule))
    ]
    for days, cents, order in orders:
        wanted = ManagedService(
            "SVC-1", "Run", Money.from_minor(cents, "EUR"), start, 12, "DE", order, start, start + timedelta(days=days)
        )
        found = amended(schedule, wanted, "DE", start + timedelta(days=330))
        if isinstance(found, ServiceAmended):
            schedule = found.after
            done += settlements(schedule, bills, done)
    zero = eur("0.00")
    settled = sum((each.difference for each in done), start=zero)
    assert eur("12000.00") + settled == value_of(schedule)
    assert value_of(SOLD) + sum((each.adds for each in schedule.changes), start=zero) == value_of(schedule)
    for bill in [*((each.id, each.net) for each in bills), *((each.document_id, each.difference) for each in done)]:
        credited = sum((-each.difference for each in done if each.invoice_id == bill[0] and not each.difference > zero),
                       start=zero)  # fmt: skip
        assert credited <= max(bill[1], zero), "no invoice is credited beyond its amount"
    for each in periods_of(schedule):
        spans = priced_days(schedule, each)
        assert sum((span.ends_before - span.from_on).days for span in spans) == each.days
        exact = sum(
            (span.monthly.amount * (span.ends_before - span.from_on).days / Decimal(each.days) for span in spans),
            start=Decimal(0),
        )
        assert abs(worth(spans).amount - exact) <= Decimal("0.01") * len(spans)  # to a cent for each price
