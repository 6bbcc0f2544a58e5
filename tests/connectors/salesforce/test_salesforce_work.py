"""Time and expenses of custom objects, from the org into the ledger: polled, pushed, approved, taken back, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from accord.connect.connector import Pointer
from accord.connectors.salesforce import CONNECTOR
from accord.connectors.salesforce.outbound import WEBHOOK
from accord.connectors.salesforce.work import object_of
from accord.db.pool import Pool
from tests.told_house import House, SalesforceFirm, salesforce_house


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    async with salesforce_house(pool) as opened:
        yield opened


@pytest.fixture
def firm(house: House) -> SalesforceFirm:
    return SalesforceFirm(house)


async def test_approved_time_of_an_opportunity_is_taken_for_its_engagement(house: House, firm: SalesforceFirm) -> None:
    deal = firm.deal()
    await house.project(deal, "DEA-A", "DE", kind="deal")
    await house.agree("DEA-A", "DE")
    id = firm.time(deal, "7.25", Role__c="Architect", Task__c="Design", Worker_Entity__c="JP", Notes__c="workshop")
    await house.poll()
    asked = "source_key, status, quantity, engagement, legal_entity, worker, worker_entity, role, task, approver, note"
    assert await house.entries(asked) == [
        (f"Time_Entry__c {id}", "approved", Decimal("7.25"), "DEA-A", "DE", "Jonas Weber", "JP", "Architect", "Design",
         "Avery Quinn", "workshop"),
    ]  # fmt: skip
    await house.rate()
    assert await house.lies() == {"DEA-A DE wip": "1450.00 EUR", "DEA-A JP intercompany": "1450.00 EUR"}


async def test_of_several_legal_entities_the_record_has_to_say_which(house: House, firm: SalesforceFirm) -> None:
    deal = firm.deal()
    await house.project(deal, "DEA-A", "DE", kind="deal")
    await house.run("INSERT INTO record SELECT kind, id || '2', version, jsonb_set(body, '{legal_entity}', '\"US\"'), "
                    "digest, provenance, connection, source_version, correlation, deleted, changed_at, observed_at "
                    "FROM record WHERE kind = 'project'")  # fmt: skip
    unclear, clear = firm.time(deal), firm.time(deal, Legal_Entity__c="US")
    await house.poll()
    assert await house.entries("source_key, legal_entity") == [(f"Time_Entry__c {clear}", "US")]
    assert await house.problems() == [("legal_entity_unclear", f"Time_Entry__c {unclear}")]
    assert await house.bound() == 0, "what is known already does not make it clearer"
    house.later(minutes=5)
    house.admin("update", id=unclear, fields={"Legal_Entity__c": "DE"})
    await house.poll()
    assert (await house.problems(), await house.cases()) == ([], [])


async def test_expenses_have_currency_tax_category_and_receipt(house: House, firm: SalesforceFirm) -> None:
    await house.listed("P-7", "DEA-B", "JP")
    id = firm.expense(None, "4500", "JPY", Project__c="P-7", Category__c="Hotel", Tax_Included__c="409",
                      Receipt__c="https://files.example/1.pdf")  # fmt: skip
    await house.poll()
    assert await house.entries("source_key, engagement, cost, cost_currency, tax_included, category, receipt") == [
        (f"Expense__c {id}", "DEA-B", Decimal(4500), "JPY", Decimal(409), "Hotel", "https://files.example/1.pdf")
    ]


async def test_a_recall_a_deletion_and_what_comes_back_out_of_the_bin(house: House, firm: SalesforceFirm) -> None:
    deal = firm.deal()
    await house.project(deal, "DEA-A", "DE", kind="deal")
    await house.agree("DEA-A", "DE")
    id = firm.time(deal)
    await house.poll()
    for action, status in (("recall_work", "recalled"), ("approve_work", "approved")):
        house.later(minutes=5)
        house.admin(action, ids=[id])
        await house.poll()
        assert await house.entries("status") == [(status,)]
    for action, status in (("delete", "deleted"), ("undelete", "approved")):
        house.later(minutes=5)
        house.admin(action, id=id)
        await house.poll()
        assert await house.entries("status") == [(status,)]
    await house.rate()
    assert await house.lies() == {"DEA-A DE wip": "1600.00 EUR"}


async def test_an_outbound_message_and_a_poll_are_one_entry(house: House, firm: SalesforceFirm) -> None:
    deal = firm.deal()
    await house.project(deal, "DEA-A", "DE", kind="deal")
    firm.subscribe("Time_Entry__c", "Expense__c")
    firm.time(deal)
    firm.expense(deal, "10")
    pushes = house.pushes()
    assert len(pushes) == 2
    await asyncio.gather(house.receive(*pushes), house.poll())
    assert await house.rows("SELECT kind, revision FROM work_entry ORDER BY kind") == [("expense", 1), ("time", 1)]


async def test_an_org_may_call_its_objects_fields_and_states_otherwise(pool: Pool) -> None:
    work = {"expense": "Invoice__c"}
    fields = {
        "expense": {"cost": "Gross__c", "worked_on": "Due_Date__c", "project": "Number__c", "worker": "Owner.Name",
                    "worker_entity": "Legal_Entity__c", "task": "Name", "billable": "Disputed__c", "note": "Name",
                    "approver": "LastModifiedBy.Name", "submitted_at": "CreatedDate", "approved_at": "CreatedDate",
                    "category": "Name", "tax_included": "Tax__c", "receipt": "Accord_Invoice__c"},
    }  # fmt: skip
    statuses = {"expense": {"signed off": "approved"}}
    async with salesforce_house(pool, work=work, fields=fields, statuses=statuses) as house:
        await house.listed("P-7", "DEA-B", "DE")
        firm = SalesforceFirm(house)
        firm.make("Invoice__c", Gross__c="99.5", CurrencyIsoCode="EUR", Due_Date__c="2026-11-20", Number__c="P-7",
                  Status__c="signed off", Disputed__c=True, Legal_Entity__c="DE")  # fmt: skip
        await house.poll("expense")
        assert await house.entries("status, cost, engagement") == [("approved", Decimal("99.5"), "DEA-B")]
        assert await house.rows("SELECT kind FROM poll WHERE kind IN ('time_entry', 'expense')") == [("expense",)]


def test_work_is_read_only_where_the_settings_name_its_object() -> None:
    assert object_of({}, "time_entry") is None
    assert object_of({"work": ["time_entry"]}, "time_entry") == "Time_Entry__c"
    assert object_of({"work": {"time_entry": "pse__Timecard__c"}}, "time_entry") == "pse__Timecard__c"
    assert object_of({"work": "expense, time_entry"}, "time_entry") == "Time_Entry__c", "as the command line gives it"
    assert object_of({"work": "expense"}, "time_entry") is None
    assert [kind for kind, each in CONNECTOR.resources.items() if not each.wanted({})] == ["time_entry", "expense"]


async def test_a_push_points_to_the_object_the_settings_name(house: House, firm: SalesforceFirm) -> None:
    firm.subscribe("Time_Entry__c")
    id = firm.time(firm.deal())
    (push,) = house.pushes()
    (arrival,) = WEBHOOK.reader({"work": {"time_entry": "Time_Entry__c"}})({}, push.body)
    assert arrival.items == (Pointer("time_entry", id),)
    (arrival,) = WEBHOOK.reader({})({}, push.body)
    assert arrival.ignored == "Time_Entry__c is of no interest"


async def test_a_mass_approval_is_read_again_for_minutes_and_not_for_ever(house: House, firm: SalesforceFirm) -> None:
    """What was dated long enough ago is settled: the watermark moves on although nothing changes."""
    firm.time(None)
    await house.poll("time_entry")
    assert await read(house) == 1
    house.later(minutes=13)
    await house.poll("time_entry")
    assert await read(house) == 0


async def read(house: House) -> int:
    before = await house.rows("SELECT last_seen FROM poll WHERE kind = 'time_entry'")
    await house.poll("time_entry")
    after = await house.rows("SELECT last_seen FROM poll WHERE kind = 'time_entry'")
    return int(after[0][0] - before[0][0])
