"""Which encoding a text file has: shown by its bytes where they show it, else as declared. Never by statistics."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accord.connect.tables.failures import NotDecodable

CHUNK = 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` as Python knows it; `shown_by` is what says so: mark (byte order mark), zeros (every second byte is one),
    ascii, utf-8 (all of it is valid UTF-8, which other text practically never is), declared, or fallback."""

    name: str
    shown_by: str


def encoding_of(path: Path, *, declared: str | None = None, fallback: str = "windows-1252") -> Encoding:
    """The encoding of a file, read through once in pieces.

    A byte order mark goes before what is declared. Bytes of one 8-bit encoding are text in nearly every other, so that
    beside UTF nothing can be detected: `fallback` is what the source is known to write. Raises NotDecodable.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _checked(path, Encoding(name, "mark"))
    if declared is not None:
        return _checked(path, Encoding(declared, "declared"))
    if (wide := _zeros(head)) is not None:
        return _checked(path, Encoding(wide, "zeros"))
    utf8 = _tried(path, "utf-8")
    if utf8 is None:
        return Encoding("utf-8", "ascii" if _is_ascii(path) else "utf-8")
    return _checked(path, Encoding(fallback, "fallback"))


def _zeros(head: bytes) -> str | None:
    """UTF-16 without a mark: in Western text nearly every second byte is zero."""
    if len(head) < 4 or 0 not in head:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.4 and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd == 0 else None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _is_ascii(path: Path) -> bool:
    return all(piece.isascii() for piece in _pieces(path))


def _tried(path: Path, name: str) -> UnicodeError | None:
    decoder = codecs.getincrementaldecoder(name)("strict")
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        return error
    return None


def _checked(path: Path, encoding: Encoding) -> Encoding:
    wrong = _tried(path, encoding.name)
    if wrong is not None:
        raise NotDecodable(
            f"{path.name} is no text in {encoding.name} ({encoding.shown_by}): {wrong}. Declare its encoding in the "
            "mapping, or have it sent again."
        )
    return encoding
