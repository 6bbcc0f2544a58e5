"""The measures of the PMO out of the database: worked values, by whom they may be seen, and why there is none."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from accord.db.pool import Pool, transaction
from accord.insight import pmo
from accord.insight.pmo import Overview, last_months, overview
from accord.insight.pmo_caps import CapLine, caps
from accord.insight.pmo_engagements import Summary, summaries
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_money import POSTED
from accord.insight.pmo_utilization import page_of, utilization
from accord.ledger import people
from accord.ledger.dispositions import Disposition, item, move
from accord.ledger.postings import write
from accord.ledger.terms import declare
from accord.model.money import Money
from accord.model.people import Staffing
from accord.model.terms import Cap, CapLevel
from tests.staffing import DEAL, NOW, TERMS, TODAY, firm, firm_database, own_firm, person, staff, usd

__all__ = ["firm", "firm_database", "own_firm"]

WEEKS = Weeks.until(TODAY, 4)


def eur(amount: str) -> Money:
    return Money.of(amount, "EUR")


async def look(pool: Pool, entities: list[str] | None = None) -> Overview:
    async with pool.connection() as db:
        return await overview(db, NOW, entities)


def texts(found: Overview, name: str) -> dict[str, str]:
    return {
        f"{each.reading.definition.variant} {each.about.split(',')[0]}": each.reading.text for each in found.of(name)
    }


async def test_utilization_is_billable_hours_by_available_ones_with_its_band(firm: Pool) -> None:
    async with firm.connection() as db:
        found = await utilization(db, WEEKS.first_day, WEEKS.last_day)
        german = await utilization(db, WEEKS.first_day, WEEKS.last_day, entities=["DE"])
        cloud = await utilization(db, WEEKS.first_day, WEEKS.last_day, practice="Cloud")
    by_worker = {each.worker: each.hours for each in found.people}
    anna = by_worker["anna"]
    assert (anna.contractual, anna.time_off, anna.holidays, anna.available) == (160, 16, 8, 136)
    # 96 of 136 are approved; 37 more are submitted, and 3 of travel are not billable
    assert [each.text for each in anna.readings] == ["70.59 %", "97.79 %", "70.59 %"]
    # Clara's Fridays went into proposals: 128 billable and 32 strategic hours of 160
    assert [each.text for each in by_worker["clara"].readings] == ["80.00 %", "80.00 %", "100.00 %"]
    assert "petra" not in by_worker, "nobody expects hours of her, and she told none"
    assert [each.worker for each in german.people] == ["clara"]
    assert [each.worker for each in cloud.people] == ["ben", "clara"]
    assert [(each.practice, each.people) for each in found.practices] == [("Cloud", 2), ("Data", 2)]
    first = page_of(found, None, 3)
    assert [each.worker for each in page_of(found, first.next, 3).people] == ["dora"]


async def test_a_person_without_available_hours_has_no_utilization_and_it_is_said_why(pool: Pool) -> None:
    await staff(pool, Staffing(people=(person("anna", hours_per_week=Decimal(0)),)))
    async with pool.connection() as db:
        found = await utilization(db, WEEKS.first_day, WEEKS.last_day)
    assert found.whole.readings[0].text == "not defined: the number of available hours is zero"


async def test_a_cap_says_what_is_left_and_for_how_long(firm: Pool) -> None:
    found = (await look(firm)).caps
    [cap] = found
    assert (cap.limit, cap.used, cap.left) == (usd("60000.00"), usd("44200.00"), usd("15800.00"))
    assert cap.share.text == "73.67 %"
    # 44,200.00 were worked in the 56 days since 1 October, so 15,800.00 will do for 20.02 days.
    assert cap.days is not None
    assert (cap.days.text, cap.reached_on) == ("20.02 days", TODAY + timedelta(days=20))
    assert cap.close


async def of_terms(pool: Pool, *more: Cap) -> dict[str, CapLine]:
    async with transaction(pool) as db:
        await declare(db, [replace(TERMS[0], caps=(*TERMS[0].caps, *more))], by="fatima")
        return {each.id: each for each in await caps(db, TODAY)}


async def test_a_cap_nothing_is_worked_under_or_in_another_currency_has_no_pace(own_firm: Pool) -> None:
    found = await of_terms(
        own_firm,
        Cap("EMPTY", CapLevel.LINE, usd("100.00"), applies_to="Audit"),
        Cap("FOREIGN", CapLevel.CONTRACT, eur("100.00")),
    )
    assert found["EMPTY"].days is not None
    assert found["EMPTY"].days.text == "not defined: nothing was worked under it since the first day of last month"
    assert found["FOREIGN"].days is None
    assert [each.close for each in (found["PO"], found["EMPTY"], found["FOREIGN"])] == [True, False, False]


async def test_backlog_is_what_is_signed_and_not_invoiced(firm: Pool) -> None:
    # Milestones of 120,000.00, 95,000.50 and 12,500,000 are invoiced; twelve months of 7,500.00 are not.
    assert texts(await look(firm), "backlog") == {
        "unbilled EUR": "0.00 EUR", "unbilled JPY": "0 JPY", "unbilled USD": "90000.00 USD",
    }  # fmt: skip


async def test_a_subscription_that_ended_early_is_promised_as_far_as_it_was_invoiced(own_firm: Pool) -> None:
    """Two of twelve months were billed before it was cancelled: nothing of it is left, and nothing is missing."""
    month = Money.of("7500.00", "USD")
    async with transaction(own_firm) as db:
        await db.execute("UPDATE record SET body = body || '{\"status\": \"cancelled\"}' WHERE id = 'SUB-1'")
        for nth in (1, 2):
            about = item(
                id=f"BIL-SUB{nth}", kind="subscription_period", engagement=DEAL, legal_entity="US", amount=month,
                source="subscription", source_id=f"SUB-1-{nth}", approved_at=NOW.isoformat(),
            )  # fmt: skip
            post = move(f"bill {nth}", about, month, out_of=Disposition.APPROVED, into=Disposition.BILLED, cause="t",
                        at=NOW.isoformat(), new=True)  # fmt: skip
            await write(db, [(post.entry, post.items, post.postings)])
            await db.execute(
                "INSERT INTO record SELECT kind, id || %s, version, body || %s::jsonb, digest, provenance, connection,"
                " source_version, correlation, deleted, changed_at, observed_at FROM record WHERE id = 'INV-US1'"
                " AND kind = 'invoice'",
                [f"-{nth}", '{"subscription_id": "SUB-1", "net": {"amount": "7500.00", "currency": "USD"}}'],
            )
    assert texts(await look(own_firm), "backlog")["unbilled USD"] == "0.00 USD"


async def test_where_a_revenue_schedule_is_kept_backlog_is_less_what_was_recognised(own_firm: Pool) -> None:
    """Of a price of 100,000.00 30,000.00 were recognised by October, as its second version says."""
    async with transaction(own_firm) as db:
        for month, day in (("2026-09", "2026-09-01"), ("2026-10", "2026-10-01")):
            await db.execute(
                "INSERT INTO accounting_period (legal_entity, period, starts_on, ends_on) VALUES ('DE', %s, %s, %s)",
                [month, day, date.fromisoformat(day) + timedelta(days=29)],
            )
        for month, version, cumulative in (("2026-09", 1, 10_000), ("2026-10", 1, 20_000), ("2026-10", 2, 30_000)):
            await db.execute(
                "INSERT INTO revenue_row (engagement, legal_entity, obligation_id, period, version, price, done, whole,"
                " cumulative, recognised, caught_up, currency, told, kept_at) VALUES (%s, 'DE', 'OBL', %s, %s, 100000,"
                " 1, 1, %s, 0, 0, 'EUR', 't', %s)",
                [DEAL, month, version, cumulative, NOW],
            )
    assert texts(await look(own_firm), "backlog") == {
        "contracted EUR": "70000.00 EUR", "unbilled JPY": "0 JPY", "unbilled USD": "90000.00 USD",
    }  # fmt: skip
    assert eur("70000.00") in (await one(own_firm, with_costs=False)).remaining


async def test_hours_count_in_the_legal_entity_a_person_worked_for_on_that_day(own_firm: Pool) -> None:
    moved = person("ben", legal_entity="DE", valid_from=date(2026, 11, 2), calendar="DE")
    async with transaction(own_firm) as db:
        await people.declare(db, Staffing(people=(moved,)), by="hana")
        seen = {
            entity: await utilization(db, WEEKS.first_day, WEEKS.last_day, entities=[entity]) for entity in ("US", "DE")
        }
    hours = {
        entity: next(each.hours for each in found.people if each.worker == "ben") for entity, found in seen.items()
    }
    assert {entity: (each.available, each.billable) for entity, each in hours.items()} == {
        "US": (40, 50), "DE": (120, 50),
    }  # fmt: skip


async def test_realization_is_of_work_that_somebody_has_decided_about(own_firm: Pool) -> None:
    undecided = texts(await look(own_firm), "realization")
    assert undecided["billing USD"] == "not defined: standard value is zero"
    async with transaction(own_firm) as db:
        # Of Ben's 25,000.00 in October and November one week is billed and half of it paid; a day is written off.
        for day, place in ((date(2026, 10, 26), "billed"), (date(2026, 10, 27), "written_off"),
                           (date(2026, 10, 28), "billed"), (date(2026, 10, 28), "collected")):  # fmt: skip
            await db.execute(
                "UPDATE item_part SET disposition = %s, entry = %s, cause = 't'"
                " WHERE worked_on = %s AND item_id LIKE '%%ben%%'",
                [place, f"{place} {day}", day],
            )
    decided = texts(await look(own_firm), "realization")
    assert [decided[f"{name} USD"] for name in ("billing", "collection", "overall")] == [
        "66.67 %",
        "50.00 %",
        "33.33 %",
    ]


async def test_wip_days_weigh_what_is_unbilled_by_what_was_earned(firm: Pool) -> None:
    # Earned in three whole months up to October: a week of Anna (40 h at 200.00) and of Ben (50 h at 250.00).
    # 44,200.00 × 92 days ÷ 20,500.00
    assert texts(await look(firm), "wip_days")["earned USD"] == "198.36 days"


async def one(pool: Pool, *, with_costs: bool, entities: list[str] | None = None) -> Summary:
    async with pool.connection() as db:
        page = await summaries(db, TODAY, entities=entities, with_costs=with_costs, id=DEAL)
    return page.engagements[0]


async def test_margin_is_earned_less_cost_for_those_who_may_see_it(firm: Pool) -> None:
    assert (await one(firm, with_costs=False)).margins is None
    found = {each.legal_entity: each for each in (await one(firm, with_costs=True)).margins or ()}
    # 120,000.00 of a milestone and 44,200.00 of work; 96 hours at 80.00 and 100 at 90.00
    assert (found["US"].cost, found["US"].reading.text) == ((usd("16680.00"),), "89.84 %")
    # 95,000.50 and 23,040.00; 160 hours at 70.00
    assert (found["DE"].cost, found["DE"].reading.text) == ((eur("11200.00"),), "90.51 %")


async def test_a_margin_with_a_cost_that_is_not_known_is_not_defined(own_firm: Pool) -> None:
    async with transaction(own_firm) as db:
        await db.execute("UPDATE person_spell SET cost_per_hour = NULL, cost_currency = NULL WHERE worker = 'ben'")
        await db.execute("UPDATE person_spell SET cost_currency = 'CHF' WHERE worker = 'clara'")
    found = {each.legal_entity: each.reading.text for each in (await one(own_firm, with_costs=True)).margins or ()}
    assert found["US"] == "not defined: 100 hours are by people whose cost is not declared"
    assert found["DE"] == "not defined: costs are not all in EUR, and no rate is agreed to convert them"


async def test_an_hour_costs_what_it_cost_on_its_day(own_firm: Pool) -> None:
    dearer = person("ben", valid_from=date(2026, 11, 2), cost_per_hour=usd("100.00"))
    async with transaction(own_firm) as db:
        await people.declare(db, Staffing(people=(dearer,)), by="hana")
    found = {each.legal_entity: each.cost for each in (await one(own_firm, with_costs=True)).margins or ()}
    # 96 hours of Anna at 80.00; of Ben's, 50 at 90.00 and 50 at 100.00
    assert found["US"] == (usd("17180.00"),)


async def test_an_engagement_is_told_with_invoices_payments_and_disputes(firm: Pool) -> None:
    it = await one(firm, with_costs=False)
    assert (it.contracted, it.remaining) == (
        (eur("95000.50"), Money.of("12500000", "JPY"), usd("210000.00")),
        (eur("0.00"), Money.of("0", "JPY"), usd("90000.00")),
    )
    assert [(each.number, each.status, each.disputed) for each in it.invoices] == [
        ("ACC-0002", "overdue", False), ("ACC-0003", "overdue", True), ("ACC-0001", "paid", False),
    ]  # fmt: skip
    assert it.overdue == (eur("63050.60"), Money.of("12500000", "JPY"))
    assert it.not_approved_hours == 40


async def test_a_reader_of_one_legal_entity_sees_its_money_alone(own_firm: Pool) -> None:
    async with transaction(own_firm) as db:
        phases = '{"phases": [{"id": "PHA-1", "name": "Core", "sequence": 1, "legal_entity": "DE"}]}'
        await db.execute("UPDATE record SET body = body || %s::jsonb WHERE kind = 'deal' AND id = %s", [phases, DEAL])
    german = await one(own_firm, with_costs=True, entities=["DE"])
    assert german.contracted == (eur("95000.50"),)
    assert german.caps == ()
    assert [each.number for each in german.invoices] == ["ACC-0002"]
    assert german.not_approved_hours == 0
    assert [each.legal_entity for each in german.margins or ()] == ["DE"]
    found = await look(own_firm, ["DE"])
    assert found.caps == ()
    assert {each.worker for each in found.used.people} == {"clara"}
    assert not any("USD" in each.about for each in found.measures)


async def test_the_funnel_counts_and_says_what_is_stuck(firm: Pool) -> None:
    found = (await look(firm)).activation
    assert [(each.name, each.count) for each in found.steps] == [
        ("won", 6), ("through the gate", 1), ("active", 1), ("time told", 1), ("billed", 1),
    ]  # fmt: skip
    assert [each.text for each in found.times] == ["0.00 hours", "0.00 hours"]
    assert found.stuck[0].id == "DEA-K3"
    assert all(each.held for each in found.stuck)


async def test_milestones_due_and_engagements_on_hold_are_told(own_firm: Pool) -> None:
    assert ((await look(own_firm)).due, (await look(own_firm)).on_hold) == ((), ())
    async with transaction(own_firm) as db:
        await db.execute(
            "UPDATE record SET body = body || '{\"status\": \"scheduled\"}' WHERE kind = 'scheduled_milestone'"
        )
        # The ledger has an item of the others: they are approved, and their story is about to say so.
        await db.execute("UPDATE record SET id = 'MIL-DE2' WHERE id = 'MIL-DE1'")
        await db.execute("UPDATE record SET body = body || '{\"status\": \"reopened\"}' WHERE kind = 'engagement'")
    found = await look(own_firm)
    assert [(each.name, each.amount, each.engagement) for each in found.due] == [
        ("DE core accepted", eur("95000.50"), DEAL)
    ]
    assert [each.id for each in found.on_hold] == [DEAL]
    assert (await look(own_firm, ["US"])).due == ()


async def test_every_measure_names_its_sources_and_where_its_rows_are(firm: Pool) -> None:
    found = (await look(firm)).measures
    assert {each.reading.definition.name for each in found} == {
        "activation_time", "backlog", "realization", "utilization", "wip_days",
    }  # fmt: skip
    for each in found:
        assert each.sources, each.reading.definition.id
        assert each.rows.startswith("/pmo/")
    async with firm.connection() as db:
        assert [each.reading for each in await pmo.measures(db, NOW)] == [each.reading for each in found]


def test_the_last_months_are_whole() -> None:
    assert last_months(date(2026, 11, 25), 3) == (date(2026, 8, 1), date(2026, 11, 1))
    assert last_months(date(2026, 2, 1), 3) == (date(2025, 11, 1), date(2026, 2, 1))


async def test_when_the_ledger_was_last_moved_is_found_without_reading_its_journal(pool: Pool) -> None:
    async with transaction(pool) as db:
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute(
            "INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, cause, posted_at)"
            " SELECT 'rated', 'BIL-' || n, 1, 'approved', 'wip', 1, 'work.approved', now()"
            " FROM generate_series(1, 5000) n"
        )
        await db.execute("ANALYZE transfer")
        plan = await (await db.execute(f"EXPLAIN {POSTED}")).fetchall()
    assert "Seq Scan" not in str(plan)
