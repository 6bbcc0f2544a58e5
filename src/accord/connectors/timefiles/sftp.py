"""A folder on an SFTP server: entered with a key, believed only under its pinned host key."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import unquote, urlsplit

import asyncssh

from accord.connect.egress import Egress
from accord.connect.failures import ForeignAddress, NotSent
from accord.connectors.timefiles.picking import Listed
from accord.connectors.timefiles.places import CHUNK, FileChanged, PlaceMissing, PlaceUnreachable, Sums
from accord.errors import NotPermitted, UsageError
from accord.settings import Settings

CONNECT_SECONDS = 20


class HostKeyNotPinned(UsageError):
    """An SFTP server is only entered when its host key was given: anybody could stand in its place."""

    title = "Host key not pinned"


class HostKeyWrong(NotPermitted):
    """The server shows another host key than the pinned one: it is another server, or its key was changed."""

    title = "Host key wrong"


class KeyRefused(NotPermitted):
    """The server does not let our key in, or the key cannot be read."""

    title = "Key refused"


@dataclass(frozen=True, slots=True)
class SftpServer:
    """A server and a folder on it. `host_keys` are public keys as in known_hosts, without the host's name, one a line;
    two of them while the server changes its key."""

    host: str
    port: int
    user: str
    folder: str
    host_keys: str
    private_key: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str, host_keys: str, private_key: str, passphrase: str | None = None) -> SftpServer:
        """From `sftp://user@host:22/folder`. Raises UsageError."""
        parts = urlsplit(url)
        try:
            port = parts.port or 22
        except ValueError:
            port = 0
        if parts.scheme != "sftp" or not parts.hostname or not parts.username or not 0 < port < 65_536:
            raise UsageError(f"{url!r} is no place: write sftp://user@host:22/folder")
        if parts.password is not None:
            raise UsageError("a password in the address is not used: give a private key")
        if not host_keys.strip():
            raise HostKeyNotPinned(
                f"give the host key of {parts.hostname}: `ssh-keyscan` shows it, its owner confirms it"
            )
        folder = unquote(parts.path) or "/"
        return cls(parts.hostname, port, unquote(parts.username), folder, host_keys, private_key, passphrase)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SftpFolder]:
        """A session on the server. Raises PlaceUnreachable, PlaceMissing, HostKeyWrong, KeyRefused."""
        try:
            trusted = [asyncssh.import_public_key(line) for line in self.host_keys.splitlines() if line.strip()]
            key = asyncssh.import_private_key(self.private_key, self.passphrase)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise KeyRefused(f"a key of the connection to {self.host} cannot be read: {error}") from error
        try:
            connection = await asyncssh.connect(
                sock=await self._reached(),
                username=self.user,
                client_keys=[key],
                known_hosts=(trusted, [], []),
                server_host_key_algs=sorted({key.get_algorithm() for key in trusted} | _rsa(trusted)),
                # Nothing of whoever runs the worker: no agent, no keys or settings in a home folder.
                agent_path=None,
                config=None,
                preferred_auth="publickey",
                connect_timeout=CONNECT_SECONDS,
                login_timeout=CONNECT_SECONDS,
                keepalive_interval=15,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyWrong(f"{self.host} shows another host key than the pinned one; ask its owner") from error
        except asyncssh.KeyExchangeFailed as error:
            raise HostKeyWrong(f"{self.host} has no host key of the pinned kind; ask its owner") from error
        except asyncssh.PermissionDenied as error:
            raise KeyRefused(f"{self.host} does not let {self.user} in with this key") from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise PlaceUnreachable(f"{self.host}:{self.port} does not answer: {error}") from error
        async with connection:
            try:
                async with connection.start_sftp_client() as client:
                    yield SftpFolder(client, PurePosixPath(self.folder))
            except (asyncssh.ConnectionLost, asyncssh.ChannelOpenError, asyncssh.SFTPConnectionLost) as error:
                raise PlaceUnreachable(f"{self.host} went away: {error}") from error

    async def _reached(self) -> socket.socket:
        """A socket to the server, at an address that may be reached. Raises UsageError, PlaceUnreachable."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Egress.of(Settings(), None).connected(self.host, self.port)
        except ForeignAddress as error:
            raise UsageError(str(error)) from error
        except (NotSent, TimeoutError) as error:
            raise PlaceUnreachable(f"{self.host}:{self.port} does not answer: {error}") from error


def _rsa(keys: Sequence[asyncssh.SSHKey]) -> set[str]:
    """An RSA key signs by SHA-2 under other names than its own."""
    return {"rsa-sha2-256", "rsa-sha2-512"} if any(key.get_algorithm() == "ssh-rsa" for key in keys) else set()


@dataclass(frozen=True, slots=True)
class SftpFolder:
    """The folder, while a session is open."""

    client: asyncssh.SFTPClient
    folder: PurePosixPath

    async def listing(self) -> Sequence[Listed]:
        try:
            entries = await self.client.readdir(str(self.folder))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPPermissionDenied, asyncssh.SFTPFailure) as error:
            raise PlaceMissing(f"{self.folder} on the server cannot be read: {error.reason}") from error
        found = [_listed(str(entry.filename), entry.attrs) for entry in entries]
        return sorted((each for each in found if each is not None), key=lambda each: each.name)

    async def read_small(self, name: str, longest: int) -> bytes:
        try:
            async with self.client.open(str(self.folder / name), "rb") as file:
                content = cast(bytes, await file.read(longest + 1))  # opened for bytes, typed for text
        except asyncssh.SFTPError as error:
            raise FileChanged(f"{name}: {error.reason}") from error
        if len(content) > longest:
            raise FileChanged(f"{name} is longer than {longest:,} bytes")
        return content

    async def fetch(self, file: Listed, into: Path) -> dict[str, str]:
        path, sums = str(self.folder / file.name), Sums()
        try:
            async with self.client.open(path, "rb") as source:
                with into.open("wb") as target:
                    while sums.size <= file.size and (piece := cast(bytes, await source.read(CHUNK))):
                        sums.add(piece)
                        target.write(piece)
            now = _listed(file.name, await self.client.lstat(path))
        except asyncssh.SFTPError as error:
            raise FileChanged(f"{file.name}: {error.reason}") from error
        if sums.size != file.size or now != file:
            raise FileChanged(f"{file.name} was written to while it was read")
        return sums.hashes


def _listed(name: str, told: asyncssh.SFTPAttrs) -> Listed | None:
    """A file as the server tells of it; None for a folder, a link, or a name that leads elsewhere."""
    if name in (".", "..") or "/" in name or "\0" in name:
        return None
    if told.permissions is not None and stat.S_IFMT(told.permissions) and not stat.S_ISREG(told.permissions):
        return None
    if told.type not in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN):
        return None
    if told.size is None or told.mtime is None:
        return None
    return Listed(name, told.size, datetime.fromtimestamp(told.mtime, UTC))
