"""Planted secrets are looked for wherever Accord writes: tables, logs, traces, answers, its own commands."""

from __future__ import annotations

import base64
import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx2
import psycopg
import pytest
import structlog

from accord.cli.logs import configure
from accord.connect.failures import CallFailed
from accord.connect.registry import open_session
from accord.connect.store import Connection, load_connection, save_connection
from accord.connect.vault import open_vault
from accord.db.pool import Pool, transaction
from accord.governance import keys
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.serve import serve
from accord.sandbox.stripe import build
from accord.settings import Settings
from tests.attack.conftest import Standing

PLANTED = {
    "api_key": "sk_live_PlantedStripeKey0123456789",
    "webhook_secret": "whsec_PlantedWebhookSecret987654",
    "webhook_secret_previous": "an-older-planted-secret-of-ours",
    "push_secret": "planted/path+secret=with&signs",
}


PATHS = (
    "/", "/cases", "/processes", "/nowhere", "/metrics", "/readyz", "/healthz", "/api/openapi.json",
    "/api/process/v1/cases", "/api/process/v1/nowhere",
)  # fmt: skip


def forms(secret: str) -> set[bytes]:
    """Every way a secret could lie about: as it is, encoded for an address, for JSON, for a header."""
    plain = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
    return {each.encode() for each in plain} | {secret.encode().hex().encode()}


def found(secret: str, where: bytes) -> bool:
    return any(each in where for each in forms(secret))


def tables(url: str) -> bytes:
    """All that a dump of the database would hold."""
    whole = b""
    with psycopg.connect(url) as db:
        names = db.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in names.fetchall():
            with db.cursor().copy(f"COPY (SELECT * FROM {name}) TO STDOUT") as copy:
                whole += b"".join(bytes(part) for part in copy)
    return whole


async def test_tables_hold_credentials_sealed_and_keys_as_digests(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    vault = open_vault(tmp_path)
    async with transaction(pool) as db:
        await save_connection(db, vault, Connection("stripe", "stripe", {"base_url": "https://x.test"}, PLANTED))
        made = await keys.create_key(db, "someone", ["read"], (), datetime.now(UTC))
        once = await keys.create_sign_in(db, "someone", ["read"], datetime.now(UTC))
        assert (await load_connection(db, vault, "stripe")).credentials == PLANTED
    dumped = tables(database_url)
    assert b"stripe" in dumped
    for secret in (*PLANTED.values(), made, once, (tmp_path / "vault.key").read_text().strip()):
        assert not found(secret, dumped), secret[:12]


async def test_no_log_error_or_trace_of_a_call_shows_what_it_is_signed_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused keys, lost answers, unreadable answers: each says what is wrong, none quotes a secret."""
    caplog.set_level(logging.DEBUG)
    secret = PLANTED["api_key"]
    said = ""
    async with serve([build(clock=ShiftableClock(), seed=3)], state_dir=tmp_path) as running:
        for url in (running["stripe"].url, "https://127.0.0.1:1", "https://[::1]:1"):
            config = {"base_url": url, "ca_file": str(running["stripe"].ca_file)}
            connection = Connection("stripe", "stripe", config, PLANTED)
            said += repr(connection)
            async with open_session(connection, now=lambda: datetime.now(UTC)) as session:
                said += repr(session) + str(vars(session).get("_redaction"))
                for path in ("v1/account", f"v1/customers/{secret}", f"v1/customers?q={secret}"):
                    try:
                        said += str(session.classify(await session.call("GET", path)))
                    except CallFailed as error:
                        said += f"{error!r} {error.__cause__!r} {error.__context__!r}"
    said += caplog.text
    assert "stripe" in said
    for planted in PLANTED.values():
        assert not found(planted, said.encode())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a server logs at its most talkative."""
    written = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        configure(Settings(log_level="debug"))
    yield written
    configure(Settings(log_json=True))


def test_no_answer_or_log_of_the_server_shows_a_secret(standing: Standing, log: io.StringIO) -> None:
    vault, pool = standing.state.vault, standing.state.pool

    async def plant() -> None:
        async with transaction(pool) as db:
            await save_connection(db, vault, Connection("stripe", "stripe", {}, PLANTED))

    standing.run(plant())
    header = standing.key("operate")
    key = header["Authorization"].removeprefix("Bearer ")
    said = b""
    with httpx2.Client(base_url=standing.url, timeout=20, follow_redirects=True) as client:
        answer = client.post("/sign-in", data={"key": key})
        said += answer.content + str(dict(answer.headers)).encode() + str(dict(client.cookies)).encode()
        for path in (*PATHS, f"/in/stripe/{PLANTED['push_secret'][:-1]}"):
            said += client.get(path, headers=header).content
        wrong = {"stripe-signature": f"t=1,v1={PLANTED['webhook_secret']}"}
        said += client.post("/in/stripe", content=b"{}", headers=wrong).content
        said += client.post("/api/process/v1/references", content=b"{", headers=header).content
    said += log.getvalue().encode()
    for secret in (*PLANTED.values(), key):
        assert not found(secret, said), secret[:12]


def test_a_defect_of_the_server_is_logged_without_local_values(log: io.StringIO) -> None:
    """A trace that shows variables shows credentials."""
    planted = PLANTED["api_key"]

    def fails(_credential: str) -> None:
        raise RuntimeError("something broke")

    try:
        fails(planted)
    except RuntimeError:
        structlog.get_logger().exception("a request failed")
    assert "something broke" in log.getvalue()
    assert planted not in log.getvalue()


@pytest.mark.parametrize("command", [["doctor"], ["status"], ["connect", "list"], ["connect", "check", "stripe"]])
def test_no_command_shows_a_secret(standing: Standing, tmp_path: Path, command: list[str]) -> None:
    password = "planted-database-password"
    url = standing.database.replace("user=accord", f"user=accord password={password}")
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ACCORD_HOME": str(tmp_path / "home"),
        "ACCORD_DATABASE_URL": url,
        "ACCORD_LOG_LEVEL": "debug", "ACCORD_VAULT_KEY": base64.b64encode(b"planted-vault-key-of-32-bytes-ok").decode(),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "accord.cli", *command], capture_output=True, env=environment,
                          timeout=60, check=False, cwd=Path(__file__).parents[2])  # fmt: skip
    said = done.stdout + done.stderr
    assert said
    assert b"Traceback" not in said, said[-800:]
    for secret in (*PLANTED.values(), password, environment["ACCORD_VAULT_KEY"]):
        assert not found(secret, said), (command, secret[:12])
