"""Credentials sealed at rest: AES-256-GCM, bound to the connection's name, with the key's id for rotation.

A sealed blob is `AV1`, the key's id (8 bytes), a nonce (12 bytes), and the ciphertext with its tag. The first key
seals, every key opens. Keys come from ACCORD_VAULT_KEY (base64, several separated by commas) or from `vault.key` in
ACCORD_HOME, one a line, readable by its owner only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from accord.errors import UsageError

KEY_FILE = "vault.key"
KEY_VARIABLE = "ACCORD_VAULT_KEY"
_MARK = b"AV1"
_KEY_BYTES = 32
_NONCE_AT = len(_MARK) + 8
_TEXT_AT = _NONCE_AT + 12


class VaultKeyInvalid(UsageError):
    """The vault key cannot be used; it is 32 bytes in base64, in ACCORD_VAULT_KEY or in a file only its owner can
    read.
    """


class NotOpened(UsageError):
    """These credentials cannot be opened: another key sealed them, for another connection, or they were changed."""


class Vault:
    """The keys of this installation. Sealing the same credentials twice gives different blobs."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise VaultKeyInvalid(f"a vault key is {_KEY_BYTES} bytes long, and there must be one")
        self._keys = {_key_id(key): key for key in keys}
        self._current = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"Vault({len(self._keys)} keys)"

    def seal(self, name: str, credentials: Mapping[str, Any]) -> bytes:
        """The credentials of the connection `name`, sealed with the current key."""
        nonce = secrets.token_bytes(12)
        text = json.dumps(dict(credentials), sort_keys=True).encode()
        cipher = AESGCM(self._keys[self._current])
        return _MARK + self._current + nonce + cipher.encrypt(nonce, text, _about(name))

    def open_sealed(self, name: str, sealed: bytes) -> dict[str, Any]:
        """The credentials of the connection `name`. Raises NotOpened."""
        key = self._keys.get(_sealed_by(sealed))
        if key is None:
            raise NotOpened(f"the credentials of {name} were sealed with a key that is not here")
        try:
            text = AESGCM(key).decrypt(sealed[_NONCE_AT:_TEXT_AT], sealed[_TEXT_AT:], _about(name))
        except InvalidTag:
            raise NotOpened(f"the credentials of {name} were changed or belong to another connection") from None
        opened: dict[str, Any] = json.loads(text)
        return opened

    def is_current(self, sealed: bytes) -> bool:
        """Whether the current key sealed this."""
        return _sealed_by(sealed) == self._current

    def reseal(self, name: str, sealed: bytes) -> bytes:
        """The same credentials under the current key. Raises NotOpened."""
        return self.seal(name, self.open_sealed(name, sealed))


def open_vault(home: Path, environ: Mapping[str, str] = os.environ, *, key_file: Path | None = None) -> Vault:
    """The vault of this installation; a key file is made when there is neither file nor variable.

    Raises VaultKeyInvalid.
    """
    if environ.get(KEY_VARIABLE):
        return Vault(_keys(environ[KEY_VARIABLE].replace(",", "\n")))
    path = key_file or home / KEY_FILE
    if not path.exists():
        with suppress(FileExistsError):  # another process was first: its key is the key
            _write_new(path, [secrets.token_bytes(_KEY_BYTES)])
    if path.stat().st_mode & 0o077:
        raise VaultKeyInvalid(f"{path} can be read by others; run chmod 600 on it")
    return Vault(_keys(path.read_text()))


def rotate(home: Path) -> Vault:
    """Put a new key before those in the key file and give the vault that seals with it; the old ones still open.

    Reseal what is stored (`store.reseal_all`) before an old key is taken out of the file.
    """
    path = home / KEY_FILE
    keys = _keys(path.read_text())
    fresh = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    _write_new(fresh, [secrets.token_bytes(_KEY_BYTES), *keys])
    fresh.replace(path)
    return Vault(_keys(path.read_text()))


def _write_new(path: Path, keys: Sequence[bytes]) -> None:
    """Write a file that was not there, for its owner only; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(whole, path)
    finally:
        whole.unlink()


def _keys(text: str) -> list[bytes]:
    try:
        return [base64.b64decode(line, validate=True) for line in text.split()]
    except binascii.Error:
        raise VaultKeyInvalid("a vault key is not base64") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"accord vault key\x00" + key).digest()[:8]


def _sealed_by(sealed: bytes) -> bytes:
    return sealed[len(_MARK) : _NONCE_AT] if sealed.startswith(_MARK) else b""


def _about(name: str) -> bytes:
    return b"accord connection\x00" + name.encode()
