"""Which connection plays a role, for whom and from when."""

from __future__ import annotations

from datetime import date

import pytest

from accord.connect.switchboard import Switchboard
from accord.db.pool import Pool, transaction
from accord.engine.outcomes import Rejected, Write
from accord.engine.shell import NotBound
from accord.errors import NotFound
from tests.connect.exchange import BIND, ENTER, Exchange, opened

OLD, NEW = date(2026, 1, 1), date(2026, 12, 1)
BINDINGS = (
    ("erp", "", "0001-01-01", "house"),
    ("erp", "DE", "2026-01-01", "german"),
    ("erp", "DE", "2026-12-01", "german-2"),
    ("erp", "", "2027-01-01", "house-2"),
    ("billing", "JP", "0001-01-01", "house"),
)


@pytest.fixture
async def bound(pool: Pool) -> Switchboard:
    switchboard = Switchboard()
    async with transaction(pool) as db:
        for name in sorted({each[3] for each in BINDINGS}):
            await db.execute(ENTER, {"name": name})
        for binding in BINDINGS:
            await db.execute(BIND, binding)
        await switchboard.refresh(db)
    return switchboard


@pytest.mark.parametrize(
    ("entity", "on", "connection"),
    [
        ("US", date(2026, 11, 23), "house"),
        ("", date(2026, 11, 23), "house"),
        ("DE", date(2025, 12, 31), "house"),
        ("DE", date(2026, 1, 1), "german"),
        ("DE", date(2026, 11, 30), "german"),
        ("DE", date(2026, 12, 1), "german-2"),
        ("DE", date(2027, 6, 1), "german-2"),
        ("US", date(2027, 1, 1), "house-2"),
    ],
)
async def test_the_own_binding_goes_before_the_one_for_all_and_the_latest_counts(
    bound: Switchboard, entity: str, on: date, connection: str
) -> None:
    assert bound.connection_for("erp", entity, on) == connection


@pytest.mark.parametrize(("role", "entity"), [("crm", "US"), ("billing", "US"), ("billing", "")])
async def test_a_role_that_nobody_plays_is_said(bound: Switchboard, role: str, entity: str) -> None:
    with pytest.raises(NotBound, match=f"role '{role}'{f' for {entity}' if entity else ';'}"):
        bound.connection_for(role, entity, date(2026, 11, 23))


async def test_a_connection_may_play_several_roles(bound: Switchboard) -> None:
    assert bound.roles_of("house") == {"erp", "billing"}
    assert bound.roles_of("nobody") == frozenset()


@pytest.mark.parametrize(("state", "calls"), [("paused", 0), ("broken", 64)])
async def test_a_paused_connection_gets_no_work_and_one_out_of_reach_is_tried(
    pool: Pool, state: str, calls: int
) -> None:
    """One out of reach is for each worker's own breaker to try; a pause waits for a person."""
    switchboard = await opened(pool, Exchange())
    assert switchboard.parallel("exchange") == 64
    async with transaction(pool) as db:
        await db.execute("UPDATE connection SET state = %s", [state])
        await switchboard.refresh(db)
    assert switchboard.parallel("exchange") == calls
    assert switchboard.parallel("unknown") == 0


async def test_what_a_vendor_cannot_do_is_refused_for_each_write(pool: Pool) -> None:
    switchboard = await opened(pool, Exchange())
    writes = [Write(n, f"k{n}", "payment", "put", f"PAY-{n}", {}) for n in range(2)]
    refused = Rejected("not_supported", "Exchange cannot put a payment")
    assert await switchboard.send("exchange", "payment", "put", writes) == [refused, refused]
    assert await switchboard.probe("exchange", "payment", "put", writes[0]) == refused


async def test_what_is_polled_and_how_often(pool: Pool) -> None:
    switchboard = await opened(pool, Exchange("a"), Exchange("b", poll_seconds="7"))
    assert switchboard.pollable() == [("a", "payment", 30.0), ("b", "payment", 7.0)]


async def test_an_unknown_connection_or_kind_is_said(pool: Pool) -> None:
    switchboard = await opened(pool, Exchange())
    with pytest.raises(NotFound, match="no connection 'other'"):
        switchboard.line("other")
    with pytest.raises(NotFound, match="exchange has no deal"):
        switchboard.resource("exchange", "deal")


async def test_closing_closes_every_session(pool: Pool) -> None:
    exchange = Exchange()
    await (await opened(pool, exchange)).close()
    assert exchange.session.closed
