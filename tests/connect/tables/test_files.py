"""Encodings shown by bytes, rows with their lines, and files that end in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.connect.tables.delimited import delimited_rows, ends_whole
from accord.connect.tables.encoding import Encoding, encoding_of
from accord.connect.tables.failures import FileNotTaken, FileTruncated, NotDecodable

LINES = "Person;Stunden\r\nJörg Müßig \u2013 Büro;7,5\r\n"


@pytest.mark.parametrize(
    ("as_written", "found"),
    [
        ("utf-8", Encoding("utf-8", "utf-8")),
        ("utf-8-sig", Encoding("utf-8-sig", "mark")),
        ("utf-16", Encoding("utf-16", "mark")),
        ("utf-16-le", Encoding("utf-16-le", "zeros")),
        ("utf-16-be", Encoding("utf-16-be", "zeros")),
        ("windows-1252", Encoding("windows-1252", "fallback")),
    ],
)
def test_an_encoding_is_shown_by_the_bytes_or_declared(tmp_path: Path, as_written: str, found: Encoding) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes(LINES.encode(as_written))
    assert encoding_of(path) == found
    rows = list(delimited_rows(path, found.name, ";"))
    assert rows == [(1, ["Person", "Stunden"]), (2, ["Jörg Müßig \u2013 Büro", "7,5"])]


def test_plain_ascii_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes(b"a,b\n1,2\n")
    assert encoding_of(path) == Encoding("utf-8", "ascii")


def test_what_is_declared_must_hold_and_a_mark_goes_before_it(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes("Jörg".encode("windows-1252"))
    with pytest.raises(NotDecodable, match=r"time.csv is no text in utf-8 \(declared\)"):
        encoding_of(path, declared="utf-8")
    path.write_bytes("Jörg".encode("utf-8-sig"))
    assert encoding_of(path, declared="windows-1252").shown_by == "mark"


def test_a_byte_that_the_fallback_does_not_have_is_named(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes(b"J\xf6rg \x81")
    with pytest.raises(NotDecodable, match="fallback"):
        encoding_of(path)


def test_a_letter_across_two_pieces_of_the_file_is_one_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.connect.tables.encoding.CHUNK", 3)
    path = tmp_path / "time.csv"
    path.write_bytes("aaöö€€".encode())
    assert encoding_of(path) == Encoding("utf-8", "utf-8")


def test_lines_are_those_an_editor_shows(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes(b'a,b\r\n"two\r\nlines",1\r\n\r\n"x ""y""",2\r\n')
    assert list(delimited_rows(path, "utf-8", ",")) == [
        (1, ["a", "b"]),
        (2, ["two\r\nlines", "1"]),
        (5, ['x "y"', "2"]),
    ]


def test_a_quote_that_never_closes_is_a_cut_off_file(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes(b'a,b\n1,"never closed\n2,3\n')
    with pytest.raises(FileTruncated, match="line 2"):
        list(delimited_rows(path, "utf-8", ","))
    path.write_bytes(b'a,b\n1,"never closed ' + b"x" * 200_000)
    with pytest.raises(FileTruncated, match="line 2"):
        list(delimited_rows(path, "utf-8", ","))
    path.write_bytes(b'a,b\n1,"closed" and more\n')
    with pytest.raises(FileNotTaken, match="line 2 is not delimited"):
        list(delimited_rows(path, "utf-8", ","))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "windows-1252"])
def test_a_last_line_without_an_end_is_seen(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "time.csv"
    path.write_bytes("a,b\n1,2\n".encode(encoding))
    assert ends_whole(path, encoding)
    path.write_bytes("a,b\n1,2".encode(encoding))
    assert not ends_whole(path, encoding)
