"""NetSuite's five slots, shared by four workers: 1,000 bulk writes, and 50 invoice postings that arrive in between.

Everything is the real thing but the account: worker processes, connector, sessions over HTTPS. One write is one call.
`python -m bench.slots HOME` is one worker of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import orjson
import psycopg
import uvloop
from pydantic import SecretStr

from accord.app import open_house
from accord.demo.setup import connect_sandbox
from accord.engine import statements
from accord.engine.router import starts
from accord.engine.states import Priority
from accord.engine.story import Process, effect, process, together
from accord.model.billing import Invoice, InvoiceLine, ReceivableHold
from accord.model.customer import Customer
from accord.model.events import Fact
from accord.model.money import Money
from accord.settings import Settings
from accord.worker_process import WorkerProcess

CALL_SECONDS = 0.4  # as a NetSuite record call takes; vendors.md 2.5 counts it against the account's slots
BULK, POSTINGS, WORKERS = 1000, 50, 4
CUSTOMER = "CUS-BENCH"
SETTINGS = {
    "poll_seconds": 3600.0,
    "currencies": {"EUR": "4"},
    "terms": {"30": "2"},
    "subsidiaries": {"US": "2", "DE": "3", "JP": "4"},
}


def _invoice(number: str) -> Invoice:
    net, tax = Money.of("100.00", "EUR"), Money.of("19.00", "EUR")
    return Invoice(
        id=f"INV-{number}", customer_id=CUSTOMER, legal_entity="DE", currency="EUR", net=net, tax=tax, gross=net + tax,
        lines=(InvoiceLine(f"BIL-{number}", "Consulting", net, tax),), origin="milestone", status="open",
        issued_on=date(2026, 11, 23), due_on=date(2026, 12, 23),
    )  # fmt: skip


@process(starts_on="bench.firm")
async def firm(fact: Fact) -> str:
    """The customer, and the invoices that are held later."""
    customer = Customer(
        id=CUSTOMER, legal_name="Acme GmbH", country="DE", currency="EUR", payment_terms_days=30, entities=("DE",)
    )
    await effect("erp", "put", "customer", customer, "Put the customer")
    invoices = [_invoice(f"old-{number}") for number in range(fact.payload["invoices"])]
    links = [("customer", CUSTOMER)]
    await together(*(effect("erp", "put", "invoice", each, "Put an invoice", links=links) for each in invoices))
    return "there"


@process(starts_on="bench.hold", priority=Priority.BULK)
async def hold(fact: Fact) -> str:
    """One bulk write: the hold of an invoice."""
    about = ReceivableHold(fact.subject, on_hold=True, reason="bench")
    links = [("invoice", fact.subject)]
    await effect("erp", "put", "receivable_hold", about, "Hold", priority=Priority.BULK, links=links)
    return "held"


@process(starts_on="bench.post")
async def post(fact: Fact) -> str:
    """One posting: a new invoice."""
    await effect("erp", "put", "invoice", _invoice(fact.subject), "Post", links=[("customer", CUSTOMER)])
    return "posted"


STORIES: dict[str, Process] = {each.name: each for each in (firm, hold, post)}


def run(url: str, *, bulk: int = BULK, postings: int = POSTINGS, call_seconds: float = CALL_SECONDS) -> dict[str, Any]:
    """The most calls at once, calls over the limit, part of the slot time used, and how long postings waited."""
    home = Path(tempfile.mkdtemp(prefix="accord-bench-slots-"))
    with contextlib.ExitStack() as stack:
        vendor = stack.enter_context(_child("bench.slots_vendor", str(home / "sandbox")))
        asyncio.run(_connect(home, url, orjson.loads(_line(vendor))))
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        for _ in range(WORKERS):
            stack.enter_context(_child("bench.slots", str(home), url))
        _start(connection, 1, [Fact("bench.firm", "firm", "2026-01-01T00:00:00+00:00", "bench", {"invoices": bulk})])
        _until_done(connection)
        _say(vendor, f"seconds {call_seconds}")
        _load(connection, bulk, postings, call_seconds)
        _until_done(connection)
        _say(vendor, "tell")
        told = orjson.loads(_line(vendor))
        return {**_waits(connection, call_seconds), **_shown(told), "call_ms": call_seconds * 1000}


def _load(connection: Any, bulk: int, postings: int, call_seconds: float) -> None:
    """All bulk writes at once; the postings one by one at moments drawn beforehand, while there is bulk left."""
    chance = Random(5)
    _start(connection, 10_000, [_fact("bench.hold", f"INV-old-{number}") for number in range(bulk)])
    span = (bulk + postings) * call_seconds / 5 * 0.9
    began = time.perf_counter()
    for number, moment in enumerate(sorted(chance.uniform(1.0, span) for _ in range(postings))):
        time.sleep(max(0.0, began + moment - time.perf_counter()))
        _start(connection, 100_000 + number, [_fact("bench.post", f"new-{number}")])


def _waits(connection: Any, call_seconds: float) -> dict[str, Any]:
    """From the start of a story to its end, less the one call: routing, turns and budget all count as waiting."""
    row = connection.execute(
        "SELECT percentile_cont(ARRAY[0.5, 0.95, 1.0]) WITHIN GROUP"
        " (ORDER BY extract(epoch FROM finished_at - started_at) - %s) FROM process WHERE name = 'post'",
        [call_seconds],
    ).fetchone()
    median, most, longest = (round(seconds / call_seconds, 2) for seconds in row[0])
    return {"wait_p50_calls": median, "wait_p95_calls": most, "wait_longest_calls": longest}


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "most_at_once": told["most"],
        "calls_over_the_limit": told["refused"],
        "slot_time_used": round(told["used"], 3),
        "calls": told["calls"],
        "seconds": round(told["seconds"], 1),
    }


def _fact(type: str, subject: str) -> Fact:
    return Fact(type, subject, "2026-01-01T00:00:00+00:00", "bench", {})


def _start(connection: Any, first_id: int, facts: list[Fact]) -> None:
    rows = [{"id": first_id + number, **row} for number, row in enumerate(starts(STORIES, facts, [None] * len(facts)))]
    connection.execute(statements.START_PROCESSES, {"rows": orjson.dumps(rows, default=str).decode()})
    connection.execute("SELECT pg_notify('accord_ready', '')")


def _until_done(connection: Any) -> None:
    while connection.execute("SELECT FROM open_process LIMIT 1").fetchone() is not None:
        parked = connection.execute("SELECT title FROM business_case LIMIT 1").fetchone()
        if parked is not None:
            raise RuntimeError(parked[0])
        time.sleep(0.05)


@contextlib.contextmanager
def _child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def _say(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def _settings(home: Path, url: str) -> Settings:
    return Settings(home=home, database_url=SecretStr(url), log_level="warning")


async def _connect(home: Path, url: str, sandbox: dict[str, Any]) -> None:
    async with open_house(_settings(home, url)) as house:
        await connect_sandbox(house, sandbox, settings={"netsuite": SETTINGS})


async def work(home: Path, url: str) -> None:
    async with open_house(_settings(home, url), migrate=False) as house:
        await WorkerProcess(house, processes=STORIES).run()


if __name__ == "__main__":
    uvloop.run(work(Path(sys.argv[1]), sys.argv[2]))
