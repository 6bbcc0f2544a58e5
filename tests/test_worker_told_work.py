"""A whole worker beside a vendor whose people book time: pushes and polls at once, priced while they look."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from accord.app import Outside, open_house
from accord.connect.store import Connection, save_connection
from accord.connect.transport import Wire
from accord.db.pool import transaction
from accord.settings import Settings
from accord.worker_process import WorkerProcess
from tests.told_house import STORE, House, NetSuiteFirm, netsuite_house

ENTRIES = 12
# The promise is a second; on two cores shared by many others the slowest of twelve took a quarter of one.
PROMISED_SECONDS = 1.0


class Inside(Outside):
    """A worker's outside whose vendor is in the same process."""

    way: Wire

    def wire(self, connection: Connection) -> Wire | None:
        return self.way


async def test_time_that_is_pushed_and_polled_at_once_is_priced_once_and_soon(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url)
    async with open_house(settings) as house, netsuite_house(house.pool, poll_seconds=0.2) as told:
        told.clock.at = datetime.now(UTC)
        firm = NetSuiteFirm(told)
        await told.project(firm.project("PRJ-A"), "DEA-A", "DE")
        await told.agree("DEA-A", "DE")
        firm.hire("EMP-ANNA")
        firm.subscribe("timeBill")
        async with transaction(house.pool) as db:
            await save_connection(db, house.vault, told.stored)
        outside = Inside(house)
        outside.way = told.way
        worker = WorkerProcess(house, outside=outside)
        running = asyncio.create_task(worker.run())
        try:
            await told.until("SELECT count(*) FROM poll WHERE last_at IS NOT NULL", 3)
            waits = [await _booked(told, firm, n) for n in range(1, ENTRIES + 1)]
            await _until_polled(told)
        finally:
            worker.stop()
            await running
        assert await told.rows("SELECT count(*), max(revision) FROM work_entry") == [(ENTRIES, 1)]
        assert await told.lies() == {"DEA-A DE wip": f"{ENTRIES * 1600}.00 EUR"}
        assert median(waits) < PROMISED_SECONDS, waits


async def _booked(told: House, firm: NetSuiteFirm, n: int) -> float:
    """Seconds from the push of approved time to its item in the ledger."""
    firm.week("EMP-ANNA", {"project": "PRJ-A"})
    began = time.monotonic()
    async with transaction(told.pool) as db:
        for push in told.pushes():
            await db.execute(STORE, (told.name, push.delivery_id, b"", push.body))
        await db.execute("NOTIFY accord_inbox")
    await told.until("SELECT count(*) FROM billable_item", n)
    return time.monotonic() - began


async def _until_polled(told: House) -> None:
    """Until a poll that began after now has ended."""
    await told.run("UPDATE poll SET last_at = NULL WHERE kind = 'time_entry'")
    await told.until("SELECT count(*) FROM poll WHERE kind = 'time_entry' AND last_at IS NOT NULL", 1)
    await told.run("UPDATE poll SET last_at = NULL WHERE kind = 'time_entry'")
    await told.until("SELECT count(*) FROM poll WHERE kind = 'time_entry' AND last_at IS NOT NULL", 1)
