"""A table of time files says what it means, or is refused with every mistake; its samples are its tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accord.connect.mapping.table import MappingInvalid
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.mapping import Column, Sample, TimeFile
from accord.connectors.timefiles.reading import check_samples
from accord.model.plain import to_plain


def changed(**fields: Any) -> TimeFile:
    return replace(LEGACY, **fields)


def test_the_samples_of_the_table_hold() -> None:
    check_samples(LEGACY)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(cells={**LEGACY.samples[0].cells}, gives={"quantity": "8"}), "sample 1: quantity is '7.5', not '8'"),
        (Sample(cells={**LEGACY.samples[0].cells}, reason="row_unreadable"), "is taken, not row_unreadable"),
        (Sample(cells={**LEGACY.samples[2].cells}, gives={"quantity": "8"}), "no day of the calendar"),
        (Sample(cells={**LEGACY.samples[0].cells, "Ort": "x"}, gives={"quantity": "7.5"}), "there is no column 'ort'"),
    ],
)
def test_a_sample_that_does_not_hold_is_named(sample: Sample, words: str) -> None:
    with pytest.raises(MappingInvalid, match=words):
        check_samples(changed(samples=(sample, *LEGACY.samples)))


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"key": ("nothing",)}, r"the key \(nothing\) is not made of its columns"),
        ({"key": ()}, r"the key \(none\)"),
        ({"pivot": None}, "declare a pivot"),
        ({"grouping": ","}, "numbers cannot be written"),
        ({"columns": LEGACY.columns[:2]}, "worked_on has no column; hours has no column; project has no column"),
        ({"columns": (*LEGACY.columns, LEGACY.columns[0])}, "key has two columns; two columns are called 'beleg'"),
        ({"columns": (*LEGACY.columns, Column(field="mood", headings=("Laune",)))}, "'mood' is none of"),
        ({"columns": (*LEGACY.columns, Column(field="category", headings=("",)))}, "category has no heading"),
        ({"columns": tuple(c for c in LEGACY.columns if c.field != "status")}, "without a column status"),
        ({"samples": LEGACY.samples[:1]}, "a sample that is taken and one that is not"),
        ({"file_name": "(.*"}, "the file name pattern is no pattern"),
        ({"file_name": ".*"}, "no group `series`"),
        ({"zone": "Mars/Base"}, "no time zone 'Mars/Base'"),
    ],
)
def test_a_table_that_cannot_be_is_refused_with_its_mistakes(fields: dict[str, Any], mistake: str) -> None:
    with pytest.raises(MappingInvalid, match=mistake):
        changed(**fields)


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        ({"ok": "fine"}, "status cannot mean fine"),
        ({}, "status needs words"),
        ({"ok": "approved", "OK ": "rejected"}, "says one word twice"),
    ],
)
def test_words_mean_what_a_status_can_be(words: dict[str, str], mistake: str) -> None:
    columns = tuple(c if c.field != "status" else replace(c, words=words) for c in LEGACY.columns)
    with pytest.raises(MappingInvalid, match=mistake):
        changed(columns=columns)


def test_a_table_is_data_and_comes_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "legacy.json"
    file.write_text(json.dumps(to_plain(LEGACY)))
    assert TimeFile.from_json(file) == LEGACY
    file.write_text(json.dumps({**to_plain(LEGACY), "sheets": 1}))
    with pytest.raises(MappingInvalid, match=r"legacy\.json is no table .*: timefile: unknown field 'sheets'"):
        TimeFile.from_json(file)
    file.write_text("{")
    with pytest.raises(MappingInvalid, match="no table"):
        TimeFile.from_json(file)


@pytest.mark.parametrize(
    ("name", "series", "version"),
    [
        ("zeit_2026-03.csv", "zeit_2026-03", None),
        ("zeit_2026-03_v2.csv", "zeit_2026-03", "2"),
        ("zeit_2026-03-corr1.XLSX", "zeit_2026-03", "1"),
        ("zeit_2026-03.correction_12.txt", "zeit_2026-03", "12"),
    ],
)
def test_a_correction_shares_the_series_of_its_file(name: str, series: str, version: str | None) -> None:
    found = LEGACY.name_pattern.fullmatch(name)
    assert found is not None
    assert (found["series"], found["version"]) == (series, version)
    assert LEGACY.name_pattern.fullmatch("zeit.csv.part") is None
