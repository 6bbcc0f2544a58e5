"""The event log: one order for everybody, nothing appears behind a cursor, nothing is altered unseen."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from accord.engine import eventlog, router
from accord.engine.story import process
from accord.engine.turning import fact_row
from accord.model.events import Fact
from tests.engine.scripted import Workshop

NOON = "2026-01-01T12:00:00+00:00"


def fact(subject: str, type: str = "thing.changed", **payload: Any) -> dict[str, Any]:
    return fact_row(Fact(type, subject, NOON, "test", payload), "DEA-1", None)


async def _read(db: Any, consumer: str = "reader") -> list[str]:
    async with db.transaction():
        logged = await eventlog.read_on(db, consumer)
        if logged:
            await eventlog.move(db, consumer, logged[-1])
    return [each.subject for each in logged]


async def test_a_fact_that_commits_late_is_not_missed(shop: Workshop) -> None:
    slow = await shop.connect()
    async with slow:
        async with slow.transaction():
            await eventlog.append(slow, [fact("late")])
            async with shop.db.transaction():
                await eventlog.append(shop.db, [fact("early")])
            assert await _read(shop.db) == [], "what is above a running transaction is not final yet"
        assert sorted(await _eventually(shop, 2)) == ["early", "late"]


async def _eventually(shop: Workshop, count: int) -> list[str]:
    """Other tests' transactions on the same server hold back what is final."""
    found: list[str] = []

    async def enough() -> bool:
        found.extend(await _read(shop.db))
        return len(found) >= count

    await shop.until(enough, f"{count} facts")
    return found


async def test_every_consumer_sees_everything_once_while_many_write(shop: Workshop) -> None:
    async def write(name: str) -> None:
        connection = await shop.connect()
        async with connection:
            for n in range(25):
                async with connection.transaction():
                    await eventlog.append(connection, [fact(f"{name}-{n}-a")])
                    await asyncio.sleep(0)
                    await eventlog.append(connection, [fact(f"{name}-{n}-b")])

    writing = asyncio.gather(*(write(name) for name in "uvwxyz"))
    seen: list[str] = []

    async def all_seen() -> bool:
        seen.extend(await _read(shop.db))
        return len(seen) >= 6 * 50

    await shop.until(all_seen, "all facts")
    await writing
    assert len(seen) == len(set(seen)) == 6 * 50
    for name in "uvwxyz":
        mine = [each for each in seen if each.startswith(name)]
        assert mine == [f"{name}-{n}-{part}" for n in range(25) for part in "ab"]


async def test_a_cursor_is_held_by_one_at_a_time(shop: Workshop) -> None:
    async with shop.db.transaction():
        await eventlog.append(shop.db, [fact("a")])
    await _eventually(shop, 1)
    other = await shop.connect()
    async with other, other.transaction():
        await eventlog.read_on(other, "reader")
        async with shop.db.transaction():
            await eventlog.append(shop.db, [fact("b")])
        assert await _read(shop.db) == []


async def test_a_sealed_chain_holds_until_a_row_is_altered(shop: Workshop) -> None:
    for n in range(3):
        async with shop.db.transaction():
            await eventlog.append(shop.db, [fact(f"s{n}"), fact(f"t{n}", amount="12.50")])

        async def sealed() -> int:
            async with shop.db.transaction():
                return await eventlog.seal(shop.db)

        await shop.until(sealed, "a block")
    async with shop.db.transaction():
        assert await eventlog.verify(shop.db) == []
    assert await shop.one("SELECT count(*) FROM event_block") == 3
    await shop.db.execute("ALTER TABLE event DISABLE TRIGGER event_is_append_only")
    await shop.db.execute("ALTER TABLE event_default DISABLE TRIGGER ALL")
    await shop.db.execute("UPDATE event SET payload = '{\"amount\": \"99.50\"}' WHERE subject = 't1'")
    async with shop.db.transaction():
        assert [(each.block, each.why) for each in await eventlog.verify(shop.db)] == [(2, "a fact in it was altered")]
    await shop.db.execute("DELETE FROM event WHERE subject = 't2'")
    async with shop.db.transaction():
        broken = await eventlog.verify(shop.db)
    assert [each.block for each in broken] == [2, 3]
    assert "holds 1 facts, sealed with 2" in broken[1].why


async def test_a_forged_block_does_not_fit(shop: Workshop) -> None:
    for n in range(2):
        async with shop.db.transaction():
            await eventlog.append(shop.db, [fact(f"s{n}")])

        async def sealed() -> int:
            async with shop.db.transaction():
                return await eventlog.seal(shop.db)

        await shop.until(sealed, "a block")
    await shop.db.execute("ALTER TABLE event_block DISABLE TRIGGER ALL")
    await shop.db.execute("UPDATE event_block SET digest = sha256('forged') WHERE number = 1")
    async with shop.db.transaction():
        assert {each.block for each in await eventlog.verify(shop.db)} == {1, 2}


@pytest.mark.parametrize("table", ["event", "event_block"])
async def test_nothing_is_changed_or_deleted(shop: Workshop, table: str) -> None:
    async with shop.db.transaction():
        await eventlog.append(shop.db, [fact("a")])
    await shop.db.execute("INSERT INTO event_block VALUES (1, '0', '1', 0, '', '')")
    column = {"event": "actor = 'me'", "event_block": "events = 7"}[table]
    for statement in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
            await shop.db.execute(statement)


@process(starts_on="odd.came", one_per=lambda fact: str(fact.payload["needed"]))
async def needs_more(began: Fact) -> str:
    """Needs what the fact should hold."""
    return str(began.payload["needed"])


async def test_a_fact_that_cannot_be_read_is_a_case_and_holds_up_no_other(shop: Workshop) -> None:
    shop.processes["needs_more"] = needs_more
    async with shop.db.transaction():
        await eventlog.append(shop.db, [fact("odd", "odd.came"), fact("even", "odd.came", needed=1)])
    await shop.work()
    await shop.route()

    async def ended() -> Any:
        return await shop.all("SELECT subject, result FROM process WHERE end_state IS NOT NULL")

    assert await shop.until(ended) == [("even", "1")]
    assert await shop.all("SELECT reason, subject, owner FROM business_case") == [
        ("fact_unreadable", "odd", "integration engineer")
    ]
    assert await router.route(shop.db, shop.processes) is not None
