"""Deals and customers as the connector reads them."""

from __future__ import annotations

from typing import Any

import pytest

from accord.connect.connector import Watermark
from accord.connect.failures import CallFailed, Refused
from accord.connectors.salesforce import bulk, soql
from accord.engine.outcomes import Misconfigured, Transient
from accord.model.customer import Customer
from accord.model.deal import Deal
from accord.model.identity import canonical_id
from accord.model.plain import from_plain
from tests.connectors.salesforce.conftest import Desk


def _as_deal(body: Any) -> Deal:
    return from_plain(Deal, {"id": "DEA-1", **body})


async def test_a_deal_comes_whole(desk: Desk) -> None:
    """Opportunity, contract, phases, milestones and services in one, amounts exact, parts under our ids."""
    ids = desk.org.deal()
    (seen,) = await desk.get("deal", ids["deal"])
    deal = _as_deal(seen.body)
    assert (deal.number, deal.stage, deal.is_won) == (ids["deal"], "Closed Won", True)
    assert str(deal.amount) == "1054.00 EUR"
    assert seen.links == {"customer_id": ("customer", ids["account"])}
    assert deal.contract is not None
    assert (deal.contract.status, deal.contract.approval, deal.contract.billing_terms) == (
        "activated", "approved", "NET30",
    )  # fmt: skip
    (milestone,) = deal.milestones
    assert milestone.id == canonical_id("milestone", "salesforce", ids["milestone"])
    assert milestone.phase_id == deal.phases[0].id == canonical_id("phase", "salesforce", ids["phase"])
    # The API writes ten million and more as a double with an exponent; not a cent may be lost on the way.
    assert str(milestone.amount) == "35000000.50 EUR"
    assert str(deal.services[0].monthly) == "500000 JPY"
    assert seen.problems == ()


async def test_what_cannot_be_read_is_said_and_the_rest_is_there(desk: Desk) -> None:
    ids = desk.org.deal()
    desk.org.make("SOW_Milestone__c", Opportunity__c=ids["deal"], Name="Without an amount", CurrencyIsoCode="EUR")
    desk.org.change(ids["service"], Monthly_Amount__c="1000.55")  # yen have no decimals
    (seen,) = await desk.get("deal", ids["deal"])
    deal = _as_deal(seen.body)
    assert [each.name for each in deal.milestones] == ["Go-live"]
    assert deal.services == ()
    assert deal.unreadable == seen.problems
    assert any("Amount__c" in each and "is missing" in each for each in seen.problems)
    assert any("Monthly_Amount__c" in each and "decimals" in each for each in seen.problems)


async def test_a_poll_is_one_call_and_sees_changes_of_the_parts(desk: Desk) -> None:
    ids = desk.org.deal()
    desk.org.later(3600)
    other = desk.org.opportunity()
    seen, mark = await desk.poll("deal", None)
    assert {each.vendor_id for each in seen} == {ids["deal"], other}
    for what, fields in (
        ("milestone", {"Amount__c": "100"}),
        ("phase", {"Name": "Rebuild"}),
        ("service", {"Months__c": 24}),
        ("contract", {"CustomerSignedDate": "2026-11-23"}),
    ):
        desk.org.later(3600)
        desk.org.change(ids[what], **fields)
        seen, mark = await desk.poll("deal", mark)
        assert ids["deal"] in {each.vendor_id for each in seen}, what
    assert [each.vendor_id for each in seen] == [ids["deal"]], "what lies behind the overlap is not read again"
    assert str(_as_deal(seen[0].body).milestones[0].amount) == "100.00 EUR"
    assert _as_deal(seen[0].body).contract.signed_on is not None
    desk.org.later(3600)
    desk.org.opportunity()
    _, mark = await desk.poll("deal", mark)
    before = len(desk.calls())
    _, again = await desk.poll("deal", mark)
    assert again == mark
    assert len(desk.calls()) == before + 1, "an idle poll is one call"


async def test_a_deleted_part_goes_and_the_version_still_grows(desk: Desk) -> None:
    """The last change may be the deletion itself: it must not look older than what was seen before."""
    ids = desk.org.deal()
    (first,) = await desk.get("deal", ids["deal"])
    desk.org.later(3600)
    _, mark = await desk.poll("deal", None)
    desk.simulator.admin("delete", {"id": ids["milestone"]})
    seen, _ = await desk.poll("deal", mark)
    (second,) = seen
    assert _as_deal(second.body).milestones == ()
    assert second.version > first.version


