"""Time systems that drop files, in a folder or on an SFTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from accord.connect.authenticator import NoAuth
from accord.connect.connector import Connector, Credential, Limits
from accord.connect.session import Session
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.mapping import TimeFile
from accord.connectors.timefiles.picking import SETTLE
from accord.connectors.timefiles.places import Folder, Place
from accord.connectors.timefiles.reading import check_samples
from accord.engine.outcomes import Outcome, Rejected
from accord.errors import UsageError

__all__ = ["CONNECTOR", "open_place", "settle_of", "table_of"]


class Keys(NoAuth):
    """What opens the place. No call is signed with it: an SFTP session is."""

    def __init__(self, everything: Mapping[str, Any]) -> None:
        self.everything = everything

    def secrets(self) -> tuple[str, ...]:
        return tuple(str(self.everything[name]) for name in ("private_key", "passphrase") if self.everything.get(name))


def table_of(name: str, config: Mapping[str, Any]) -> TimeFile:
    """The table that the connection's files are read by: its own (`table`, a JSON file, whose samples must hold) or the
    one that comes along, under the connection's name. Raises MappingInvalid."""
    from dataclasses import replace

    given = config.get("table")
    if not given:
        return replace(LEGACY, source=name)
    table = TimeFile.from_json(Path(str(given)))
    check_samples(table)
    return table


def settle_of(config: Mapping[str, Any]) -> timedelta:
    """How long a file without a manifest must stay as it is. Raises UsageError."""
    given = config.get("settle_seconds")
    try:
        return SETTLE if given is None else timedelta(seconds=float(given))
    except ValueError:
        raise UsageError(f"settle_seconds is {given!r}, which is no number") from None


@asynccontextmanager
async def open_place(everything: Mapping[str, Any]) -> AsyncIterator[Place]:
    """The folder or server of a connection, settings and credentials together. Raises UsageError, PlaceUnreachable,
    PlaceMissing, HostKeyWrong, KeyRefused."""
    address = str(everything.get("place") or "")
    if not address.startswith("sftp:"):
        path = Path(address)
        if not path.is_absolute():
            raise UsageError(f"the place {address!r} is no whole path and no sftp://user@host/folder")
        yield Folder(path)
        return
    # asyncssh costs a fifth of a second that other commands do not need
    from accord.connectors.timefiles.sftp import SftpServer

    server = SftpServer.at(
        address,
        str(everything.get("host_key") or ""),
        str(everything.get("private_key") or ""),
        str(everything["passphrase"]) if everything.get("passphrase") else None,
    )
    async with server.open() as folder:
        yield folder


async def check(session: Session) -> str:
    """What lies in the place now. Raises UsageError, PlaceUnreachable."""
    keys = session.authenticator
    assert isinstance(keys, Keys)
    table = table_of(session.connection, keys.everything)
    async with open_place(keys.everything) as place:
        files = await place.listing()
    ours = sum(table.name_pattern.fullmatch(each.name) is not None for each in files)
    return f"{keys.everything['place']}: {len(files)} files, {ours} of them named like files of {table.source}"


def _classify(status: int, headers: Mapping[str, str], body: Any) -> Outcome:  # noqa: ARG001  (nothing is called)
    return Rejected("not_called", "time files are read, nothing is written to their source")


CONNECTOR = Connector(
    vendor="timefiles",
    label="Time files in a folder or on an SFTP server",
    roles=("time",),
    credentials=(
        Credential("place", "Folder, or sftp://user@host:22/folder", secret=False),
        Credential("table", "JSON file with the table of columns", secret=False, required=False,
                   help="Without it, the table of legacy.py; docs/how-to/read-time-files.md."),
        Credential("host_key", "Host key of the server: ssh-ed25519 AAAA...", secret=False, required=False,
                   help="Needed for SFTP. Two lines while the server changes its key."),
        Credential("private_key", "Private key for the server, as OpenSSH writes it", required=False,
                   help="Needed for SFTP."),
        Credential("passphrase", "Passphrase of the private key", required=False),
    ),
    auth=Keys,
    base_url=lambda config: str(config.get("place") or ""),
    classify=_classify,
    resources={},
    limits=Limits(concurrency=1),
    check=check,
)  # fmt: skip
