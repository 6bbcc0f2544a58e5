"""Pushes become observations: each once, none in another's way, nothing lost."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from accord.api.shelf import Shelf
from accord.connect import translation
from accord.connect.connector import Page, Pointer, Watermark
from accord.connect.failures import NotSent, Refused
from accord.connect.polling import Polling, enter_polls
from accord.connect.switchboard import Switchboard
from accord.connect.translation import Translation
from accord.db.pool import Pool, transaction
from accord.engine.outcomes import Misconfigured, Rejected
from accord.engine.states import InboxState
from tests.connect.exchange import NOW, Exchange, arrive, opened, payment, push, rows

SETTLED = "SELECT state, reason FROM inbox ORDER BY id"
PAYMENTS = "SELECT body ->> 'reference' FROM record WHERE kind = 'payment' ORDER BY 1"
CASES = "SELECT c.reason, i.vendor_event_id FROM business_case c JOIN inbox i ON i.id = c.inbox_id ORDER BY c.id"


def translating(pool: Pool, switchboard: Switchboard, **more: Any) -> Translation:
    return Translation(pool, switchboard, lambda: NOW, **more)


async def test_a_push_and_a_poll_at_once_do_not_double(pool: Pool) -> None:
    """Five payments, each brought by both ways at the same time: five facts."""
    exchange = Exchange()
    switchboard = await opened(pool, exchange)
    async with transaction(pool) as db:
        await enter_polls(db, switchboard)
    paid = [payment(n) for n in range(5)]
    exchange.pages = [Page(tuple(reversed(paid)), Watermark("1"))]
    await arrive(pool, *(push(f"e{n}", each) for n, each in enumerate(paid)))
    polling = Polling(pool, switchboard, 1, lambda: NOW)
    await asyncio.gather(translating(pool, switchboard).once(), polling.once())
    assert await rows(pool, "SELECT type, count(*) FROM event GROUP BY 1") == [("payment.received", 5)]
    assert await rows(pool, "SELECT count(*) FROM record WHERE kind = 'payment'") == [(5,)]


async def test_a_malformed_push_is_one_case_and_the_others_go_on(pool: Pool) -> None:
    switchboard = await opened(pool, Exchange())
    await arrive(pool, push("a", payment(1)), b"<not json", push("c", payment(2)))
    translator = translating(pool, switchboard)
    assert await translator.once() == 3
    assert [state for state, _ in await rows(pool, SETTLED)] == [
        InboxState.TRANSLATED, InboxState.PARKED, InboxState.TRANSLATED]  # fmt: skip
    assert await rows(pool, PAYMENTS) == [("R1",), ("R2",)]
    assert await rows(pool, CASES) == [("push_unreadable", "evt_1")]
    assert await translator.once() == 0


async def test_a_push_that_cannot_be_applied_is_one_case_and_the_others_go_on(pool: Pool) -> None:
    """It reads well, but speaks of a kind that the firm does not know."""
    switchboard = await opened(pool, Exchange())
    await arrive(pool, push("a", payment(1)), push("b", Pointer("unicorn", "u_1")), push("c", payment(2)))
    assert await translating(pool, switchboard).once() == 3
    assert [state for state, _ in await rows(pool, SETTLED)] == [
        InboxState.TRANSLATED, InboxState.PARKED, InboxState.TRANSLATED]  # fmt: skip
    assert await rows(pool, PAYMENTS) == [("R1",), ("R2",)]
    assert await rows(pool, CASES) == [("push_unreadable", "evt_1")]


async def test_an_event_of_no_interest_is_set_aside_with_its_reason(pool: Pool) -> None:
    switchboard = await opened(pool, Exchange())
    await arrive(pool, push("a", type="balance.available"))
    await translating(pool, switchboard).once()
    assert await rows(pool, SETTLED) == [(InboxState.IGNORED, "balance.available is of no interest")]


async def test_two_bodies_under_one_event_id_are_kept_and_flagged(pool: Pool, database_url: str) -> None:
    """The same body again is the same push; another body is a second push, and somebody can see it."""
    switchboard = await opened(pool, Exchange())
    shelf = Shelf(lambda: psycopg.AsyncConnection.connect(database_url, autocommit=True))
    first, other = push("a", payment(1)), push("a", payment(1, version="2", note="corrected"))
    for body in (first, first, other):
        await shelf.put("exchange", "a", body, {})
    await shelf.close()
    assert await translating(pool, switchboard).once() == 2
    assert await rows(pool, "SELECT differs, state FROM inbox ORDER BY id") == [(False, 1), (True, 1)]
    assert await rows(pool, "SELECT body ->> 'note', version FROM record WHERE kind = 'payment'") == [("corrected", 1)]


async def test_pushes_wait_while_their_vendor_is_down(pool: Pool) -> None:
    """Nothing is lost and nothing is a case; other connections' pushes do not wait."""
    down, up = Exchange("down"), Exchange("up")
    switchboard = await opened(pool, down, up)
    down.shelf = {"pay_1": payment(1)}
    down.down = NotSent("no route", outage=True)
    await arrive(pool, push("a", Pointer("payment", "pay_1")), connection="down")
    await arrive(pool, push("a", payment(2)), connection="up")
    clock = [100.0]
    translator = translating(pool, switchboard, monotonic=lambda: clock[0])
    assert await translator.once() == 1
    assert await rows(pool, "SELECT connection, state FROM inbox ORDER BY id") == [("down", 0), ("up", 1)]
    down.down = None
    assert await translator.once() == 0, "the vendor is left alone for a while"
    assert down.asked == [["pay_1"]]
    clock[0] += translation.PAUSE_SECONDS
    assert await translator.once() == 1
    assert await rows(pool, PAYMENTS) == [("R1",), ("R2",)]
    assert await rows(pool, CASES) == []


