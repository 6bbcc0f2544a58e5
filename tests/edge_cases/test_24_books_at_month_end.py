"""Edge case 24, its books: UNKNOWN at month end with the vendor down. The period stays open until it is known, or until
two people say with their names that it may close."""

from __future__ import annotations

from datetime import UTC, date, datetime

from accord.db.pool import Pool, transaction
from accord.reconcile import closing
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.reconcile.running import reconcile
from accord.rules.periods import months

NOW = datetime.now(UTC)
POSTING = """
INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,
    priority, body, label, amount, currency)
VALUES (1, 1, 'k', 'netsuite', 'invoice', 'INV-1', 1, 'put', 'v', 4, 0,
    '{"legal_entity": "US", "issued_on": "2026-10-30"}', 'Post invoice ACC-1 in the ERP', 1190.00, 'USD')
"""
ITS_STORY = "INSERT INTO open_process (process_id, name, subject, priority, state) VALUES (1, 'p', 'INV-1', 0, 2)"


async def close(pool: Pool) -> str | None:
    async with transaction(pool) as db:
        return closing.stopped_by(await closing.close(db, "US", "2026-10", by="fatima", now=NOW))


async def month_end(pool: Pool) -> None:
    async with transaction(pool) as db:
        await declare_calendar(db, "US", months(date(2026, 10, 1), 2), LateWork.NEXT_PERIOD, by="fatima")
        await reconcile(db, NOW)
        await db.execute(POSTING)
        await db.execute(ITS_STORY)


async def test_what_nobody_knows_keeps_the_period_open_until_the_probe_has_spoken(pool: Pool) -> None:
    await month_end(pool)
    assert await close(pool) == "1 unknowns (1190.00 USD)"
    async with transaction(pool) as db:
        await db.execute("UPDATE effect SET state = 2 WHERE id = 1")
    assert await close(pool) is None


async def test_two_people_close_over_it_with_their_names(pool: Pool) -> None:
    await month_end(pool)
    async with transaction(pool) as db:
        await closing.override(db, "US", "2026-10", "unknowns", reason="the ERP is down", by="fatima", now=NOW)
    assert await close(pool) == "1 unknowns (1190.00 USD)"
    async with transaction(pool) as db:
        await closing.agree(db, "US", "2026-10", "unknowns", by="carla", now=NOW)
    assert await close(pool) is None