async def test_a_deleted_deal_is_a_tombstone(desk: Desk) -> None:
    ids = desk.org.deal()
    _, mark = await desk.poll("deal", None)
    desk.org.later()
    desk.simulator.admin("delete", {"id": ids["deal"]})
    seen, _ = await desk.poll("deal", mark)
    assert [(each.vendor_id, each.deleted) for each in seen] == [(ids["deal"], True)]


async def test_our_own_write_back_is_no_change_of_the_deal(desk: Desk) -> None:
    ids = desk.org.deal()
    (before,) = await desk.get("deal", ids["deal"])
    desk.org.later()
    await desk.send("handover", {"id": "N", "deal_id": "DEA-1", "status": "in accord"}, ids={"DEA-1": ids["deal"]})
    (after,) = await desk.get("deal", ids["deal"])
    assert after.version > before.version
    assert after.body == before.body


async def test_many_deals_cost_few_calls(desk: Desk) -> None:
    """8,800 opportunities fill five pages; with two children each, rows of child lists fill pages as well."""
    account = desk.org.account()
    for number in range(3000):
        desk.org.opportunity(AccountId=account, Legacy_Id__c=f"L{number}")
    before = len(desk.calls())
    seen, _ = await desk.poll("deal", None)
    assert len(seen) == 3000
    assert len(desk.calls()) - before <= 4  # a token and two pages


async def test_deals_by_id_are_asked_for_in_lists_that_fit_an_address(desk: Desk) -> None:
    ids = [desk.org.opportunity() for _ in range(700)]
    seen = await desk.get("deal", *ids)
    assert {each.vendor_id for each in seen} == set(ids)


async def test_a_long_child_list_is_read_to_its_end(desk: Desk) -> None:
    desk.simulator.queries.smallest_page = desk.simulator.queries.page = 4
    deal = desk.org.opportunity()
    names = {desk.org.make("SOW_Phase__c", Opportunity__c=deal, Name=f"Phase {n}", Sequence__c=n) for n in range(11)}
    (seen,) = await desk.get("deal", deal)
    assert len(seen.body["phases"]) == len(names)
    assert [each["sequence"] for each in seen.body["phases"]] == list(range(11))


async def test_changes_in_one_second_are_all_seen(desk: Desk) -> None:
    """Moments are whole seconds: a change after the poll in the same second must not fall behind the watermark."""
    first = desk.org.account()
    _, mark = await desk.poll("customer", None)
    second = desk.org.account()
    seen, _ = await desk.poll("customer", mark)
    assert second in {each.vendor_id for each in seen}
    assert first != second


async def test_a_lost_cursor_fails_the_poll_and_the_next_one_goes_on(desk: Desk) -> None:
    desk.simulator.queries.smallest_page = desk.simulator.queries.page = 5
    for _ in range(12):
        desk.org.account()
    pages = [page async for page in _polled(desk, stop_after=1)]
    desk.simulator.admin("lose_cursors", {})
    with pytest.raises(Refused) as refused:
        await anext(_rest(desk))
    assert isinstance(refused.value.outcome, Transient)
    seen, _ = await desk.poll("customer", pages[-1])
    assert len(seen) == 12


async def _polled(desk: Desk, stop_after: int) -> Any:
    from accord.connectors.salesforce.customers import changed

    reader = changed(desk.session, None)
    for _ in range(stop_after):
        yield (await anext(reader)).watermark
    desk.reader = reader  # type: ignore[attr-defined]


def _rest(desk: Desk) -> Any:
    return desk.reader  # type: ignore[attr-defined]


async def test_a_customer_is_read_with_its_tax_number(desk: Desk) -> None:
    parent = desk.org.account(Name="Group")
    child = desk.org.account(
        Name="Acme",
        ParentId=parent,
        Tax_Registration__c="ATU12345678",
        BillingCountryCode="DE",
        Payment_Terms_Days__c=30,
    )
    nowhere = desk.org.account(Name="Nowhere", Tax_Registration__c="123456")
    found = {each.vendor_id: each for each in await desk.get("customer", child, nowhere)}
    customer = from_plain(Customer, {"id": "CUS-1", **found[child].body})
    assert customer.tax_registration is not None
    assert (customer.tax_registration.country, customer.tax_registration.number) == ("AT", "ATU12345678")
    assert customer.payment_terms_days == 30
    assert found[child].links == {"parent_id": ("customer", parent)}
    assert "country of the number" in found[nowhere].problems[0]