async def test_pushes_wait_while_their_connection_is_misconfigured(pool: Pool) -> None:
    exchange = Exchange()
    switchboard = await opened(pool, exchange)
    exchange.down = Refused(Misconfigured("401", "the key was revoked"))
    await arrive(pool, push("a", Pointer("payment", "pay_1")))
    assert await translating(pool, switchboard).once() == 0
    assert await rows(pool, SETTLED) == [(InboxState.ARRIVED, None)]


async def test_a_pointer_that_the_vendor_refuses_is_a_case(pool: Pool) -> None:
    """Asking again would be refused again; what stands behind it must not wait for ever."""
    exchange = Exchange()
    switchboard = await opened(pool, exchange)
    exchange.down = Refused(Rejected("400", "malformed id"))
    await arrive(pool, push("a", Pointer("payment", "§")), push("b", payment(2)))
    assert await translating(pool, switchboard).once() == 2
    assert [state for state, _ in await rows(pool, SETTLED)] == [InboxState.PARKED, InboxState.TRANSLATED]
    assert await rows(pool, CASES) == [("push_unreadable", "evt_0")]


async def test_pointers_are_read_again_in_one_batch(pool: Pool) -> None:
    exchange = Exchange()
    switchboard = await opened(pool, exchange)
    exchange.shelf = {f"pay_{n}": payment(n) for n in range(3)}
    pointers = [Pointer("payment", f"pay_{n}") for n in (0, 1, 0, 2, 1)]
    await arrive(pool, *(push(f"e{n}", each) for n, each in enumerate(pointers)))
    await translating(pool, switchboard).once()
    assert exchange.asked == [["pay_0", "pay_1", "pay_2"]]
    assert await rows(pool, PAYMENTS) == [("R0",), ("R1",), ("R2",)]


async def test_pushes_of_a_connection_that_is_not_open_here_wait(pool: Pool) -> None:
    """One connection without credentials does not stop the others' pushes."""
    switchboard = await opened(pool, Exchange())
    await arrive(pool, push("a", payment(1)), connection="closed")
    await arrive(pool, push("a", payment(2)))
    assert await translating(pool, switchboard).once() == 1
    assert await rows(pool, "SELECT connection, state FROM inbox ORDER BY id") == [("closed", 0), ("exchange", 1)]


async def test_one_translator_at_a_time(pool: Pool) -> None:
    """Two would settle a connection's pushes out of their order."""
    switchboard = await opened(pool, Exchange())
    await arrive(pool, push("a", payment(1)))
    async with transaction(pool) as db:
        await db.execute(translation.HOLD_TRANSLATOR)
        assert await translating(pool, switchboard).once() == 0
    assert await translating(pool, switchboard).once() == 1
