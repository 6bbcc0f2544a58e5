"""One look at a place: what may be read is fetched, judged, and taken in, a transaction a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import structlog

from accord.connect.tables.failures import ChecksumWrong, CountWrong, FileNotTaken
from accord.connectors.timefiles import memory
from accord.connectors.timefiles.manifest import (
    LONGEST_BYTES,
    Expected,
    ManifestUnreadable,
    is_manifest,
    read_manifest,
    together,
)
from accord.connectors.timefiles.mapping import TimeFile
from accord.connectors.timefiles.picking import SETTLE, Listed, Verdict, judge, look, series_of
from accord.connectors.timefiles.places import LARGEST_BYTES, FileChanged, Place
from accord.connectors.timefiles.reading import open_time_file, read_rows
from accord.db.pool import Pool, transaction
from accord.ledger import bindings
from accord.ledger.work_files import ArrivedFile, FileTaken, refuse_file, take_file
from accord.model.work import WorkProblem

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Picked:
    """What became of one file: taken, left, waiting or refused, and why. `taken` has the counts of a taken one."""

    name: str
    what: str
    why: str
    taken: FileTaken | None = None


@dataclass(frozen=True, slots=True)
class Collector:
    """Looks at places and takes in what it finds; `settle` is how long a file without a manifest must stay as it is."""

    pool: Pool
    table: TimeFile
    now: Callable[[], datetime]
    settle: timedelta = SETTLE

    async def collect(self, place: Place) -> list[Picked]:
        """One look. Files are told in the order of their names, what is ignored or known already not at all."""
        listing = await place.listing()
        expected, picked = await self._manifests(place, listing)
        async with transaction(self.pool) as db:
            found = look(
                listing, await memory.sightings(db, self.table), expected, self.table, self.now(), settle=self.settle
            )
            await memory.remember(db, self.table.source, listing, self.now())
        picked += [Picked(name, "waiting", why) for name, why in found.waiting.items()]
        for file in found.fetch:
            picked.append(await self._one(place, file, expected.get(file.name), settled=file.name in found.settled))
        for each in picked:
            log.info("time file", source=self.table.source, file=each.name, what=each.what, why=each.why)
        return sorted(picked, key=lambda each: each.name)

    async def _manifests(self, place: Place, listing: Sequence[Listed]) -> tuple[Mapping[str, Expected], list[Picked]]:
        found: dict[str, Mapping[str, Expected]] = {}
        unread: list[Picked] = []
        for file in listing:
            if is_manifest(file.name) and file.size:
                try:
                    content = await place.read_small(file.name, LONGEST_BYTES)
                    found[file.name] = read_manifest(file.name, content)
                    together(found)
                except (FileChanged, ManifestUnreadable) as error:
                    found.pop(file.name, None)
                    unread.append(Picked(file.name, "waiting", str(error)))
        return together(found), unread

    async def _one(self, place: Place, file: Listed, told: Expected | None, *, settled: bool) -> Picked:
        if file.size > LARGEST_BYTES:
            return Picked(file.name, "waiting", f"has {file.size:,} bytes; at most {LARGEST_BYTES:,} are read")
        with tempfile.TemporaryDirectory(prefix="accord-time-") as folder:
            copy = Path(folder) / f"file{Path(file.name).suffix}"
            try:
                hashes = await place.fetch(file, copy)
            except FileChanged as changed:
                return Picked(file.name, "waiting", str(changed))
            return await self._judged(copy, file, hashes, told, settled=settled)

    async def _judged(
        self, copy: Path, file: Listed, hashes: Mapping[str, str], told: Expected | None, *, settled: bool
    ) -> Picked:
        series, version = series_of(file.name, self.table) or (file.name, 0)
        source = self.table.source
        async with transaction(self.pool) as db:
            same = await memory.known(db, source, hashes, series, told.replaces if told else None)
            verdict = judge(file.name, hashes, same, told, self.table, settled=settled)
            if verdict.what == "leave":
                await memory.mark_read(db, source, file, hashes["sha256"])
        if verdict.what in ("leave", "wait"):
            return Picked(file.name, "left" if verdict.what == "leave" else "waiting", verdict.why)
        arrived = ArrivedFile(source, file.name, hashes["sha256"], series, version, mapping=self.table.version)
        try:
            if verdict.what == "refuse":
                raise ChecksumWrong(f"{file.name}: {verdict.why}.")
            return await self._taken(copy, file, arrived, verdict, told)
        except FileNotTaken as refusal:
            problem = WorkProblem(refusal.reason, str(refusal), file.name, refusal.cure)
            async with transaction(self.pool) as db:
                await refuse_file(db, arrived, problem, now=self.now())
                await memory.mark_read(db, source, file, hashes["sha256"])
            return Picked(file.name, "refused", str(refusal))

    async def _taken(
        self, copy: Path, file: Listed, arrived: ArrivedFile, verdict: Verdict, told: Expected | None
    ) -> Picked:
        opened = await asyncio.to_thread(open_time_file, copy, self.table, name=file.name)
        encoding = opened.encoding
        arrived = ArrivedFile(
            source=arrived.source,
            name=arrived.name,
            hash=arrived.hash,
            series=arrived.series,
            version=arrived.version,
            encoding=encoding.name if encoding else "xlsx",
            shown_by=encoding.shown_by if encoding else "package",
            mapping=arrived.mapping,
        )
        async with transaction(self.pool) as db:
            bound = await bindings.load(db, self.table.source)
            taken = await take_file(
                db,
                arrived,
                lambda: read_rows(opened, self.table, bound),
                now=self.now(),
                replaces=None if verdict.replaces is None else (verdict.replaces.id, verdict.replaces.name),
                expected=_expected(file.name, told),
            )
            await memory.mark_read(db, self.table.source, file, arrived.hash)
        return Picked(file.name, "taken", verdict.why, taken)


def _expected(name: str, told: Expected | None) -> Callable[[int, Decimal], None]:
    """Raises CountWrong when the manifest tells of other rows or hours."""

    def check(rows: int, hours: Decimal) -> None:
        if told is not None and told.rows is not None and told.rows != rows:
            raise CountWrong(f"{name} has {rows:,} rows, its manifest says {told.rows:,}.")
        if told is not None and told.hours is not None and told.hours != hours:
            raise CountWrong(f"{name} has {hours:,} h, its manifest says {told.hours:,} h.")

    return check
