"""Where files are dropped: what every such place can do, and a folder of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from accord.connectors.timefiles.picking import Listed
from accord.errors import Unavailable, UsageError

CHUNK = 1 << 18
# What one drop may be: ten million rows of time come to about 1 GB.
LARGEST_BYTES = 4_000_000_000


class PlaceMissing(UsageError):
    """The folder to read from is not there, or may not be read."""

    title = "Place missing"


class PlaceUnreachable(Unavailable):
    """The server that keeps the files does not answer."""

    title = "Place unreachable"


class FileChanged(Exception):
    """A file was renamed, removed or written to while it was read: look again later."""


@dataclass(slots=True)
class Sums:
    """The sums of what is read, as it is read."""

    size: int = 0
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    _md5: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._sha256.update(piece)
        self._md5.update(piece)

    @property
    def hashes(self) -> dict[str, str]:
        return {"sha256": self._sha256.hexdigest(), "md5": self._md5.hexdigest()}


class Place(Protocol):
    """A place with files. Its methods raise PlaceMissing and PlaceUnreachable."""

    async def listing(self) -> Sequence[Listed]:
        """The files that lie there now; no folders, no links."""
        ...

    async def read_small(self, name: str, longest: int) -> bytes:
        """A short file whole. Raises FileChanged when it is gone or longer."""
        ...

    async def fetch(self, file: Listed, into: Path) -> dict[str, str]:
        """Copy a file; its sums by algorithm. Raises FileChanged when it is not any more what was listed."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, or one that is mounted."""

    path: Path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing was opened."""

    async def listing(self) -> Sequence[Listed]:
        return await asyncio.to_thread(self._list)

    async def read_small(self, name: str, longest: int) -> bytes:
        return await asyncio.to_thread(self._read_small, name, longest)

    async def fetch(self, file: Listed, into: Path) -> dict[str, str]:
        return await asyncio.to_thread(self._fetch, file, into)

    def _list(self) -> list[Listed]:
        found = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    try:
                        if entry.is_file(follow_symlinks=False):
                            told = entry.stat(follow_symlinks=False)
                            found.append(Listed(entry.name, told.st_size, _instant(told.st_mtime_ns)))
                    except FileNotFoundError:
                        continue  # renamed while we looked: the next look sees its new name
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise PlaceMissing(f"{self.path} cannot be read: {error.strerror}") from error
        return sorted(found, key=lambda each: each.name)

    def _read_small(self, name: str, longest: int) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(longest + 1)
        except OSError as error:
            raise FileChanged(f"{name}: {error.strerror}") from error
        if len(content) > longest:
            raise FileChanged(f"{name} is longer than {longest:,} bytes")
        return content

    def _fetch(self, file: Listed, into: Path) -> dict[str, str]:
        sums = Sums()
        try:
            with (self.path / file.name).open("rb") as source, into.open("wb") as target:
                while sums.size <= file.size and (piece := source.read(CHUNK)):
                    sums.add(piece)
                    target.write(piece)
                told = os.fstat(source.fileno())
                same_name = (self.path / file.name).stat().st_ino == told.st_ino
        except OSError as error:
            raise FileChanged(f"{file.name}: {error.strerror}") from error
        now = Listed(file.name, told.st_size, _instant(told.st_mtime_ns))
        if sums.size != file.size or now != file or not same_name:
            raise FileChanged(f"{file.name} was written to while it was read")
        return sums.hashes


def _instant(nanoseconds: int) -> datetime:
    """To the microsecond, which is what the database keeps."""
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC)