async def test_a_merged_account_is_a_tombstone(desk: Desk) -> None:
    master, other = desk.org.account(), desk.org.account()
    _, mark = await desk.poll("customer", None)
    desk.org.later()
    desk.simulator.admin("merge", {"master": master, "merged": [other]})
    seen, _ = await desk.poll("customer", mark)
    assert {each.vendor_id: each.deleted for each in seen}[other] is True


async def test_a_first_load_of_many_accounts_goes_by_a_bulk_job(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "ROWS_IN_A_PAGE", 7)
    monkeypatch.setattr(bulk, "_POLL_SECONDS", (0.0,))
    desk.session.config = {**desk.session.config, "bulk_from_rows": 10}
    made = {desk.org.account(Payment_Terms_Days__c=30, BillingCountry='Says "hi", twice\nno') for _ in range(20)}
    seen, mark = await desk.poll("customer", None)
    assert {each.vendor_id for each in seen} == made
    assert seen[0].body["payment_terms_days"] == 30
    assert seen[0].body["country_as_given"] == 'Says "hi", twice\nno'
    (again,) = await desk.get("customer", seen[0].vendor_id)
    assert (again.version, again.body) == (seen[0].version, seen[0].body), "bulk and REST tell the same"
    assert mark is not None
    assert any(path.endswith("/results") for _, path in desk.calls())


async def test_a_failed_bulk_job_says_why(desk: Desk) -> None:
    with pytest.raises(CallFailed, match="No such column"):
        async for _ in bulk.rows(desk.session, "SELECT Nothing FROM Account"):
            pass


async def test_a_renamed_field_stops_the_connection_and_names_it(desk: Desk) -> None:
    desk.org.deal()
    desk.simulator.admin("rename_field", {"object": "Opportunity", "field": "Delivery_Region__c", "to": "Region__c"})
    with pytest.raises(Refused) as refused:
        await desk.poll("deal", None)
    assert isinstance(refused.value.outcome, Misconfigured)
    assert "Delivery_Region__c" in refused.value.outcome.message


async def test_a_firm_may_call_its_fields_otherwise(desk: Desk) -> None:
    ids = desk.org.deal()
    desk.org.change(ids["deal"], Delivery_Region__c="EMEA")
    desk.simulator.admin("rename_field", {"object": "Opportunity", "field": "Delivery_Region__c", "to": "Region__c"})
    desk.session.config = {**desk.session.config, "fields": {"deal": {"delivery_region": "Region__c"}}}
    (seen,) = await desk.get("deal", ids["deal"])
    assert seen.body["delivery_region"] == "EMEA"


def test_a_poll_starts_two_minutes_before_its_watermark() -> None:
    assert soql.before("2026-11-23T00:01:00.000Z") == "2026-11-22T23:59:00.000Z"


def test_text_in_a_query_cannot_end_it() -> None:
    assert soql.quoted("O'Brien \\ x\n") == "'O\\'Brien \\\\ x\\n'"


async def test_a_change_of_a_part_is_read_before_the_watermark_passes_it(desk: Desk) -> None:
    """A poll cut short after the first page must find the part again."""
    ids = desk.org.deal()
    desk.org.later(3600)
    desk.org.opportunity()
    _, mark = await desk.poll("deal", None)
    desk.org.later(3600)
    desk.org.change(ids["milestone"], Amount__c="7")
    desk.org.later(3600)
    desk.org.opportunity()
    changed = desk_changed(desk, mark)
    first = await anext(changed)
    assert [each.vendor_id for each in first.observed] == [ids["deal"]]
    assert first.watermark is None


def desk_changed(desk: Desk, mark: Watermark | None) -> Any:
    from accord.connectors.salesforce import CONNECTOR

    reader = CONNECTOR.resources["deal"].changed
    assert reader is not None
    return reader(desk.session, mark)
