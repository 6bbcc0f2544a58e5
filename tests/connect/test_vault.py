"""Credentials at rest: sealed, bound to their connection, opened by this installation's keys only."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.vault import KEY_FILE, KEY_VARIABLE, NotOpened, Vault, VaultKeyInvalid, open_vault, rotate

CREDENTIALS = {"client_id": "us", "private_key": "-----BEGIN…", "nested": {"n": 1}}


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.text())
def test_what_is_sealed_is_opened(credentials: dict[str, object], name: str) -> None:
    vault = Vault([b"k" * 32])
    assert vault.open_sealed(name, vault.seal(name, credentials)) == credentials


def test_a_seal_shows_nothing_and_is_never_the_same() -> None:
    vault = Vault([os.urandom(32)])
    first, second = vault.seal("crm", CREDENTIALS), vault.seal("crm", CREDENTIALS)
    assert first != second
    assert b"us" not in first[23:]
    assert b"BEGIN" not in first
    assert "k" * 8 not in repr(Vault([b"k" * 32]))


def test_a_seal_belongs_to_its_connection() -> None:
    vault = Vault([os.urandom(32)])
    with pytest.raises(NotOpened, match="another connection"):
        vault.open_sealed("erp", vault.seal("crm", CREDENTIALS))


def test_every_changed_byte_is_noticed() -> None:
    vault = Vault([os.urandom(32)])
    sealed = vault.seal("crm", CREDENTIALS)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(NotOpened):
            vault.open_sealed("crm", bytes(changed))
    for short in (b"", b"AV1", sealed[:20]):
        with pytest.raises(NotOpened):
            vault.open_sealed("crm", short)


def test_an_older_key_still_opens_and_the_current_one_seals() -> None:
    old, new = os.urandom(32), os.urandom(32)
    sealed = Vault([old]).seal("crm", CREDENTIALS)
    both = Vault([new, old])
    assert not both.is_current(sealed)
    fresh = both.reseal("crm", sealed)
    assert both.is_current(fresh)
    assert Vault([new]).open_sealed("crm", fresh) == CREDENTIALS
    with pytest.raises(NotOpened, match="a key that is not here"):
        Vault([new]).open_sealed("crm", sealed)


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path, {}).seal("crm", CREDENTIALS)
    assert open_vault(tmp_path, {}).open_sealed("crm", sealed) == CREDENTIALS
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_file_others_can_read_is_not_used(tmp_path: Path) -> None:
    open_vault(tmp_path, {})
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(VaultKeyInvalid, match="chmod 600"):
        open_vault(tmp_path, {})


def test_the_variable_goes_before_the_file(tmp_path: Path) -> None:
    keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
    first = open_vault(tmp_path, {KEY_VARIABLE: keys[0]})
    both = open_vault(tmp_path, {KEY_VARIABLE: f"{keys[1]},{keys[0]}"})
    assert both.open_sealed("crm", first.seal("crm", CREDENTIALS)) == CREDENTIALS
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given_key", ["short", "!!!", base64.b64encode(b"x" * 31).decode(), ","])
def test_a_key_that_is_none_is_refused(given_key: str, tmp_path: Path) -> None:
    with pytest.raises(VaultKeyInvalid):
        open_vault(tmp_path, {KEY_VARIABLE: given_key})


def test_rotation_keeps_what_was_sealed_readable(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path, {}).seal("crm", CREDENTIALS)
    rotated = rotate(tmp_path)
    assert not rotated.is_current(sealed)
    assert rotated.open_sealed("crm", sealed) == CREDENTIALS
    assert rotate(tmp_path).open_sealed("crm", rotated.reseal("crm", sealed)) == CREDENTIALS
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
