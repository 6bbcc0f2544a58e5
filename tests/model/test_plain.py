"""Canonical objects survive their plain form."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.model.billing import Invoice, InvoiceLine, ScheduledMilestone
from accord.model.customer import Customer
from accord.model.deal import Deal, Milestone
from accord.model.events import Fact
from accord.model.identity import PREFIXES, canonical_id
from accord.model.money import Money
from accord.model.plain import NotReadable, from_plain, to_plain

MONEY = st.builds(Money.from_minor, st.integers(-(10**9), 10**9), st.sampled_from(["USD", "EUR", "JPY", "KWD"]))
TEXT = st.text(max_size=20)
DAYS = st.dates()


@given(st.builds(ScheduledMilestone, id=TEXT, engagement_id=TEXT, customer_id=TEXT, legal_entity=TEXT, name=TEXT,
                 amount=MONEY, planned_on=st.none() | DAYS))  # fmt: skip
def test_a_schedule_entry_survives(milestone: ScheduledMilestone) -> None:
    assert from_plain(ScheduledMilestone, to_plain(milestone)) == milestone


@given(st.builds(Deal, id=TEXT, number=TEXT, name=TEXT, stage=TEXT, is_won=st.booleans(), is_closed=st.booleans(),
                 amount=st.none() | MONEY, closes_on=st.none() | DAYS,
                 milestones=st.lists(st.builds(Milestone, id=TEXT, name=TEXT, amount=MONEY), max_size=3)
                 .map(tuple)))  # fmt: skip
def test_a_deal_survives(deal: Deal) -> None:
    assert from_plain(Deal, to_plain(deal)) == deal


def test_an_amount_of_zero_survives() -> None:
    nothing = Money.zero("JPY")
    line = InvoiceLine("BIL-1", "Nothing", nothing, nothing)
    invoice = Invoice("INV-1", "CUS-1", "JP", "JPY", (line,), nothing, nothing, nothing, "milestone", paid=nothing)
    plain = to_plain(invoice)
    assert plain["paid"] == {"amount": "0", "currency": "JPY"}
    assert from_plain(Invoice, plain).paid == nothing


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        ({"id": "C", "legal_name": 1}, "customer.legal_name"),
        ({"id": "C"}, "customer.legal_name: missing"),
        ({"id": "C", "legal_name": "N", "nickname": "n"}, "nickname"),
        ({"id": "C", "legal_name": "N", "payment_terms_days": True}, "payment_terms_days"),
    ],
)
def test_what_does_not_fit_names_its_field(plain: dict[str, object], told: str) -> None:
    with pytest.raises(NotReadable, match=told):
        from_plain(Customer, plain)


def test_dates_and_decimals_are_text() -> None:
    assert to_plain({"on": date(2026, 11, 23), "rate": Decimal("0.190")}) == {"on": "2026-11-23", "rate": "0.190"}


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_an_identity_fits_every_vendor(about: list[str]) -> None:
    """NetSuite: letters, digits, - and _ only; the same words give the same identity, other kinds another."""
    ids = {canonical_id(kind, *about) for kind in PREFIXES}
    assert len(ids) == len(PREFIXES)
    assert ids == {canonical_id(kind, *about) for kind in PREFIXES}
    assert all(character.isalnum() or character == "-" for id in ids for character in id)


def test_words_are_not_run_together_in_an_identity() -> None:
    assert canonical_id("deal", "a", "bc") != canonical_id("deal", "ab", "c")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"milestones": "MIL-1"}, "deal.milestones: a list is expected"),
        ({"milestones": 3}, "deal.milestones: a list is expected"),
        ({"unreadable": [1]}, r"deal.unreadable\[0\]: 1 does not fit"),
        ({"amount": {"amount": "NaN", "currency": "EUR"}}, "deal.amount.amount: 'NaN' does not fit"),
    ],
)
def test_a_value_of_another_shape_is_told_by_its_field(changed: dict[str, object], told: str) -> None:
    plain = {"id": "D", "number": "1", "name": "N", "stage": "S", "is_won": True, "is_closed": True, **changed}
    with pytest.raises(NotReadable, match=told):
        from_plain(Deal, plain)


def test_a_mapping_of_another_shape_is_told_by_its_field() -> None:
    with pytest.raises(NotReadable, match=r"fact\.payload: 'text' does not fit"):
        from_plain(Fact, {"type": "t", "subject": "s", "occurred_at": "", "actor": "a", "payload": "text"})
