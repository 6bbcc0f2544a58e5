"""What to do with a listing and with a file, as tables of cases: nothing here touches a file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.manifest import Expected, ManifestUnreadable, is_manifest, read_manifest, together
from accord.connectors.timefiles.picking import KnownFile, Listed, Look, Sighting, Verdict, judge, look

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
THEN = NOW - timedelta(minutes=5)
A, B = "a" * 64, "b" * 64
SUM = Expected(checksum=("sha256", A))


def listed(name: str = "march.csv", size: int = 100) -> Listed:
    return Listed(name, size, THEN)


def seen(file: Listed, *, ago: int = 60, hash: str | None = None, refused: bool = False) -> Sighting:
    return Sighting(file.size, file.modified_at, NOW - timedelta(seconds=ago), hash, refused)


def looked(
    *files: Listed, sightings: dict[str, Sighting] | None = None, told: dict[str, Expected] | None = None
) -> Look:
    return look(files, sightings or {}, told or {}, LEGACY, NOW)


def test_a_file_without_a_manifest_is_taken_when_it_has_stayed_as_it_was() -> None:
    file = listed()
    assert looked(file).waiting == {"march.csv": "seen for the first time"}
    assert looked(file, sightings={"march.csv": seen(file, ago=5)}).waiting == {"march.csv": "seen for the first time"}
    grown = {"march.csv": seen(listed(size=50))}
    assert looked(file, sightings=grown).waiting == {"march.csv": "still changes"}
    touched = {"march.csv": replace(seen(file), modified_at=THEN - timedelta(seconds=1))}
    assert looked(file, sightings=touched).waiting == {"march.csv": "still changes"}
    whole = looked(file, sightings={"march.csv": seen(file)})
    assert (whole.fetch, whole.settled) == ((file,), {"march.csv"})


def test_a_manifest_says_at_once_that_a_file_may_be_whole() -> None:
    file = listed()
    at_once = looked(file, told={"march.csv": SUM})
    assert (at_once.fetch, at_once.settled) == ((file,), frozenset())
    partial = looked(file, sightings={"march.csv": seen(file)}, told={"march.csv": replace(SUM, size=200)})
    assert partial.waiting == {"march.csv": "has 100 of 200 bytes"}
    only_rows = looked(file, told={"march.csv": Expected(rows=3)})
    assert only_rows.waiting == {"march.csv": "seen for the first time"}


def test_where_a_manifest_is_needed_nothing_goes_without() -> None:
    file = listed()
    table = replace(LEGACY, manifest_needed=True)
    found = look([file], {"march.csv": seen(file)}, {}, table, NOW)
    assert found.waiting == {"march.csv": "no manifest tells its checksum yet"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("march.csv.part", "still being written"),
        (".march.csv", "still being written"),
        ("~march.xlsx", "still being written"),
        ("march.csv.filepart", "still being written"),
        ("march.csv~", "still being written"),
        ("march.csv.sha256", "a manifest"),
        ("manifest.json", "a manifest"),
        ("readme.pdf", "not one of this source's files"),
    ],
)
def test_what_is_no_file_of_the_source_is_left_alone(name: str, why: str) -> None:
    file = listed(name)
    found = looked(file, sightings={name: seen(file)})
    assert why in found.ignored[name]
    assert not found.fetch


def test_an_empty_file_is_one_that_is_about_to_be_written() -> None:
    file = listed(size=0)
    assert looked(file, sightings={"march.csv": seen(file)}).waiting == {"march.csv": "is empty"}


def test_what_was_read_as_it_lies_there_is_not_read_again() -> None:
    file = listed()
    assert looked(file, sightings={"march.csv": seen(file, hash=A)}).known == {"march.csv"}
    changed = {"march.csv": replace(seen(file, hash=A), size=99)}
    assert looked(file, sightings=changed, told={"march.csv": SUM}).fetch == (file,)


def test_a_refused_file_is_read_again_when_a_manifest_agrees_with_it_now() -> None:
    file = listed()
    refused = {"march.csv": seen(file, hash=A, refused=True)}
    assert looked(file, sightings=refused).known == {"march.csv"}
    assert looked(file, sightings=refused, told={"march.csv": Expected(checksum=("sha256", B))}).known == {"march.csv"}
    assert looked(file, sightings=refused, told={"march.csv": SUM}).fetch == (file,)


def test_a_file_that_should_be_read_again_is_read_at_once() -> None:
    file = listed()
    again = {"march.csv": replace(seen(file, ago=1, hash=A), again=True)}
    found = looked(file, sightings=again)
    assert (found.fetch, found.settled) == ((file,), {"march.csv"})


def test_files_are_taken_in_the_order_of_their_series_and_versions() -> None:
    names = ["may_v10.csv", "may_v2.csv", "may.csv", "april.csv"]
    files = [listed(name) for name in names]
    found = looked(*files, sightings={file.name: seen(file) for file in files})
    assert [file.name for file in found.fetch] == ["april.csv", "may.csv", "may_v2.csv", "may_v10.csv"]


MARCH = KnownFile(1, B, "march.csv", "march", 0, taken=True)
V2 = KnownFile(2, "c" * 64, "march_v2.csv", "march", 2, taken=True)


def judged(
    *known: KnownFile, name: str = "march.csv", told: Expected | None = None, settled: bool = True, rows: bool = False
) -> Verdict:
    table = replace(LEGACY, corrections="rows") if rows else LEGACY
    return judge(name, {"sha256": A, "md5": "0" * 32}, known, told, table, settled=settled)


def test_a_wrong_sum_is_waited_for_while_the_file_changes_and_refused_when_it_stays() -> None:
    wrong = Expected(checksum=("sha256", B))
    assert judged(told=wrong, settled=False).what == "wait"
    refusal = judged(told=wrong)
    assert refusal.what == "refuse"
    assert "the manifest says bbb" in refusal.why
    assert judged(told=Expected(checksum=("md5", "0" * 32))).what == "take"


def test_the_same_bytes_are_taken_once_whatever_their_name() -> None:
    same = replace(MARCH, hash=A, name="old name.csv")
    assert judged(same) == Verdict("leave", "was taken before under the name old name.csv")
    assert judged(replace(same, open_problems=True)).what == "take"
    assert judged(replace(same, taken=False)).what == "take"


def test_a_correction_replaces_the_newest_of_its_series() -> None:
    assert judged() == Verdict("take", "new")
    assert judged(MARCH) == Verdict("take", "corrects march.csv", MARCH)
    assert judged(replace(MARCH, corrected=True), V2, name="march_v3.csv").replaces == V2
    assert judged(replace(MARCH, series="april")).replaces is None


def test_corrections_that_hold_only_changed_rows_replace_nothing() -> None:
    assert judged(MARCH, name="march_v2.csv", rows=True) == Verdict("take", "new")


def test_what_comes_after_its_own_correction_is_left() -> None:
    late = judged(V2)
    assert late == Verdict("leave", "is older than march_v2.csv, which was taken before it")


def test_old_bytes_are_taken_again_only_where_the_correction_lay() -> None:
    corrected = replace(MARCH, hash=A, corrected=True)
    assert judged(corrected, V2).what == "leave"
    in_its_place = KnownFile(2, B, "march.csv", "march", 0, taken=True)
    assert judged(corrected, in_its_place) == Verdict("take", "corrects march.csv", in_its_place)


def test_a_manifest_may_say_which_file_is_replaced() -> None:
    told = Expected(replaces="march.csv")
    assert judged(MARCH, name="late corrections.csv", told=told).replaces == MARCH
    assert judged(name="late corrections.csv", told=told).what == "wait"


@pytest.mark.parametrize(
    ("name", "content", "file", "expected"),
    [
        ("march.csv.sha256", f"{A.upper()}  /somewhere/else.csv\n", "march.csv", SUM),
        ("march.csv.sha256", A, "march.csv", SUM),
        ("march.csv.md5", "0" * 32, "march.csv", Expected(checksum=("md5", "0" * 32))),
        ("SHA256SUMS", f"{B}  april.csv\n{A} *march.csv\n", "march.csv", SUM),
        ("MD5SUMS.txt", f"{'0' * 32}  march.csv\r\n", "march.csv", Expected(checksum=("md5", "0" * 32))),
        ("march.manifest.json",
         f'{{"files": [{{"name": "march.csv", "sha256": "{A}", "size": 5, "rows": 2, "hours": 7, "replaces": "x"}}]}}',
         "march.csv", Expected(("sha256", A), 5, 2, Decimal(7), "x")),
    ],
)  # fmt: skip
def test_manifests_in_their_usual_forms_are_read(name: str, content: str, file: str, expected: Expected) -> None:
    assert is_manifest(name)
    assert read_manifest(name, content.encode())[file] == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("march.csv.sha256", b"0123"),
        ("march.csv.sha256", b""),
        ("SHA256SUMS", A.encode()),
        ("SHA256SUMS", b"0" * 32 + b"  march.csv"),
        ("manifest.json", b'{"files": [{"name": "march.csv", '),
        ("manifest.json", b'{"files": [{"sha256": "x"}]}'),
        ("manifest.json", b'{"files": [{"name": "a", "sha256": "x"}]}'),
        ("manifest.json", b"[1]"),
        ("manifest.json", b"\xff\xfe"),
    ],
)
def test_a_manifest_that_may_be_half_written_is_no_manifest_yet(name: str, content: bytes) -> None:
    with pytest.raises(ManifestUnreadable, match=name):
        read_manifest(name, content)


def test_what_manifests_say_is_put_together_and_must_agree() -> None:
    rows = {"march.csv": Expected(rows=3)}
    assert together({"a": {"march.csv": SUM}, "b": rows}) == {"march.csv": replace(SUM, rows=3)}
    md5 = {"march.csv": Expected(checksum=("md5", "0" * 32))}
    assert together({"a": {"march.csv": SUM}, "b": md5}) == {"march.csv": SUM}
    with pytest.raises(ManifestUnreadable, match="another rows of march"):
        together({"a": rows, "b": {"march.csv": Expected(rows=4)}})
    with pytest.raises(ManifestUnreadable, match="another checksum"):
        together({"a": {"march.csv": SUM}, "b": {"march.csv": Expected(checksum=("sha256", B))}})
