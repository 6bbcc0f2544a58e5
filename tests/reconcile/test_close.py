"""A period closes when its gate is clear, or when two people agree to close over what is not."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from accord.db.pool import Pool, transaction
from accord.errors import Conflict, NotFound, UsageError
from accord.model.money import Money
from accord.model.work import WorkStatus
from accord.reconcile import closing, gate
from accord.reconcile.calendar import LateWork, Standing, declare_calendar, list_periods, one_period
from accord.reconcile.gate import Finding
from accord.reconcile.running import attest, reconcile
from accord.rules.periods import months, weeks_445
from tests.ledger.worked import agree, entry, proposal, rows, work

NOW = datetime.now(UTC)
FUTURE = NOW + timedelta(days=400)


async def calendar(pool: Pool, late_work: LateWork = LateWork.NEXT_PERIOD) -> None:
    async with transaction(pool) as db:
        await declare_calendar(db, "US", months(date(2026, 10, 1), 3), late_work, by="fatima")


async def close(pool: Pool, period: str, by: str = "fatima") -> tuple[str | None, dict[str, Finding]]:
    """What stops the period, and what its gate found."""
    async with transaction(pool) as db:
        found = await closing.close(db, "US", period, by=by, now=NOW)
    return closing.stopped_by(found), {each.name: each for each in found}


async def period(pool: Pool, code: str) -> Standing:
    async with pool.connection() as db:
        return await one_period(db, "US", code)


async def reconciled(pool: Pool) -> None:
    async with transaction(pool) as db:
        await reconcile(db, FUTURE)
        await db.execute("UPDATE reconciliation_run SET ended_at = %s", [FUTURE])


@pytest.fixture
async def firm(pool: Pool) -> Pool:
    """Terms, work of November in WIP, a calendar from October, and reconciliations that have looked."""
    await agree(pool)
    await calendar(pool)
    await work(pool, entry(2), entry(3))
    await reconciled(pool)
    return pool


async def test_a_period_in_order_closes_with_who_and_when(firm: Pool) -> None:
    assert (await close(firm, "2026-10"))[0] is None
    found = await period(firm, "2026-10")
    assert (found.state, found.closing_by, found.closed_by) == ("closed", "fatima", "fatima")
    assert found.closed_at is not None
    actions = await rows(firm, "SELECT action FROM audit_entry WHERE about = 'period US 2026-10' ORDER BY id")
    assert actions == [("closing begun",), ("period closed",)]
    assert await rows(firm, "SELECT type, subject FROM event WHERE type = 'period.closed'") == [
        ("period.closed", "period US 2026-10")
    ]
    with pytest.raises(Conflict, match="was closed by fatima"):
        await close(firm, "2026-10")


async def test_periods_close_in_their_order_and_not_the_last_one(firm: Pool) -> None:
    with pytest.raises(Conflict, match="2026-10 of US is open"):
        await close(firm, "2026-11")
    for code in ("2026-10", "2026-11"):
        assert (await close(firm, code))[0] is None
    with pytest.raises(Conflict, match="declare the next one"):
        await close(firm, "2026-12")


async def test_a_fiscal_calendar_of_weeks_is_kept_and_a_gap_is_refused(pool: Pool) -> None:
    weeks = weeks_445(date(2026, 1, 5), "FY26")
    async with transaction(pool) as db:
        assert await declare_calendar(db, "DE", weeks, LateWork.REOPEN, by="fatima") == 12
        found = await list_periods(db, entity="DE")
    assert [(each.period, str(each.ends_on)) for each in found[:3]] == [
        ("FY26-P01", "2026-02-01"), ("FY26-P02", "2026-03-01"), ("FY26-P03", "2026-04-05"),
    ]  # fmt: skip
    for wrong in (weeks_445(date(2027, 1, 11), "FY27"), weeks_445(date(2026, 1, 12), "FY26")):
        with pytest.raises(UsageError):
            async with transaction(pool) as db:
                await declare_calendar(db, "DE", wrong, LateWork.REOPEN, by="fatima")


async def test_every_line_of_the_gate_finds_what_it_says(firm: Pool) -> None:
    await close(firm, "2026-10")
    await work(firm, entry(9, status=WorkStatus.SUBMITTED), entry(10, engagement_id="DEA-2"))
    await proposal(firm)
    async with transaction(firm) as db:
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute("DELETE FROM billable_item WHERE id = 'BIL-2-1'")
        await db.execute(
            """
            INSERT INTO reconciliation_break (match, key, legal_entity, currency, difference, ours, first_seen,
                last_seen, owner) VALUES ('ledger to billing', 'INV-1', 'US', 'USD', -12.34, 1, now(), now(), 'finance')
            """
        )
        await db.execute("UPDATE reconciliation_run SET sees = false WHERE match = 'ledger to cash'")
        for id, state in ((1, 4), (2, 1), (3, 2)):
            await db.execute(
                """
                INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb,
                    version, state, priority, body, label, amount, currency, intended_at)
                VALUES (%(id)s, %(id)s, 'k', 'netsuite', 'invoice', 'INV-' || %(id)s, 1, 'put', 'v', %(state)s, 0,
                    '{"legal_entity": "US", "issued_on": "2026-11-20"}', 'Post invoice', 100 * %(id)s, 'USD', now())
                """,
                {"id": id, "state": state},
            )
            await db.execute(
                "INSERT INTO open_process (process_id, name, subject, priority, state) VALUES (%s, 'p', 's', 0, 2)",
                [id],
            )
    stopped, found = await close(firm, "2026-11")
    told = {name: (each.count, [str(money) for money in each.money]) for name, each in found.items() if each.count}
    assert told == {
        "unexplained": (2, ["1600.00 USD"]),  # the lost item, and its parts that are nobody's
        "unknowns": (1, ["100 USD"]),
        "unposted": (1, ["200 USD"]),
        "breaks": (1, ["12.34 USD"]),
        "not_reconciled": (1, []),
        "unpriced": (1, []),
        "drafts": (1, ["1600.00 USD"]),
        "late_time": (1, ["800.00 USD"]),
    }
    assert found["unposted"].rows[0].link == "/processes/2"
    assert stopped is not None
    assert "drafts" not in stopped
    assert "1 unknowns (100 USD)" in stopped
    assert (await period(firm, "2026-11")).state == "closing"
    async with transaction(firm) as db:
        at, kept = await gate.last_look(db, await one_period(db, "US", "2026-11"))
    assert at == NOW
    assert {each.name: each for each in kept} == found


async def test_what_belongs_to_another_entity_or_a_later_day_stops_nothing(firm: Pool) -> None:
    async with transaction(firm) as db:
        await db.execute(
            """
            INSERT INTO reconciliation_break (match, key, legal_entity, currency, difference, first_seen, last_seen,
                owner) VALUES ('ledger to billing', 'INV-1', 'DE', 'EUR', 1, now(), now(), 'finance')
            """
        )
    await work(firm, entry(9, status=WorkStatus.SUBMITTED))
    _, found = await close(firm, "2026-10")
    assert [each.name for each in found.values() if each.count] == []


async def test_an_attested_break_stops_nothing(firm: Pool) -> None:
    await close(firm, "2026-10")
    async with transaction(firm) as db:
        await db.execute(
            """
            INSERT INTO reconciliation_break (match, key, legal_entity, currency, difference, first_seen, last_seen,
                owner) VALUES ('ledger to billing', 'INV-1', 'US', 'USD', 5, now(), now(), 'finance')
            """
        )
    assert (await close(firm, "2026-11"))[0] == "1 breaks (5 USD)"
    async with transaction(firm) as db:
        assert await attest(db, "ledger to billing", "INV-1", Decimal(5), by="fatima", text="a bank fee")
    assert (await close(firm, "2026-11"))[0] is None


async def test_closing_over_a_line_takes_a_reason_and_another_person(firm: Pool) -> None:
    await close(firm, "2026-10")
    await work(firm, entry(10, engagement_id="DEA-2"))
    assert (await close(firm, "2026-11"))[0] == "1 unpriced"
    who = {"by": "fatima", "now": NOW}
    async with transaction(firm) as db:
        with pytest.raises(UsageError, match="stops no period"):
            await closing.override(db, "US", "2026-11", "drafts", reason="x", **who)
        with pytest.raises(UsageError, match="say why"):
            await closing.override(db, "US", "2026-11", "unpriced", reason=" ", **who)
    async with transaction(firm) as db:
        await closing.override(db, "US", "2026-11", "unpriced", reason="terms are being signed", **who)
        with pytest.raises(Conflict, match="somebody else"):
            await closing.agree(db, "US", "2026-11", "unpriced", **who)
    assert (await close(firm, "2026-11"))[0] == "1 unpriced"
    async with transaction(firm) as db:
        await closing.agree(db, "US", "2026-11", "unpriced", by="carla", now=NOW)
    stopped, found = await close(firm, "2026-11")
    assert stopped is None
    assert found["unpriced"].overridden == "fatima asked and carla agreed: terms are being signed"
    [(detail,)] = await rows(
        firm, "SELECT detail FROM audit_entry WHERE action = 'period closed' AND about = 'period US 2026-11'"
    )
    assert detail["overridden"] == {"unpriced": found["unpriced"].overridden}


async def test_the_database_itself_wants_two_people(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        async with transaction(pool) as db:
            await db.execute(
                """
                INSERT INTO close_consent (legal_entity, period, what, reason, asked_by, asked_at, agreed_by)
                VALUES ('US', '2026-11', 'reopen', 'x', 'fatima', now(), 'fatima')
                """
            )


async def test_a_closed_period_is_opened_again_by_two_and_the_last_one_first(firm: Pool) -> None:
    for code in ("2026-10", "2026-11"):
        await close(firm, code)
    async with transaction(firm) as db:
        with pytest.raises(Conflict, match="2026-11 of US is closed"):
            await closing.reopen(db, "US", "2026-10", reason="late work", by="fatima", now=NOW)
    async with transaction(firm) as db:
        assert await closing.reopen(db, "US", "2026-11", reason="late work", by="fatima", now=NOW) == "closed"
    async with transaction(firm) as db:
        assert (await closing.agree(db, "US", "2026-11", "reopen", by="carla", now=NOW)).state == "open"
    assert (await close(firm, "2026-11"))[0] is None
    with pytest.raises(NotFound):
        await close(firm, "2025-01")


async def test_closing_waits_for_those_who_write_and_what_comes_after_is_late(firm: Pool) -> None:
    """A batch that began before the closing and writes after it bears the time of its writing."""
    await close(firm, "2026-10")
    async with transaction(firm) as db:
        await db.execute("SELECT now()")
        assert (await close(firm, "2026-11"))[0] is None
        await db.execute(
            """
            INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id,
                approved_at, worked_on)
            VALUES ('BIL-X', 'time', 'DEA-1', 'US', 'USD', 1, 't', 'WRK-X', now(), '2026-11-05')
            """
        )
        written = await (
            await db.execute(
                "SELECT i.recorded_at > p.closed_at FROM billable_item i, accounting_period p WHERE i.id = 'BIL-X'"
                " AND p.period = '2026-11'"
            )
        ).fetchone()
    assert written == (True,)


def test_money_of_a_finding_is_never_added_across_currencies() -> None:
    rows_of = [gate.Row("a", "x", Decimal(1), "USD", None), gate.Row("b", "x", Decimal(2), "EUR", None)]
    assert gate._sums(rows_of) == (Money(Decimal(2), "EUR"), Money(Decimal(1), "USD"))


def test_the_page_on_closing_lists_the_gate_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "close.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (yes|no) \| (\w+) \|$", page, re.MULTILINE)
    assert rows == [(each.name, each.says, "yes" if each.blocks else "no", each.owner) for each in gate.LINES]
