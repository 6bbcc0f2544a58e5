"""Polls read on from their watermark, each by one worker, and come back after whatever went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest

from accord.connect.connector import Page, Watermark
from accord.connect.failures import NotSent
from accord.connect.polling import Polling, WatermarkWentBack, enter_polls
from accord.connect.switchboard import Switchboard
from accord.db.pool import Pool, transaction
from tests.connect.exchange import NOW, Exchange, opened, payment, rows

POLL = "SELECT watermark_at, watermark_id, failures, last_error, owner FROM poll"
WAIT = "SELECT round(extract(epoch FROM next_at - last_at)) FROM poll"


async def polls(pool: Pool, exchange: Exchange, every_seconds: float | None = None) -> Switchboard:
    switchboard = await opened(pool, exchange)
    async with transaction(pool) as db:
        await enter_polls(db, switchboard, every_seconds)
    return switchboard


async def run(pool: Pool, statement: str) -> None:
    async with transaction(pool) as db:
        await db.execute(statement)


def polling(pool: Pool, switchboard: Switchboard, worker: int = 1) -> Polling:
    return Polling(pool, switchboard, worker, lambda: NOW)


async def test_a_poll_reads_on_from_where_it_was(pool: Pool) -> None:
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))
    exchange.pages = [Page((payment(1),), Watermark("10", "a")), Page((payment(2),), Watermark("20", "b"))]
    assert await poller.once()
    assert await rows(pool, POLL) == [("20", "b", 0, None, None)]
    assert not await poller.once(), "it is not due yet"
    await run(pool, "UPDATE poll SET next_at = now()")
    exchange.pages = [Page((), None)]
    await poller.once()
    assert exchange.read_from == [None, Watermark("20", "b")]
    assert await rows(pool, "SELECT last_seen, watermark_at FROM poll") == [(2, "20")]


async def test_what_was_read_before_the_vendor_failed_is_kept(pool: Pool) -> None:
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))
    exchange.pages, exchange.down = [Page((payment(1),), Watermark("10"))], NotSent("no route")
    await poller.once()
    assert await rows(pool, POLL) == [("10", "", 1, "no route", None)]
    assert await rows(pool, "SELECT count(*) FROM record") == [(1,)]


async def test_a_watermark_never_goes_back(pool: Pool) -> None:
    """The page that says so is not applied, and the watermark stays where it was."""
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))
    exchange.pages = [Page((payment(1),), Watermark("20")), Page((payment(2),), Watermark("10"))]
    await poller.once()
    ((at, _, failures, error, _),) = await rows(pool, POLL)
    assert (at, failures) == ("20", 1)
    assert error.startswith(WatermarkWentBack.__name__)
    assert await rows(pool, "SELECT body ->> 'reference' FROM record") == [("R1",)]


async def test_a_poll_that_was_taken_over_writes_nothing_more(pool: Pool) -> None:
    """The other worker's hold on it stays, too."""
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))

    async def changed(*_: object) -> AsyncIterator[Page]:
        yield Page((payment(1),), Watermark("10"))
        await run(pool, "UPDATE poll SET owner = 2")
        yield Page((payment(2),), Watermark("20"))

    line = poller._switchboard.line("exchange")
    resources = {**line.connector.resources}
    resources["payment"] = replace(resources["payment"], changed=changed)
    line.connector = replace(line.connector, resources=resources)
    await poller.once()
    assert await rows(pool, POLL) == [("10", "", 0, None, 2)]
    assert await rows(pool, "SELECT body ->> 'reference' FROM record") == [("R1",)]


async def test_a_poll_belongs_to_one_living_worker(pool: Pool) -> None:
    """One that a worker takes as it is fenced is given back by nobody: it belongs to none."""
    exchange = Exchange()
    switchboard = await polls(pool, exchange)
    await run(pool, "INSERT INTO worker (id, host, pid, version) VALUES (2, 'h', 1, 'v')")
    await run(pool, "INSERT INTO worker_heartbeat VALUES (2, now())")
    await run(pool, "UPDATE poll SET owner = 2")
    assert not await polling(pool, switchboard).once()
    await run(pool, "DELETE FROM worker_heartbeat")
    assert await polling(pool, switchboard).once()


@pytest.mark.parametrize(("failures", "seconds"), [(0, 2), (3, 16), (9, 300), (5000, 300)])
async def test_a_failing_poll_comes_back_ever_later_but_comes_back(pool: Pool, failures: int, seconds: int) -> None:
    """A vendor that was down for weeks is polled again as soon as one that was down for minutes."""
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))
    exchange.down = NotSent("no route")
    await run(pool, f"UPDATE poll SET failures = {failures}")
    await poller.once()
    assert await rows(pool, "SELECT failures, owner FROM poll") == [(failures + 1, None)]
    assert await rows(pool, WAIT) == [(seconds,)]


async def test_the_databases_failure_is_not_the_vendors(pool: Pool) -> None:
    """The poll is due again as soon as ever, and what went wrong can be read."""
    exchange = Exchange()
    poller = polling(pool, await polls(pool, exchange))
    exchange.down = psycopg.errors.DiskFull("no space left on device")
    await poller.once()
    assert await rows(pool, "SELECT failures, owner FROM poll") == [(0, None)]
    assert await rows(pool, "SELECT last_error LIKE 'DiskFull%' FROM poll") == [(True,)]


async def test_how_often_is_set_anew(pool: Pool) -> None:
    """A shorter interval counts at once, not after the longer one has passed."""
    exchange = Exchange(poll_seconds="600")
    switchboard = await polls(pool, exchange)
    await polling(pool, switchboard).once()
    exchange.session.config["poll_seconds"] = 5
    async with transaction(pool) as db:
        await enter_polls(db, switchboard)
    assert await rows(pool, "SELECT every_seconds, next_at < now() + interval '6 s' FROM poll") == [(5.0, True)]
    async with transaction(pool) as db:
        await enter_polls(db, switchboard, 2.0)
    assert await rows(pool, "SELECT every_seconds FROM poll") == [(2.0,)]


@pytest.mark.parametrize(("state", "polled"), [("paused", False), ("broken", True)])
async def test_a_paused_connection_is_not_polled_and_one_out_of_reach_is_tried(
    pool: Pool, state: str, *, polled: bool
) -> None:
    """Were one that cannot be reached not polled, nobody would ever see that it can be reached again."""
    exchange = Exchange()
    switchboard = await polls(pool, exchange)
    await run(pool, f"UPDATE connection SET state = '{state}'")
    assert await polling(pool, switchboard).once() is polled
