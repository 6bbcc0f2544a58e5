"""Tax treatment by entity and customer; invoices, payments and what sales is told."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.billing import Invoice, Payment, ScheduledMilestone
from accord.model.money import Money, total
from accord.rules.invoicing import collected_by, customer_status, issued, milestone_invoice, payment_status
from accord.rules.receivable import open_amount
from accord.rules.tax import treatment
from tests.rules.firms import customer, firm


@pytest.mark.parametrize(
    ("entity", "country", "registered", "kind", "percentage"),
    [
        ("US", "US", True, "none", 0),
        ("US", "DE", True, "export", 0),
        ("DE", "DE", True, "domestic", 19),
        ("DE", "FR", True, "reverse_charge", 0),
        ("DE", "FR", False, "domestic", 19),
        ("DE", "US", False, "export", 0),
        ("JP", "JP", True, "domestic", 10),
        ("JP", "DE", True, "export", 0),
    ],
)
def test_treatment(entity: str, country: str, *, registered: bool, kind: str, percentage: int) -> None:
    buyer = customer(country=country, tax_registration=customer().tax_registration if registered else None)
    found = treatment(firm(), firm().entities[entity], buyer)
    assert (found.kind, found.percentage) == (kind, percentage)


def invoice(amount: str, currency: str, entity: str, country: str) -> Invoice:
    about = ScheduledMilestone("MIL-1", "DEA-1", "CUS-1", entity, "Go-live", Money.of(amount, currency))
    seller = firm().entities[entity]
    how = treatment(firm(), seller, customer(country=country))
    return milestone_invoice(about, seller, how, project_id="PRJ-1", deal_id="DEA-1", terms_days=30)


@pytest.mark.parametrize(
    ("amount", "currency", "entity", "country", "tax", "gross"),
    [
        ("95000.50", "EUR", "DE", "DE", "18050.10", "113050.60"),
        ("4800001", "JPY", "JP", "JP", "480000", "5280001"),
        ("0.03", "EUR", "DE", "DE", "0.01", "0.04"),
        ("120000.00", "USD", "US", "DE", "0.00", "120000.00"),
    ],
)
def test_tax_is_rounded_half_up_to_the_minor_unit(
    amount: str, currency: str, entity: str, country: str, tax: str, gross: str
) -> None:
    found = invoice(amount, currency, entity, country)
    assert (str(found.tax.amount), str(found.gross.amount)) == (tax, gross)


@given(parts=st.lists(st.integers(1, 10**7), min_size=1, max_size=8))
def test_full_payment_collects_the_net_amount_to_the_cent(parts: list[int]) -> None:
    """However a bill is paid, the ledger ends with the net amount collected."""
    gross = Money.from_minor(sum(parts), "EUR")
    net = Money.of((gross.amount / Decimal("1.19")).quantize(Decimal("0.01")), "EUR")
    bill = replace(invoice("1.00", "EUR", "DE", "DE"), net=net, tax=gross - net, gross=gross)
    paid, collected = Money.zero("EUR"), []
    for part in parts:
        payment = Payment("PAY", bill.id, Money.from_minor(part, "EUR"), date(2026, 11, 23))
        collected.append(collected_by(payment, bill, paid))
        paid = paid + payment.amount
    assert total(collected, "EUR") == net


def test_payment_status_in_words() -> None:
    bill = issued(
        invoice("100.00", "EUR", "DE", "DE"),
        number="A-1",
        billing_ref="in_1",
        issued_on="2026-11-01",
        due_on="2026-12-01",
    )
    part = replace(bill, paid=Money.of("10.00", "EUR"))
    paid = replace(bill, status="paid", paid=bill.gross)
    words = [payment_status(each) for each in (bill, part, paid, replace(part, disputed=True))]
    assert words == ["open", "partially paid", "paid", "disputed"]


def test_the_money_decides_what_is_open_not_the_word_of_billing() -> None:
    """A bank has taken the payment back: billing says paid for ever."""
    bill = replace(invoice("100.00", "EUR", "DE", "DE"), status="paid")
    paid = replace(bill, paid=bill.gross, returned=bill.gross)
    given_up = replace(paid, written_off=bill.gross)
    assert [payment_status(each) for each in (paid, given_up)] == ["open", "written off"]
    assert str(open_amount(paid)) == "119.00 EUR"


def test_the_receivable_is_what_is_open_in_the_customers_currency() -> None:
    bill = replace(invoice("100.00", "EUR", "DE", "DE"), status="open", paid=Money.of("19.00", "EUR"))
    dollars = replace(invoice("50.00", "USD", "US", "DE"), id="INV-2", status="open")
    paid = replace(bill, id="INV-3", status="paid", paid=bill.gross)
    assert str(customer_status("CUS-1", "EUR", (bill, dollars, paid)).receivable) == "100.00 EUR"
