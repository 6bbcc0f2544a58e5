"""A drop folder over time: partial uploads, renames, corrections, manifests, and problems that a cure brings back."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accord.connectors.timefiles.collecting import Collector, Picked
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.picking import Listed
from accord.connectors.timefiles.places import FileChanged, Folder, PlaceMissing
from accord.db.pool import Pool, transaction
from accord.ledger.bindings import declare

from .conftest import HEADER, PROJECTS, ROWS, Drop, lines, workbook

ENTRIES = "SELECT source_key, revision, status, quantity FROM work_entry WHERE current ORDER BY source_key"
OPEN = "SELECT place, reason FROM work_problem WHERE settled_at IS NULL ORDER BY 1, 2"
CASES = "SELECT reason FROM business_case WHERE state = 'open' ORDER BY 1"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at

    def later(self, seconds: float = 60) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def collector(pool: Pool, clock: Clock) -> Collector:
    async with transaction(pool) as db:
        await declare(db, LEGACY.source, PROJECTS, by="test")
    return Collector(pool, LEGACY, clock)


async def seen_twice(collector: Collector, clock: Clock, folder: Path) -> dict[str, Picked]:
    """What the second of two looks picks: by then a file has stayed as it is."""
    await collector.collect(Folder(folder))
    clock.later()
    return {each.name: each for each in await collector.collect(Folder(folder))}


async def found(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_file_is_taken_once_when_it_has_stayed(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    drop("march.csv")
    [first] = await collector.collect(Folder(folder))
    assert (first.what, first.why) == ("waiting", "seen for the first time")
    clock.later()
    [second] = await collector.collect(Folder(folder))
    assert (second.what, second.why) == ("taken", "new")
    assert second.taken is not None
    assert (second.taken.rows, second.taken.new, second.taken.hours) == (3, 3, Decimal("23.5"))
    assert await collector.collect(Folder(folder)) == []
    [kept] = await found(pool, "SELECT name, series, encoding, shown_by, state FROM work_file")
    assert kept == ("march.csv", "march", "windows-1252", "fallback", "taken")


async def test_an_upload_that_goes_on_is_waited_for(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    whole = lines(*ROWS)
    for part in (40, 80, 120):
        drop("march.csv", text=whole[:part])
        assert [each.what for each in await collector.collect(Folder(folder))] == ["waiting"]
        clock.later(15)
    drop("march.csv")
    assert (await seen_twice(collector, clock, folder))["march.csv"].what == "taken"
    assert await found(pool, OPEN) == []


async def test_an_upload_under_another_name_is_taken_when_it_is_renamed(
    collector: Collector, clock: Clock, folder: Path, drop: Drop
) -> None:
    path = drop("march.csv.part")
    assert await seen_twice(collector, clock, folder) == {}
    path.rename(folder / "march.csv")
    assert (await seen_twice(collector, clock, folder))["march.csv"].what == "taken"


async def test_a_file_that_is_renamed_or_sent_again_is_not_taken_twice(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    path = drop("march.csv")
    await seen_twice(collector, clock, folder)
    path.rename(folder / "march final.csv")
    drop("march again.csv")
    picked = await seen_twice(collector, clock, folder)
    assert {name: each.why for name, each in picked.items()} == {
        "march again.csv": "was taken before under the name march.csv",
        "march final.csv": "was taken before under the name march.csv",
    }
    assert await found(pool, "SELECT count(*) FROM work_entry") == [(3,)]
    assert await collector.collect(Folder(folder)) == []


async def test_an_upload_that_broke_off_is_refused_by_name_and_cured_by_the_whole_file(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    drop("march.csv", text=lines(*ROWS)[:-20])
    picked = await seen_twice(collector, clock, folder)
    assert picked["march.csv"].what == "refused"
    assert await found(pool, OPEN) == [("march.csv", "file_truncated")]
    assert await found(pool, CASES) == [("file_truncated",)]
    assert await found(pool, ENTRIES) == []
    drop("march.csv")
    assert (await seen_twice(collector, clock, folder))["march.csv"].what == "taken"
    assert await found(pool, OPEN) == []
    assert await found(pool, CASES) == []


async def test_a_manifest_lets_a_file_in_at_once_and_keeps_a_partial_one_out(
    collector: Collector, clock: Clock, folder: Path, drop: Drop
) -> None:
    path = drop("march.csv")
    whole, checksum = path.read_bytes(), sum_of(path)
    path.write_bytes(whole[:60])
    (folder / "march.csv.sha256").write_text(f"{checksum}  march.csv\n")
    [partial] = await collector.collect(Folder(folder))
    assert (partial.what, partial.why) == ("waiting", "its sum is not yet that of the manifest")
    path.write_bytes(whole)
    clock.later(1)
    [taken] = await collector.collect(Folder(folder))
    assert taken.what == "taken"


async def test_a_file_that_stays_other_than_its_manifest_is_refused_until_one_of_them_changes(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    path = drop("march.csv")
    manifest = folder / "SHA256SUMS"
    manifest.write_text(f"{'0' * 64}  march.csv\n")
    picked = await seen_twice(collector, clock, folder)
    assert picked["march.csv"].what == "refused"
    assert await found(pool, CASES) == [("file_checksum_wrong",)]
    clock.later()
    assert await collector.collect(Folder(folder)) == []
    manifest.write_text(f"{sum_of(path)}  march.csv\n")
    [cured] = await collector.collect(Folder(folder))
    assert cured.what == "taken"
    assert await found(pool, CASES) == []


@pytest.mark.parametrize("told", [{"rows": 4}, {"hours": "24"}])
async def test_rows_and_hours_that_a_manifest_tells_must_be_there(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool, told: dict[str, Any]
) -> None:
    drop("march.csv")
    (folder / "manifest.json").write_text(json.dumps({"files": [{"name": "march.csv", **told}]}))
    picked = await seen_twice(collector, clock, folder)
    assert picked["march.csv"].what == "refused"
    assert await found(pool, OPEN) == [("march.csv", "file_count_wrong")]
    assert await found(pool, ENTRIES) == []


async def test_a_manifest_that_is_half_written_is_looked_at_again(
    collector: Collector, clock: Clock, folder: Path, drop: Drop
) -> None:
    drop("march.csv")
    (folder / "manifest.json").write_text('{"files": [{"na')
    found = {each.name: each for each in await collector.collect(Folder(folder))}
    assert (found["manifest.json"].what, "is no manifest" in found["manifest.json"].why) == ("waiting", True)


async def test_a_corrected_file_replaces_exactly_its_rows(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    drop("march.csv")
    drop("april.csv", ["9", *ROWS[0][1:]])
    await seen_twice(collector, clock, folder)
    drop("march_v2.csv", [*ROWS[0][:3], "6", *ROWS[0][4:]], ROWS[2])
    picked = await seen_twice(collector, clock, folder)
    assert picked["march_v2.csv"].why == "corrects march.csv"
    assert await found(pool, ENTRIES) == [
        ("1", 2, "approved", Decimal(6)),
        ("2", 2, "deleted", Decimal(8)),
        ("3", 1, "submitted", Decimal(8)),
        ("9", 1, "approved", Decimal("7.5")),
    ]
    # The first one again, late and touched: it is older than what is known.
    os.utime(folder / "march.csv", (1, 1))
    picked = await seen_twice(collector, clock, folder)
    assert picked["march.csv"].what == "left"
    assert (await found(pool, ENTRIES))[1][2] == "deleted"


async def test_a_late_file_of_changed_rows_touches_no_others(
    pool: Pool, clock: Clock, folder: Path, drop: Drop
) -> None:
    async with transaction(pool) as db:
        await declare(db, LEGACY.source, PROJECTS, by="test")
    collector = Collector(pool, replace(LEGACY, corrections="rows"), clock)
    drop("march.csv")
    await seen_twice(collector, clock, folder)
    drop("march_v2.csv", [*ROWS[0][:3], "6", *ROWS[0][4:]])
    await seen_twice(collector, clock, folder)
    assert [row[1:3] for row in await found(pool, ENTRIES)] == [(2, "approved"), (1, "approved"), (1, "submitted")]


async def test_a_bad_row_waits_in_quarantine_and_comes_in_when_its_project_is_bound(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    drop("march.csv", ROWS[0], [*ROWS[1][:4], "P-9", *ROWS[1][5:]])
    picked = await seen_twice(collector, clock, folder)
    taken = picked["march.csv"].taken
    assert taken is not None
    assert (taken.entries, taken.problems) == (1, 1)
    assert await found(pool, OPEN) == [("march.csv line 3", "project_not_bound")]
    assert await collector.collect(Folder(folder)) == []
    async with transaction(pool) as db:
        await declare(db, LEGACY.source, [PROJECTS[0]._replace(project="P-9")], by="test")
    await collector.collect(Folder(folder))
    assert await found(pool, OPEN) == []
    assert await found(pool, CASES) == []
    assert [row[0] for row in await found(pool, ENTRIES)] == ["1", "2"]


async def test_a_better_table_reads_what_the_old_one_refused(
    collector: Collector, clock: Clock, folder: Path, drop: Drop, pool: Pool
) -> None:
    drop("march.csv", text=lines(*([*row, "x"] for row in ROWS), header=[*HEADER, "Ort"]))
    picked = await seen_twice(collector, clock, folder)
    assert "does not know Ort" in picked["march.csv"].why
    assert await found(pool, OPEN) == [("march.csv", "file_columns_unknown")]
    better = Collector(pool, replace(LEGACY, version=2, ignored=("Ort",)), clock)
    [taken] = await better.collect(Folder(folder))
    assert taken.what == "taken"
    assert await found(pool, OPEN) == []


async def test_a_workbook_is_taken_like_any_other(collector: Collector, clock: Clock, folder: Path, pool: Pool) -> None:
    workbook(folder / "march.xlsx", [HEADER, *ROWS])
    assert (await seen_twice(collector, clock, folder))["march.xlsx"].what == "taken"
    assert await found(pool, "SELECT encoding, shown_by FROM work_file") == [("xlsx", "package")]
    assert len(await found(pool, ENTRIES)) == 3


async def test_a_folder_tells_of_files_alone(folder: Path, drop: Drop, tmp_path: Path) -> None:
    path = drop("march.csv")
    (folder / "sub").mkdir()
    (folder / "link.csv").symlink_to(path)
    assert [each.name for each in await Folder(folder).listing()] == ["march.csv"]
    with pytest.raises(PlaceMissing, match="cannot be read"):
        await Folder(tmp_path / "nowhere").listing()
    with pytest.raises(PlaceMissing):
        await Folder(path).listing()


async def test_a_file_that_is_not_any_more_what_was_listed_is_not_fetched(
    folder: Path, drop: Drop, tmp_path: Path
) -> None:
    path = drop("march.csv")
    place, into = Folder(folder), tmp_path / "copy"
    [file] = await place.listing()
    sums = await place.fetch(file, into)
    assert sums["sha256"] == sum_of(path) == sum_of(into)
    for changed in (replace(file, size=file.size + 1), replace(file, size=3),
                    Listed("gone.csv", file.size, file.modified_at)):  # fmt: skip
        with pytest.raises(FileChanged):
            await place.fetch(changed, into)
    with pytest.raises(FileChanged, match="longer than 5 bytes"):
        await place.read_small("march.csv", 5)
