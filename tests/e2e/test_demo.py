"""`accord demo --once --json` and the commands that look at what it left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accord.connect.store import load_connections
from accord.connect.vault import open_vault
from accord.db import embedded

from .commands import Accord, free_port

OF_AN_INVOICE = {"entity", "currency", "net", "tax", "gross", "status", "crm_id", "erp_id", "billing_id"}
FINISHED = "SELECT min(id) FROM process WHERE correlation = %s AND name = 'quote_to_project' AND end_state = 4"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Accord]:
    """A home with an embedded database of its own, which is stopped at the end."""
    accord = Accord(tmp_path / "home", {"ACCORD_PORT": str(free_port())})
    try:
        yield accord
    finally:
        embedded.stop(accord.home)


def test_the_story_plays_twice_in_one_house_and_can_be_looked_at(house: Accord, tmp_path: Path) -> None:
    first = play(house, tmp_path)
    the_summary_is_complete(first)
    the_timeline_covers_all_systems(house, first["engagement"])
    the_other_commands_work_on_it(house, first)

    second = play(house, tmp_path)
    the_summary_is_complete(second)
    assert second["engagement"] != first["engagement"]
    assert second["systems"] == first["systems"]
    the_timeline_covers_all_systems(house, first["engagement"])
    no_secret_is_in_a_log(house)


def test_a_demonstration_that_is_asked_to_end_takes_its_processes_along(house: Accord) -> None:
    """Left behind, they would hold the port and the pushes of the next one."""
    port, log = int(house.more["ACCORD_PORT"]), house.home / "demo.err"
    house.home.mkdir()
    with log.open("wb") as errors:
        demo = subprocess.Popen([sys.executable, "-m", "accord.cli", "demo"], env=house.environment, stderr=errors)
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, log.read_text()
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(30) == 130
        finally:
            demo.kill()
    assert "Traceback" not in log.read_text()
    assert not answers(port)
    assert running_in(house.home) == []


def answers(port: int) -> bool:
    with socket.socket() as trying:
        trying.settimeout(0.2)
        return trying.connect_ex(("127.0.0.1", port)) == 0


def running_in(home: Path) -> list[str]:
    """The processes of Accord in a home, but for its database, which outlives them."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"ACCORD_HOME={home}".encode() in (each / "environ").read_bytes().split(b"\0"):
                found.append((each / "cmdline").read_text().replace("\0", " "))
    return [each for each in found if "accord.cli" in each]


def play(house: Accord, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "summary.json"
    house("demo", "--once", "--json", str(file))
    summary: dict[str, Any] = json.loads(file.read_text())
    file.unlink()
    return summary


def the_summary_is_complete(summary: Mapping[str, Any]) -> None:
    wanted = {"engagement", "systems", "invoices", "payments", "ledger", "cases", "checks", "seconds"}
    assert wanted <= set(summary)
    assert len(summary["checks"]) == 20
    assert [name for name, holds in summary["checks"].items() if holds is not True] == []
    assert set(summary["systems"]) == {"salesforce", "netsuite", "stripe"}
    assert summary["systems"]["netsuite"]["job"] == 3
    assert all(set(each) >= OF_AN_INVOICE and all(each[name] for name in OF_AN_INVOICE) for each in summary["invoices"])
    told = {(each["entity"], each["currency"], each["net"], each["tax"], each["gross"]) for each in summary["invoices"]}
    assert told >= {
        ("US", "USD", "120000.00", "0.00", "120000.00"),
        ("DE", "EUR", "95000.50", "18050.10", "113050.60"),
        ("JP", "JPY", "12500000", "0", "12500000"),
    }
    assert {each["amount"]["amount"] for each in summary["payments"]} >= {"120000.00", "50000.00"}
    assert summary["unexplained"] == {"EUR": "0", "JPY": "0", "USD": "0"}
    assert int(summary["work"]["entries"]) > 300
    assert {each["origin"] for each in summary["invoices"]} == {"milestone", "subscription", "service_change", "work"}
    assert {each["entity"] for each in summary["ledger"]} == {"US", "DE", "JP"}
    assert all(float(each["unexplained"]) == 0 for each in summary["ledger"])
    assert {each["state"] for each in summary["cases"]} == {"resolved"}
    assert 0 < summary["seconds"] < 120


def the_timeline_covers_all_systems(house: Accord, engagement: str) -> None:
    steps = house.json("trace", engagement)
    assert all(set(each) == {"at", "system", "what", "actor", "money", "latency_ms", "ref"} for each in steps)
    assert [each["at"] for each in steps] == sorted(each["at"] for each in steps)
    assert {each["system"] for each in steps} >= {"salesforce", "netsuite", "stripe"}
    assert "won" in steps[0]["what"]
    assert any(each["money"] == {"amount": "12500000", "currency": "JPY"} for each in steps)
    assert any(each["latency_ms"] for each in steps)


def the_other_commands_work_on_it(house: Accord, summary: Mapping[str, Any]) -> None:
    status = house.json("status")
    assert status["counts"]["open_cases"] == status["counts"]["waiting_effects"] == 0
    assert {each["state"] for each in status["connections"]} == {"active"}
    assert {each["entity"]: each["approved"] for each in status["ledger"]} == {
        each["entity"]: each["approved"] for each in summary["ledger"]
    }
    assert all(each["holds"] for each in house.json("doctor"))
    assert house.json("cases", "list") == []
    with psycopg.connect(embedded.ensure_running(house.home)) as db:
        row = db.execute(FINISHED, [summary["engagement"]]).fetchone()
    assert row is not None
    replayed = house.json("replay", "--process", str(row[0]))
    assert replayed == {"process": row[0], "same": True, "differences": []}


def no_secret_is_in_a_log(house: Accord) -> None:
    secrets = asyncio.run(vault_of(house))
    assert len(secrets) >= 6
    logs = house.logs()
    assert "checks hold" in logs
    assert [secret for secret in secrets if secret in logs] == []


async def vault_of(house: Accord) -> set[str]:
    """Every line of every secret in the vault that is long enough to be told from chance, and the vault's key."""
    vault = open_vault(house.home)
    async with await psycopg.AsyncConnection.connect(embedded.ensure_running(house.home)) as db:
        stored = await load_connections(db, vault)
    values = [str(value) for each in stored.values() for value in each.credentials.values()]
    values.append((house.home / "vault.key").read_text())
    lines = (line for value in values for line in value.splitlines() if "-----" not in line)
    return {line for line in lines if len(line) >= 12}
