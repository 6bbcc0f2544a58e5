"""Loading a pipeline into a simulated Salesforce over HTTPS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accord.connect.answer import Answer
from accord.errors import Unavailable
from accord.imports.crm_pipeline import LANES, LoadReport, lanes, load
from accord.imports.pipeline_files import Pipeline, read_pipeline
from accord.imports.pipeline_records import Defaults, Wanted, user_records
from accord.imports.salesforce_client import CallRefused, SalesforceClient
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import Served
from accord.sandbox.salesforce import SalesforceSimulator

from .conftest import Write, no_wait, rows


@pytest.fixture
def pipeline(write_pipeline: Write) -> Pipeline:
    return read_pipeline(write_pipeline())


async def loaded(crm: SalesforceClient, pipeline: Pipeline, **more: Any) -> LoadReport:
    return await load(crm, pipeline, wait=no_wait, **more)


def written(served: Served) -> int:
    return served.journal.total("PATCH") + served.journal.total("POST")


async def test_accounts_stand_as_sales_wrote_them(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    """Misspelt countries and sectors are left to the platform's gate."""
    await loaded(crm, pipeline)
    accounts = rows(simulator, "Account")
    acme = accounts["Acme Corporation"]
    assert (acme["Name"], acme["BillingCountry"], acme["Industry"]) == ("Acme Corporation", "Philipines", "technolgy")
    assert (acme["AnnualRevenue"], acme["NumberOfEmployees"], acme["CurrencyIsoCode"]) == ("1100040000", 2822, "USD")
    assert accounts["Codehow"]["ParentId"] == acme["Id"]
    assert not acme.get("ParentId")


