"""Vendors by name, imported when asked for; a session from a stored connection."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accord.connect.registry import (
    CredentialMissing,
    NoSuchVendor,
    connector,
    missing_credentials,
    open_session,
    vendors,
)
from accord.connect.store import Connection
from tests.connect.rolodex_bench import connector_of_the_page

ROLODEX = connector_of_the_page()
CREDENTIALS = {"client_id": "us", "client_secret": "hush-hush"}


def open_one(connection: Connection) -> None:
    open_session(connection, now=lambda: datetime.now(UTC), table=ROLODEX)


@pytest.mark.parametrize("name", ["nobody", "", "../x", "os.path", "Salesforce", "__init__"])
def test_only_a_connector_is_a_vendor(name: str) -> None:
    with pytest.raises(NoSuchVendor):
        connector(name)


def test_every_vendor_folder_exports_its_table() -> None:
    for name in vendors():
        assert connector(name).vendor == name


def test_asking_for_the_list_imports_no_http_client() -> None:
    """`accord --help` stays quick."""
    code = "import sys; from accord.connect.registry import vendors; vendors(); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_missing_credentials_are_named_before_any_call() -> None:
    connection = Connection("cards", "rolodex", {"base_url": "https://x"}, {"client_id": "us"})
    assert missing_credentials(ROLODEX, connection) == ["client_secret"]
    with pytest.raises(CredentialMissing, match="client_secret"):
        open_one(connection)


def test_what_is_no_secret_may_be_a_setting_and_a_secret_may_not() -> None:
    as_setting = Connection("cards", "rolodex", {"client_id": "us", "client_secret": "hush"}, {})
    assert missing_credentials(ROLODEX, as_setting) == ["client_secret"]


async def test_a_session_hides_what_the_vault_holds_but_not_settings() -> None:
    connection = Connection(
        "cards", "rolodex", {"base_url": "https://x.example"}, {**CREDENTIALS, "client_id": "visible-id"}
    )
    async with open_session(connection, now=lambda: datetime.now(UTC), table=ROLODEX) as session:
        assert session.redact("visible-id hush-hush") == "visible-id [hidden]"
        assert (session.connection, session.base_url) == ("cards", "https://x.example")


async def test_a_ca_file_that_is_not_there_is_said_when_the_session_is_opened(tmp_path: Path) -> None:
    settings = {"base_url": "https://x.example", "ca_file": str(tmp_path / "none.pem")}
    with pytest.raises(FileNotFoundError):
        open_one(Connection("cards", "rolodex", settings, CREDENTIALS))
