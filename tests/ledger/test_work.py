"""Work is taken once by what it says; a change is a revision, a bad record a case."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from accord.db.pool import Pool, transaction
from accord.ledger.work import Taken, settle, take
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

ENTRY = WorkEntry(
    id="WRK-1", revision=1, kind=WorkKind.TIME, source="timefiles", source_key="1", status=WorkStatus.APPROVED,
    worked_on=date(2026, 11, 2), quantity=Decimal("7.5"), engagement_id="DEA-1", legal_entity="DE", worker="anna",
    approved_at="2026-11-03T08:00:00+00:00", recorded_as="week 45.csv line 2",
)  # fmt: skip
BAD = WorkProblem("no_date", "the date is empty", "week 45.csv line 3", "Enter the date.", Decimal(4), {"hours": "4"})


async def taking(pool: Pool, *entries: WorkEntry, problems: tuple[WorkProblem, ...] = ()) -> Taken:
    async with transaction(pool) as db:
        return await take(db, entries, problems, source="timefiles")


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


async def test_the_same_record_again_changes_nothing_and_a_change_is_a_revision(pool: Pool) -> None:
    assert await taking(pool, ENTRY) == Taken(1, 1, 0, 0)
    assert await taking(pool, replace(ENTRY, recorded_as="again.csv line 9")) == Taken(1, 0, 0, 0)
    assert await taking(pool, replace(ENTRY, quantity=Decimal(6))) == Taken(1, 0, 1, 0)
    found = await rows(pool, "SELECT revision, quantity, current FROM work_entry ORDER BY revision")
    assert found == [(1, Decimal("7.5"), False), (2, Decimal(6), True)]


async def test_of_a_record_told_twice_in_one_delivery_the_last_word_counts(pool: Pool) -> None:
    assert await taking(pool, ENTRY, replace(ENTRY, quantity=Decimal(2))) == Taken(1, 1, 0, 0)
    assert await rows(pool, "SELECT quantity FROM work_entry") == [(Decimal(2),)]


async def test_only_approved_work_waits_for_a_price_and_so_does_a_recall(pool: Pool) -> None:
    await taking(pool, replace(ENTRY, status=WorkStatus.SUBMITTED))
    assert await rows(pool, "SELECT revision FROM work_to_rate") == []
    await taking(pool, ENTRY)
    await taking(pool, replace(ENTRY, status=WorkStatus.RECALLED))
    assert await rows(pool, "SELECT revision FROM work_to_rate ORDER BY 1") == [(2,), (3,)]


async def test_work_that_moves_to_another_engagement_is_taken_back_from_the_first(pool: Pool) -> None:
    await taking(pool, ENTRY)
    await taking(pool, replace(ENTRY, engagement_id="DEA-2"))
    found = await rows(pool, "SELECT revision, engagement FROM work_to_rate ORDER BY 1, 2")
    assert found == [(1, "DEA-1"), (2, "DEA-1"), (2, "DEA-2")]


async def test_bad_records_are_one_case_by_reason_until_they_are_settled(pool: Pool) -> None:
    other = replace(BAD, where="week 45.csv line 4", hours=Decimal("2.5"))
    await taking(pool, ENTRY, problems=(BAD,))
    await taking(pool, problems=(BAD, other))
    cases = "SELECT title, state FROM business_case"
    assert await rows(pool, cases) == [("2 records of work from timefiles could not be taken (6.5 h): no_date", "open")]
    async with transaction(pool) as db:
        await settle(db, "timefiles", [BAD.where, other.where])
    assert [row[1] for row in await rows(pool, cases)] == ["resolved"]


async def test_what_a_record_said_cannot_be_changed(pool: Pool) -> None:
    await taking(pool, ENTRY)
    for statement in ("UPDATE work_entry SET quantity = 1", "DELETE FROM work_entry"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
            async with transaction(pool) as db:
                await db.execute(statement)
