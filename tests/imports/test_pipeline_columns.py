"""Every column's samples are its tests: those of the pipeline, and those of the SiP task files."""

from __future__ import annotations

from typing import Any

import pytest

from accord.imports import pipeline_columns, sip_columns
from accord.imports.pipeline_columns import Column

COLUMNS = [
    (file, column)
    for files in (pipeline_columns.FILES, sip_columns.FILES)
    for file, columns in files.items()
    for column in columns
]


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        pytest.param(column, text, value, id=f"{file}:{column.name}:{text or 'empty'}")
        for file, column in COLUMNS
        for text, value in column.samples
    ],
)
def test_a_sample_is_read(column: Column, text: str, value: Any) -> None:
    assert column.read(text) == value


@pytest.mark.parametrize(
    ("column", "text"),
    [
        pytest.param(column, text, id=f"{file}:{column.name}:{text or 'empty'}")
        for file, column in COLUMNS
        for text in column.refused
    ],
)
def test_what_is_no_value_is_refused(column: Column, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        column.read(text)


def test_every_column_says_what_it_means_and_shows_it() -> None:
    assert [column.name for _, column in COLUMNS if not (column.meaning and column.samples)] == []
