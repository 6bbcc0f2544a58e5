"""Starts what an import needs when nothing runs: simulated vendors, connections, workers. All end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console

from accord.app import House, open_switchboard
from accord.db.pool import transaction
from accord.demo.firm import FIRM
from accord.demo.play import child, processes
from accord.demo.setup import connect_sandbox, declare_policy
from accord.demo.world import World

BEATING = "SELECT count(*) FROM worker_heartbeat WHERE at > clock_timestamp() - interval '5 seconds'"
CURRENT_FIRM = "SELECT body FROM policy WHERE name = 'firm' ORDER BY version DESC LIMIT 1"

# Stripe's 25 calls a second to one endpoint are a default that it raises on request; a firm that moves thousands of
# deals asks first. The account's own limit of 100 a second stays.
ENDPOINT_LIMIT = 100
SETTINGS: dict[str, dict[str, Any]] = {
    "salesforce": {"poll_seconds": 2.0},
    "netsuite": {"poll_seconds": 5.0},
    "stripe": {"poll_seconds": 10.0, "limits": {"per_endpoint_per_second": ENDPOINT_LIMIT}},
}


@asynccontextmanager
async def running_house(house: House, console: Console, products: Sequence[str], workers: int) -> AsyncIterator[None]:
    """With workers running already, only the firm's policy is brought up to date; otherwise everything is started."""
    async with house.pool.connection() as db:
        row = await (await db.execute(BEATING)).fetchone()
    if row is not None and row[0]:
        await _declare(house, products)
        yield
        return
    console.print("nothing runs here yet: starting simulated vendors and a worker")
    async with processes(house) as sandbox:
        await connect_sandbox(house, sandbox, settings=SETTINGS, firm=firm(products))
        await _raise_limit(house, sandbox)
        for _ in range(workers):
            child(house.settings, ["worker"])
        yield


def firm(products: Sequence[str]) -> dict[str, object]:
    """The firm's policy for deals without statements of work: its products, and one milestone for the whole amount."""
    return {**FIRM, "products": list(products), "milestones_may_be_implied": True}


async def _raise_limit(house: House, sandbox: Mapping[str, Mapping[str, Any]]) -> None:
    switchboard = await open_switchboard(house)
    try:
        async with World(sandbox, switchboard.session("salesforce")) as world:
            await world.happen("stripe", "set_rate_limit", per_endpoint_per_second=ENDPOINT_LIMIT)
    finally:
        await switchboard.close()


async def _declare(house: House, products: Sequence[str]) -> None:
    async with transaction(house.pool) as db:
        current = await (await db.execute(CURRENT_FIRM)).fetchone()
        wanted = {**(current[0] if current else FIRM), "products": list(products), "milestones_may_be_implied": True}
        if current is None or current[0] != wanted:
            await declare_policy(db, "firm", wanted, "accord import crm-pipeline")
