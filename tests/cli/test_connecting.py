"""`accord connect`, `accord key` and `accord migrate`, against a simulated vendor and an empty database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .conftest import Accord


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What `accord sandbox --json` says of its Stripe, which runs until the test ends."""
    command = [sys.executable, "-m", "accord.cli", "sandbox", "--json", "--vendor", "stripe"]
    environment = {**os.environ, "ACCORD_HOME": str(tmp_path / "sandbox-home")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            assert list(told) == ["stripe"]
            assert set(told["stripe"]) == {"url", "ca_file", "credentials", "admin_url"}
            yield told["stripe"]
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_a_system_is_connected_checked_paused_and_resumed(
    accord: Accord, stripe: dict[str, Any], tmp_path: Path, database_url: str
) -> None:
    file = tmp_path / "stripe.json"
    file.write_text(json.dumps({**stripe["credentials"], "base_url": stripe["url"], "ca_file": stripe["ca_file"]}))
    said = accord("connect", "add", "payments", "stripe", "--credentials-file", str(file))
    assert (said.code, said.out) == (
        0,
        "payments is stored and plays billing; `accord connect check payments` logs in\n",
    )
    secret = stripe["credentials"]["api_key"]
    with psycopg.connect(database_url) as db:
        assert secret not in str(db.execute("SELECT config FROM connection").fetchall())
    assert accord("connect", "check", "payments").code == 0

    assert accord("connect", "pause", "payments", "--reason", "the bank asked").code == 0
    [row] = accord("connect", "list", "--json").json
    assert row == {
        "name": "payments", "vendor": "stripe", "state": "paused", "reason": "the bank asked", "roles": "billing",
    }  # fmt: skip
    assert accord("connect", "resume", "payments").out == "payments is active again\n"
    assert accord("connect", "list", "--json").json[0]["state"] == "active"
    assert secret not in accord("connect", "list").out


def test_a_role_is_bound_per_entity_from_a_day_on(accord: Accord) -> None:
    accord("connect", "add", "payments", "stripe", "--setting", "api_key=sk_test_1")
    said = accord("connect", "bind", "billing", "payments", "--legal-entity", "JP", "--valid-from", "2027-01-01")
    assert said.out == "payments plays billing for JP from 2027-01-01\n"
    assert accord("connect", "list", "--json").json[0]["roles"] == "billing, billing (JP)"
    wrong = accord("connect", "bind", "erp", "payments")
    assert (wrong.code, wrong.sentence) == (2, "stripe cannot play erp; it can play billing")


def test_a_system_that_does_not_answer_or_refuses(accord: Accord, stripe: dict[str, Any]) -> None:
    given = ["--setting", f"ca_file={stripe['ca_file']}", "--setting", "api_key=sk_test_wrong"]
    accord("connect", "add", "a", "stripe", *given, "--setting", "base_url=https://127.0.0.1:1")
    said = accord("connect", "check", "a")
    assert said.code == 6
    assert "a does not answer" in said.sentence
    accord("connect", "add", "b", "stripe", *given, "--setting", f"base_url={stripe['url']}")
    said = accord("connect", "check", "b")
    assert said.code == 2
    assert "b refuses us" in said.sentence
    assert "sk_test_wrong" not in said.err


def test_a_secret_that_nobody_gives(accord: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    said = accord("connect", "add", "payments", "stripe")
    assert said.code == 2
    assert "give it with --setting api_key=... or in a --credentials-file" in said.err
    assert accord("connect", "list", "--json").json == []


def test_the_vendors_say_what_makes_their_writes_safe(run: Accord) -> None:
    rows = run("connect", "vendors", "--json").json
    assert {row["vendor"] for row in rows} == {"netsuite", "salesforce", "stripe"}
    assert all(row["safe_by"] for row in rows if row["verb"])
    assert "an idempotency key" in run("connect", "vendors").out


def test_a_key_is_shown_once_and_kept_as_a_digest(accord: Accord, database_url: str) -> None:
    made = accord("key", "create", "monitoring", "--role", "read", "--legal-entity", "DE").out.strip()
    with psycopg.connect(database_url) as db:
        rows = db.execute("SELECT name, roles, entities, digest FROM api_key").fetchall()
    assert [(row[0], list(row[1]), list(row[2])) for row in rows] == [("monitoring", ["read"], ["DE"])]
    assert len(made) > 20
    assert made not in str(rows)


def test_an_empty_database_gets_its_tables_once(
    run: Accord, monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", empty_database_url)
    first, second = run("migrate"), run("migrate")
    assert (first.code, first.out) == (second.code, second.out)
    assert first.out.startswith("the database is at revision ")
