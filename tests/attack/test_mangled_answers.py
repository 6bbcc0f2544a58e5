"""Whatever a vendor answers, a reader ends with what it could read or an error, and a write with an outcome that can be
kept. Nothing hangs, nothing goes to an address that is not the connection's.

Run more with `make attack`; a failure names the seed that mangles the same way again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, replace
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from accord.connect.conformance import Bench, ReadCase, WriteCase
from accord.connect.failures import UNSHAPED, CallFailed
from accord.connect.observation import is_id
from accord.connect.registry import open_session
from accord.connect.session import Session, _transport
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.engine.intents import as_json
from accord.engine.outcomes import Outcome
from tests.attack.conftest import EXAMPLES
from tests.attack.mangling import Mangling
from tests.connectors.netsuite.test_netsuite_conformance import bench as netsuite_bench
from tests.connectors.salesforce.test_salesforce_conformance import bench as salesforce_bench
from tests.connectors.stripe.test_stripe_conformance import bench as stripe_bench

__all__ = ["netsuite_bench", "salesforce_bench", "stripe_bench"]

SEEDS = EXAMPLES or 60
# What a reader may end with: a failed call, or a shape it does not know, which polls and pushes report by name.
DECLARED = (CallFailed, *UNSHAPED)
LONGEST_SECONDS = 3.0


@pytest.fixture
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("attack-ca")


def quick(bench: Bench) -> Bench:
    """The same bench, with little patience for a job that never ends."""
    config = {**bench.connection.config, "job_seconds": 0.5}
    return replace(bench, connection=replace(bench.connection, config=config))


def wired(bench: Bench, random: Random) -> tuple[Session, Mangling]:
    real = _transport(bench.connection.config.get("ca_file"), 64_000_000, None)
    wire = Mangling(real, random, random.choice((0, 0, 1, 1, 1, 2, 3)))
    return open_session(bench.connection, now=bench.now, table=bench.connector, wire=wire), wire


def can_be_kept(things: Any) -> None:
    """As the engine writes it: PostgreSQL takes no NUL, and no half of a pair is text."""
    text = as_json(things)
    assert "\\u0000" not in text
    assert len(text) < 5_000_000


async def attack(bench: Bench, seed: int) -> None:
    random = Random(f"{bench.connection.vendor} {seed}")
    session, wire = wired(bench, random)
    home = urlsplit(session.base_url).netloc
    async with session:
        began = time.monotonic()
        case = random.choice([*bench.reading, *bench.writing])
        async with asyncio.timeout(LONGEST_SECONDS):
            if isinstance(case, ReadCase):
                await _read(bench, session, case, random)
            else:
                await _write(bench, session, case, seed, random)
        assert time.monotonic() - began < LONGEST_SECONDS
    known = {home, urlsplit(session.base_url).netloc}
    assert {urlsplit(each).netloc for each in wire.asked} <= known


async def _read(bench: Bench, session: Session, case: ReadCase, random: Random) -> None:
    resource = bench.resource(case.kind)
    ids = case.seed(2)
    try:
        if resource.get is not None and random.random() < 0.5:
            can_be_kept([asdict(each) for each in await resource.get(session, ids)])
        elif resource.changed is not None:
            async for page in resource.changed(session, None):
                can_be_kept([asdict(each) for each in page.observed])
                can_be_kept(None if page.watermark is None else asdict(page.watermark))
    except DECLARED as error:
        can_be_kept(str(error))


async def _write(bench: Bench, session: Session, case: WriteCase, seed: int, random: Random) -> None:
    switchboard = Switchboard()
    switchboard.add(Line("it", bench.connector, session, LocalBudget(), {}))
    write = case.make(seed)
    if random.random() < 0.3:
        async with bench.session() as honest:
            await bench.send_one(honest, case, write)
        keep(await switchboard.probe("it", case.kind, case.verb, write))
        return
    for outcome in await switchboard.send("it", case.kind, case.verb, [write]):
        keep(outcome)


def keep(outcome: Outcome) -> None:
    can_be_kept(asdict(outcome))
    for word in ("message", "reason", "code"):
        assert isinstance(getattr(outcome, word, ""), str), outcome
    vendor_id = getattr(outcome, "vendor_id", None)
    assert vendor_id is None or is_id(vendor_id), outcome


async def test_salesforce_answers(salesforce_bench: Bench) -> None:
    await attacked(salesforce_bench)


async def test_netsuite_answers(netsuite_bench: Bench) -> None:
    await attacked(netsuite_bench)


async def test_stripe_answers(stripe_bench: Bench) -> None:
    await attacked(stripe_bench)


async def attacked(given: Bench) -> None:
    bench, failed = quick(given), []
    for seed in range(SEEDS):
        try:
            await attack(bench, seed)
        except Exception as error:  # noqa: BLE001  (every seed is tried, and what failed is told together)
            failed.append((seed, f"{type(error).__name__}: {error}"[:200], _where(error)))
    assert not failed, "\n".join(map(str, failed))


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    place = ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "/accord/" in name:
            place = f"{name.partition('/accord/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
