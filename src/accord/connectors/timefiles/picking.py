"""What to do with what lies in a drop, given what is known: decided without touching a file. Pure.

First `look` says which files may be read, from the listing alone; then `judge` says what a file is, once its bytes are
known. A file that is still being written is waited for: a manifest tells when it is whole, or its size and time stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from accord.connectors.timefiles.manifest import Expected, is_manifest
from accord.connectors.timefiles.mapping import TimeFile

# What programs call a file while they still write it.
_UNFINISHED = re.compile(
    r"(?:^[.~].*)|(?:.*(?:\.part|\.partial|\.filepart|\.tmp|\.temp|\.crdownload|\.swp|~)$)", re.IGNORECASE
)
# How long size and time must stay before a file without a manifest is taken for whole.
SETTLE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing shows it."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was at an earlier look: since when it has this size and time, its hash if it was read so,
    whether it was refused then, and whether it should be read `again`, because what it left may be cured now."""

    size: int
    modified_at: datetime
    seen_at: datetime
    hash: str | None = None
    refused: bool = False
    again: bool = False

    def is_of(self, file: Listed) -> bool:
        return (self.size, self.modified_at) == (file.size, file.modified_at)

    def is_answered(self, told: Expected | None) -> bool:
        """Whether it was read and there is nothing new to say of it: a refused one may have a better manifest now."""
        if self.again:
            return False
        if self.hash is None or not self.refused or told is None or told.checksum is None:
            return self.hash is not None
        algorithm, wanted = told.checksum
        return algorithm == "sha256" and wanted != self.hash


@dataclass(frozen=True, slots=True)
class Look:
    """What a listing came to: `fetch` in the order to take them, `settled` those of them that do not change any more;
    `waiting` and `ignored` with why; `known` were read as they lie there."""

    fetch: tuple[Listed, ...]
    settled: frozenset[str]
    waiting: Mapping[str, str]
    ignored: Mapping[str, str]
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was taken or refused before. `corrected` when another has replaced it since; `open_problems`: rows of
    it are still waiting for a cure."""

    id: int
    hash: str
    name: str
    series: str
    version: int
    taken: bool
    corrected: bool = False
    open_problems: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a file whose bytes are known: take it (in place of `replaces`), leave it, wait, or refuse it."""

    what: Literal["take", "leave", "wait", "refuse"]
    why: str
    replaces: KnownFile | None = None


def series_of(name: str, table: TimeFile) -> tuple[str, int] | None:
    """What a file shares with its corrections, and which of them it is; None for a name that says nothing."""
    found = table.name_pattern.fullmatch(name)
    if found is None:
        return None
    version = found.groupdict().get("version")
    return found["series"], int(version) if version else 0


def look(
    listing: Sequence[Listed],
    sightings: Mapping[str, Sighting],
    expected: Mapping[str, Expected],
    table: TimeFile,
    now: datetime,
    *,
    settle: timedelta = SETTLE,
) -> Look:
    """Which files may be read now. `sightings` are those of the last look, by name."""
    fetch: list[Listed] = []
    settled: set[str] = set()
    known: set[str] = set()
    waiting: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for file in listing:
        before = sightings.get(file.name)
        same = before is not None and before.is_of(file)
        if (why := _no_file_of_ours(file, table)) is not None:
            ignored[file.name] = why
        elif before is not None and same and before.is_answered(expected.get(file.name)):
            known.add(file.name)
        elif (why := _not_yet(file, expected.get(file.name), table)) is not None:
            waiting[file.name] = why
        elif before is not None and same and (before.again or now - before.seen_at >= settle):
            settled.add(file.name)
            fetch.append(file)
        elif (told := expected.get(file.name)) is not None and told.checksum is not None:
            fetch.append(file)
        else:
            waiting[file.name] = "still changes" if before is not None and not same else "seen for the first time"
    fetch.sort(key=lambda each: (series_of(each.name, table) or ("", 0), each.modified_at, each.name))
    return Look(tuple(fetch), frozenset(settled), waiting, ignored, frozenset(known))


def _no_file_of_ours(file: Listed, table: TimeFile) -> str | None:
    if is_manifest(file.name):
        return "a manifest"
    if _UNFINISHED.fullmatch(file.name):
        return "its name says that it is still being written"
    return None if series_of(file.name, table) is not None else "its name is not one of this source's files"


def _not_yet(file: Listed, told: Expected | None, table: TimeFile) -> str | None:
    if file.size == 0:
        return "is empty"
    if told is not None and told.size is not None and file.size < told.size:
        return f"has {file.size:,} of {told.size:,} bytes"
    if table.manifest_needed and (told is None or told.checksum is None):
        return "no manifest tells its checksum yet"
    return None


def judge(
    name: str,
    hashes: Mapping[str, str],
    known: Sequence[KnownFile],
    expected: Expected | None,
    table: TimeFile,
    *,
    settled: bool,
) -> Verdict:
    """What a file is, by its bytes. `hashes` is {algorithm: hexadecimal}; `known` files of the same hash or series, or
    the one that a manifest says is replaced. `settled`: size and time have stayed, so that it will not become whole."""
    if expected is not None and expected.checksum is not None:
        algorithm, wanted = expected.checksum
        if hashes[algorithm] != wanted:
            if settled:
                return Verdict("refuse", f"its {algorithm} sum is {hashes[algorithm]}, the manifest says {wanted}")
            return Verdict("wait", "its sum is not yet that of the manifest")
    same = next((each for each in known if each.hash == hashes["sha256"]), None)
    if same is not None and same.taken and not same.corrected and not same.open_problems:
        return Verdict("leave", f"was taken before under the name {same.name}")
    return _place_in_series(name, known, expected, table, same)


def _place_in_series(
    name: str, known: Sequence[KnownFile], expected: Expected | None, table: TimeFile, same: KnownFile | None
) -> Verdict:
    place = series_of(name, table)
    assert place is not None
    series, version = place
    others = [each for each in known if each.taken and each is not same and not each.corrected]
    if expected is not None and expected.replaces is not None:
        meant = [each for each in others if each.name == expected.replaces]
        if not meant:
            return Verdict("wait", f"corrects {expected.replaces}, which has not been taken yet")
        return Verdict("take", f"corrects {meant[-1].name}", meant[-1])
    of_series = [each for each in others if each.series == series]
    newest = max(of_series, key=lambda each: (each.version, each.id), default=None)
    # Where the correction lay, there are the old bytes again: the source took it back. Elsewhere they are only late.
    if same is not None and same.corrected and (newest is None or newest.name != name):
        return Verdict("leave", "was taken before and has been corrected since")
    if newest is not None and newest.version > version:
        return Verdict("leave", f"is older than {newest.name}, which was taken before it")
    if newest is None or table.corrections == "rows":
        return Verdict("take", "tried again" if same is not None else "new")
    return Verdict("take", f"corrects {newest.name}", newest)
