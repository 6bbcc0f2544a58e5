"""The flow from won to cash, the list of engagements and the metrics say what the tables hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.db.pool import Pool, transaction
from accord.errors import UsageError
from accord.insight import billing, draining, engagements, flow, metrics, processes
from tests.seeding import ATTACK, DEAL, Seeded, seed


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


def texts(stage: flow.Stage) -> list[str]:
    return [str(each) for each in stage.money]


async def test_each_stage_has_its_count_and_its_money_by_currency(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        home = await flow.home(db)
    assert {stage.name: stage.count for stage in home.stages} == {
        "won": 6, "in gate": 5, "active": 1, "milestone approved": 3, "invoiced": 3, "posted": 2, "paid": 2,
        "disputed": 1,
    }  # fmt: skip
    assert texts(home.stage("active")) == ["160000.00 EUR", "17300001 JPY", "290000.00 USD"]
    assert texts(home.stage("paid")) == ["50000.00 EUR", "120000.00 USD"]
    assert texts(home.stage("disputed")) == ["12500000 JPY"]
    assert (home.stuck.cases, [str(each) for each in home.stuck.money]) == (
        8, ["84000.00 EUR", "12500000 JPY", "624006.00 USD"],
    )  # fmt: skip
    assert home.unexplained == ()


async def test_a_reader_of_one_legal_entity_sees_its_part_alone(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        home = await flow.home(db, ["DE"])
    assert texts(home.stage("invoiced")) == ["113050.60 EUR"]
    assert home.stage("in gate").count == 1


async def test_the_worst_of_state_polls_and_waiting_is_the_health(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = {each.name: each for each in (await flow.home(db)).connections}
    assert (found["netsuite"].health, found["netsuite"].waiting) == ("stopped", 1)
    assert "INVALID_LOGIN" in found["netsuite"].why
    assert found["salesforce"].health == "good"
    assert found["netsuite"].drain_seconds == pytest.approx(0.25)


async def test_a_lost_posting_shows_as_unexplained(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, "
            "approved_at) VALUES ('BIL-Z', 'milestone', 'DEA-Z', 'DE', 'EUR', 5, 's', 's', now())"
        )
        home = await flow.home(db)
    assert [(each.legal_entity, str(each.unexplained)) for each in home.unexplained] == [("DE", "5.00")]


@pytest.mark.parametrize(
    ("waiting", "limits", "seconds"),
    [
        (0, {"concurrency": 5, "per_second": 4, "mean_seconds": 0.1}, None),
        (400, {"concurrency": 5, "per_second": 4.0, "mean_seconds": 0.1}, 100),
        (400, {"concurrency": 5, "per_second": None, "mean_seconds": 0.5}, 40),
        (400, {"concurrency": None, "per_second": None, "mean_seconds": None}, None),
    ],
)
def test_time_to_drain_is_the_slower_of_budget_and_calls(waiting, limits, seconds) -> None:
    assert draining.seconds_by_limits(waiting, **limits) == seconds


async def test_the_list_of_engagements_has_value_billed_paid_and_what_is_stuck(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        page = await engagements.list_engagements(db)
    first = page.engagements[0]
    assert (first.id, first.status, first.stuck, first.disputed) == (DEAL, "active", 2, True)
    assert [str(each) for each in first.billed] == ["113050.60 EUR", "12500000 JPY", "120000.00 USD"]
    assert [str(each) for each in first.paid] == ["50000.00 EUR", "0 JPY", "120000.00 USD"]
    assert page.engagements[1].status == "in gate"
    assert page.engagements[1].customer == ATTACK


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"text": "0061"}, 1),
        ({"text": "north"}, 1),
        ({"text": "northwind industrie"}, 1),
        ({"text": "hanbit"}, 4),
        ({"text": "ACC-0001"}, 1),
        ({"text": "no such thing"}, 0),
        ({"text": "'&|!:*"}, 0),
        ({"status": "in gate"}, 5),
        ({"status": "active"}, 1),
        ({"stuck": True}, 6),
        ({"entities": ["JP"]}, 0),
        ({"entities": ["DE"]}, 1),
    ],
)
async def test_engagements_are_searched_and_filtered(pool: Pool, seeded: Seeded, arguments, count) -> None:
    async with pool.connection() as db:
        found = await engagements.list_engagements(db, **arguments)
    assert len(found.engagements) == count


async def test_engagements_are_paged_by_cursor(pool: Pool, seeded: Seeded) -> None:
    found, cursor = [], None
    async with pool.connection() as db:
        while True:
            page = await engagements.list_engagements(db, limit=2, cursor=cursor)
            found += [each.id for each in page.engagements]
            cursor = page.next
            if cursor is None:
                break
        with pytest.raises(UsageError, match="status is one of"):
            await engagements.list_engagements(db, status="lost")
    assert len(found) == len(set(found)) == 6


async def test_an_overview_has_invoices_with_payments_and_the_ids_of_each_system(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        it = await engagements.overview(db, DEAL)
    us = it.invoices[0]
    assert (us.number, us.posted, us.refs["netsuite"], len(us.payments)) == ("ACC-0001", True, "900", 1)
    assert not it.invoices[2].posted
    assert all(each.unexplained == 0 for each in it.ledger)


async def test_its_tag_changes_when_anything_of_it_does(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        before = (await engagements.overview(db, DEAL)).tag
        await db.execute("UPDATE record SET version = version + 1 WHERE id = 'INV-US1'")
        assert (await engagements.overview(db, DEAL)).tag != before


async def test_each_number_of_the_flow_leads_to_its_rows(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        home = await flow.home(db)
        for stage in billing.STAGES:
            rows, cursor = [], None
            while True:
                page = await billing.rows_behind(db, stage, cursor=cursor, limit=2)
                rows += page.rows
                cursor = page.next
                if cursor is None:
                    break
            assert len(rows) == home.stage(stage).count, stage
        with pytest.raises(UsageError):
            await billing.rows_behind(db, "dreamt of")


async def test_a_process_shows_its_writes(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        story = await processes.one_process(db, seeded.parked)
        parked = await processes.list_processes(db, state="parked")
        with pytest.raises(processes.NoSuchProcess):
            await processes.one_process(db, 5)
    assert [(each.state, str(each.money)) for each in story.effects] == [("rejected", "12500000 JPY")]
    assert story.cases == (seeded.refused_case,)
    assert len(parked.processes) == 7


async def test_metrics_are_in_the_format_of_prometheus(pool: Pool, seeded: Seeded) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    async with pool.connection() as db:
        text = (await metrics.exposition(db)).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    stuck = {sample.labels["currency"]: sample.value for sample in families["accord_stuck_money"].samples}
    assert stuck["EUR"] == 84000
    assert sum(sample.value for sample in families["accord_open_cases"].samples) == 8
    assert ATTACK not in text