async def test_a_won_deal_has_an_activated_contract(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    await loaded(crm, pipeline)
    contracts = rows(simulator, "Contract")
    assert sorted(contracts) == ["WON00001", "WON00002"]
    contract = contracts["WON00001"]
    told = ("Status", "StatusCode", "Approval_Status__c", "CustomerSignedDate", "Billing_Terms__c")
    assert [contract[name] for name in told] == ["Activated", "Activated", "Approved", "2017-03-01", "NET30"]
    assert contract["AccountId"] == rows(simulator, "Account")["Codehow"]["Id"]


async def test_deals_keep_their_words_and_get_what_is_declared(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    await loaded(crm, pipeline)
    deals = rows(simulator, "Opportunity")
    told = ("StageName", "IsWon", "IsClosed", "CloseDate", "Amount", "Product_Name__c", "CurrencyIsoCode")
    assert {key: tuple(deal.get(name) for name in told) for key, deal in deals.items()} == {
        "WON00001": ("Closed Won", True, True, "2017-03-01", "4514.00", "GTXPro", "USD"),
        "WON00002": ("Closed Won", True, True, "2017-03-11", "50.00", "MG Special", "USD"),
        "LOST0001": ("Closed Lost", False, True, "2017-12-31", "0.00", "MG Special", "USD"),
        "ENGAGE01": ("Qualification", False, False, "2017-12-31", None, "MG Special", "USD"),
        "PROSPEC1": ("Prospecting", False, False, "2017-12-31", None, "GTX Pro", "USD"),
    }
    won = deals["WON00001"]
    assert won["ContractId"] == rows(simulator, "Contract")["WON00001"]["Id"]
    assert won["AccountId"] == rows(simulator, "Account")["Codehow"]["Id"]
    assert (won["Contract_Type__c"], won["Legal_Entity__c"], won["Delivery_Region__c"]) == ("fixed_fee", "US", "AMER")
    assert deals["ENGAGE01"].get("AccountId") is None


async def test_agents_who_own_deals_become_users(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    """Carl Lin owns no deal and costs no licence."""
    report = await loaded(crm, pipeline)
    users = rows(simulator, "User", "Name")
    assert rows(simulator, "Opportunity")["WON00001"]["OwnerId"] == users["Moses Frase"]["Id"]
    assert users["Moses Frase"]["Username"] == "moses.frase@sales-agents.example"
    assert "Carl Lin" not in users
    assert report.counts["User"] == {"created": 2, "unchanged": 0}


async def test_where_users_may_not_be_made_deals_stay_with_the_loader(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    simulator.org.schema.objects["User"].readonly = True
    report = await loaded(crm, pipeline)
    assert [(each.file, each.line) for each in report.rejections] == [("sales_teams.csv", 2), ("sales_teams.csv", 3)]
    assert "Salesforce refused the User" in report.rejections[0].reason
    assert len(rows(simulator, "Opportunity")) == 5


async def test_a_second_load_writes_nothing(
    served: Served, simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    first = await loaded(crm, pipeline)
    before, state = written(served), simulator.dump()
    second = await loaded(crm, pipeline)
    assert written(served) == before
    assert {name: rows for name, rows in simulator.dump().items() if name != "api_usage"} == {
        name: rows for name, rows in state.items() if name != "api_usage"
    }
    assert {name: counts["created"] for name, counts in first.counts.items()} == {
        name: counts["unchanged"] for name, counts in second.counts.items()
    }


async def test_a_newer_file_changes_what_differs_and_nothing_else(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline, write_pipeline: Write
) -> None:
    await loaded(crm, pipeline)
    before = len(simulator.dump()["changes"])
    folder = write_pipeline()
    file = folder / "sales_pipeline.csv"
    file.write_text(
        file.read_text().replace(",Engaging,25-10-16,,,Q4 2016,", ",Lost,25-10-16,01-12-17,0,Q4 2016,Q4 2017")
    )
    report = await loaded(crm, read_pipeline(folder))
    assert report.counts["Opportunity"] == {"unchanged": 4, "updated": 1}
    assert len(simulator.dump()["changes"]) == before + 1
    assert rows(simulator, "Opportunity")["ENGAGE01"]["StageName"] == "Closed Lost"


async def test_what_a_person_has_corrected_is_kept(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    """The file still says Philipines; only `overwrite` brings that back."""
    await loaded(crm, pipeline)
    account = next(iter(simulator.org.table("Account").by("Legacy_Id__c", "Acme Corporation")))
    person = next(row["Id"] for row in simulator.dump()["User"] if row["Name"] == "Avery Quinn")
    account |= {"BillingCountry": "Philippines", "LastModifiedById": person}
    report = await loaded(crm, pipeline)
    assert rows(simulator, "Account")["Acme Corporation"]["BillingCountry"] == "Philippines"
    assert report.counts["Account"] == {"unchanged": 2, "kept": 1}
    report = await loaded(crm, pipeline, overwrite=True)
    assert rows(simulator, "Account")["Acme Corporation"]["BillingCountry"] == "Philipines"
    assert report.counts["Account"] == {"unchanged": 2, "updated": 1}


async def test_a_load_that_broke_off_is_completed(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    """It ended after the contracts were drafted, before they were activated."""
    simulator.faults.add(Fault("status", method="PATCH", path="Contract", after=1, times=99, status=400, code="BROKEN"))
    with pytest.raises(CallRefused, match="BROKEN"):
        await loaded(crm, pipeline)
    assert {row["Status"] for row in rows(simulator, "Contract").values()} == {"Draft"}
    assert rows(simulator, "Opportunity") == {}
    simulator.faults.clear()
    report = await loaded(crm, pipeline)
    assert {row["Status"] for row in rows(simulator, "Contract").values()} == {"Activated"}
    assert len(rows(simulator, "Opportunity")) == 5
    assert report.rejections == ()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("partial_batch", method="PATCH", times=3),
        Fault("status", method="PATCH", times=2, status=503),
        Fault("status", times=3, status=503, after=2),
        Fault("lose_answer", method="PATCH", after=1, times=3),
        Fault("lose_request", method="PATCH", times=2),
    ],
    ids=lambda fault: fault.kind,
)
async def test_what_passes_by_itself_is_sent_again(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline, fault: Fault
) -> None:
    simulator.faults.add(fault)
    report = await loaded(crm, pipeline)
    assert report.rejections == ()
    assert [len(rows(simulator, name)) for name in ("Account", "Contract", "Opportunity")] == [3, 2, 5]
    assert simulator.faults.waiting() == []


async def test_a_session_that_ended_says_what_is_wrong(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    simulator.faults.add(Fault("expire_tokens"))
    with pytest.raises(CallRefused, match="INVALID_SESSION_ID"):
        await loaded(crm, pipeline)


async def test_users_are_not_created_twice_when_the_answer_is_lost(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    """A create cannot be sent again unseen; the next load finds the users that were made."""
    simulator.faults.add(Fault("lose_answer", method="POST"))
    with pytest.raises(Unavailable, match="no answer in 1 tries"):
        await loaded(crm, pipeline)
    report = await loaded(crm, pipeline)
    assert report.counts["User"] == {"unchanged": 2}
    assert rows(simulator, "Opportunity")["WON00001"]["OwnerId"] == rows(simulator, "User", "Name")["Moses Frase"]["Id"]


async def test_a_lost_race_of_two_upserts_leaves_one_record(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    simulator.rules.races["Opportunity"] = 2
    report = await loaded(crm, pipeline)
    assert report.rejections == ()
    assert Counter(row["Legacy_Id__c"] for row in simulator.dump()["Opportunity"]).most_common(1)[0][1] == 1


async def test_a_salesforce_that_stays_away_ends_the_load(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    simulator.faults.add(Fault("status", times=99, status=503))
    with pytest.raises(Unavailable, match="no answer in 6 tries"):
        await loaded(crm, pipeline)


async def test_what_salesforce_refuses_is_listed_with_its_line(
    simulator: SalesforceSimulator, crm: SalesforceClient, write_pipeline: Write
) -> None:
    name = "N" * 256
    pipeline = read_pipeline(write_pipeline(accounts=[f"{name},,,,,,"]))
    report = await loaded(crm, pipeline)
    assert [(each.file, each.line) for each in report.rejections] == [("accounts.csv", 5)]
    assert "STRING_TOO_LONG" in report.rejections[0].reason
    assert report.counts["Account"] == {"created": 3, "rejected": 1}


async def test_progress_ends_with_all_deals(crm: SalesforceClient, pipeline: Pipeline) -> None:
    seen: list[int] = []
    await loaded(crm, pipeline, on_progress=seen.append)
    assert seen[0] == 0
    assert (seen == sorted(seen), seen[-1]) == (True, 5)
    seen.clear()
    await loaded(crm, pipeline, on_progress=seen.append)
    assert set(seen) == {5}


async def test_what_is_declared_can_be_declared_otherwise(
    simulator: SalesforceSimulator, crm: SalesforceClient, pipeline: Pipeline
) -> None:
    given = Defaults(billing_terms="NET45", legal_entities={"Central": "DE", "West": "JP", "East": "US"})
    await loaded(crm, pipeline, defaults=given)
    assert rows(simulator, "Contract")["WON00001"]["Billing_Terms__c"] == "NET45"
    entities = {key: row["Legal_Entity__c"] for key, row in rows(simulator, "Opportunity").items()}
    assert (entities["WON00001"], entities["WON00002"]) == ("DE", "JP")


async def test_the_real_pipeline_is_loaded_in_few_calls(
    served: Served, simulator: SalesforceSimulator, crm: SalesforceClient, real_pipeline: Path
) -> None:
    pipeline = read_pipeline(real_pipeline)
    report = await loaded(crm, pipeline)
    assert report.rejections == ()
    assert report.counts == {
        "User": {"unchanged": 0, "created": 30},
        "Account": {"created": 85},
        "Contract": {"created": 4238},
        "Opportunity": {"created": 8800},
    }
    deals = rows(simulator, "Opportunity")
    assert sum(Decimal(deal["Amount"]) for deal in deals.values() if deal["IsWon"]) == 10_005_534
    # 30 users, 85 accounts on two levels, 4,238 contracts twice and 8,800 deals, at most 200 a call.
    assert written(served) <= 1 + 2 + 2 * (22 + LANES) + 44 + LANES
    before = served.journal.total()
    second = await loaded(crm, pipeline)
    assert {name: counts["unchanged"] for name, counts in second.counts.items()} == {
        "User": 30, "Account": 85, "Contract": 4238, "Opportunity": 8800,
    }  # fmt: skip
    assert served.journal.total() - before <= 1 + 1 + 3 + 5


def test_records_under_one_account_are_never_written_side_by_side() -> None:
    wanted = [Wanted(str(number), {}, "f", number, lane=f"account {number % 7}") for number in range(100)]
    made = lanes(wanted, 4)
    assert sorted(each.key for lane in made for each in lane) == sorted(each.key for each in wanted)
    homes = {
        each.lane: {index for index, lane in enumerate(made) for one in lane if one.lane == each.lane}
        for each in wanted
    }
    assert {len(home) for home in homes.values()} == {1}
    assert max(map(len, made)) <= 30
    assert lanes([], 4) == []


async def test_a_query_that_goes_in_circles_ends() -> None:
    page = b'{"done": false, "records": [], "nextRecordsUrl": "/services/data/v67.0/query/01g-2000"}'

    class Circle:
        config: Mapping[str, Any] = {}

        async def call(self, *_args: Any, **_named: Any) -> Answer:
            return Answer(200, {}, page)

        async def expect(self, calling: Awaitable[Answer]) -> Answer:
            return await calling

    with pytest.raises(Unavailable, match="the same page of a query twice"):
        await SalesforceClient(Circle()).query("SELECT Id FROM Account")  # type: ignore[arg-type]


def test_two_agents_are_two_users_however_alike(write_pipeline: Write) -> None:
    folder = write_pipeline(sales_teams=["José Núñez,Boss,East", "Jose Nunez,Boss,East", "Cher,Boss,East"])
    users = user_records(read_pipeline(folder).agents, Defaults())
    assert users["José Núñez"].key == "jose.nunez@sales-agents.example"
    assert users["Jose Nunez"].key == "jose.nunez.6@sales-agents.example"
    assert (users["Cher"].fields["FirstName"], users["Cher"].fields["LastName"]) == ("", "Cher")
