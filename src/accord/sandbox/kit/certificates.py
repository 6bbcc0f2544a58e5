"""The local certificate authority of a sandbox: made once in its folder, trusted by whoever is given `ca.pem`."""

from __future__ import annotations

import fcntl
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose certificate lies at `ca_file` (PEM)."""

    ca_file: Path
    _ca: trustme.CA

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A TLS context that proves to be localhost, 127.0.0.1, ::1 and `names`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*dict.fromkeys((*NAMES, *names))).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A TLS context that trusts this CA besides those the system trusts."""
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=str(self.ca_file))
        return context


def authority(folder: Path) -> Authority:
    """The CA kept in `folder`, made on first use; its private key is readable by its owner alone.

    Safe for several processes starting at once on one folder.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_file, key_file = folder / "ca.pem", folder / "ca.key"
    with (folder / "ca.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ca_file.exists() and key_file.exists():
            return Authority(ca_file, trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes()))
        ca = trustme.CA(organization_name="Accord sandbox")
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as key:
            key.write(ca.private_key_pem.bytes())
        ca.cert_pem.write_to_path(str(ca_file))
        return Authority(ca_file, ca)
