"""What manifests in a drop say of its files: checksums, sizes, counts, and which file one corrects. Pure.

Read are `NAME.sha256` and `NAME.md5`, lists as sha256sum writes them (`SHA256SUMS`, `MD5SUMS`), and JSON documents
called `manifest.json` or `NAME.manifest.json`: `{"files": [{"name", "sha256", "size", "rows", "hours", "replaces"}]}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Algorithm = Literal["sha256", "md5"]

_SUMS = re.compile(r"(sha256|md5)sums(?:\.txt)?", re.IGNORECASE)
_LINE = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{64})(?:\s+\*?(.+))?")
_LENGTHS: Mapping[Algorithm, int] = {"sha256": 64, "md5": 32}
# A manifest is a few lines a file; what is longer is none.
LONGEST_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Expected:
    """What is announced of one file. `checksum` is (algorithm, lower-case hexadecimal)."""

    checksum: tuple[Algorithm, str] | None = None
    size: int | None = None
    rows: int | None = None
    hours: Decimal | None = None
    replaces: str | None = None


class ManifestUnreadable(ValueError):
    """A manifest cannot be understood; the message says which and why."""


def is_manifest(name: str) -> bool:
    """Whether a file tells of others."""
    low = name.lower()
    return low.endswith((".sha256", ".md5", "manifest.json")) or _SUMS.fullmatch(low) is not None


def read_manifest(name: str, content: bytes) -> dict[str, Expected]:
    """What one manifest says, by file name. Raises ManifestUnreadable: it may be half written, so look again later."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ManifestUnreadable(f"{name} is no UTF-8 text") from None
    low = name.lower()
    if low.endswith("manifest.json"):
        return _document(name, text)
    algorithm: Algorithm = "md5" if low.startswith("md5") or low.endswith(".md5") else "sha256"
    return _sums(name, text, algorithm, single=_SUMS.fullmatch(low) is None)


def together(manifests: Mapping[str, Mapping[str, Expected]]) -> dict[str, Expected]:
    """What all manifests say of each file: one may tell the checksum and another the rows. Raises ManifestUnreadable
    when two contradict each other."""
    found: dict[str, Expected] = {}
    for name in sorted(manifests):
        for file, told in manifests[name].items():
            before = found.setdefault(file, told)
            for field in Expected.__slots__:
                mine, other = getattr(before, field), getattr(told, field)
                if mine is not None and other is not None and mine != other and not _two_sums(mine, other):
                    raise ManifestUnreadable(f"{name} says another {field} of {file} than another manifest")
                if mine is None and other is not None:
                    before = replace(before, **{field: other})
            found[file] = before
    return found


def _two_sums(mine: Any, other: Any) -> bool:
    """Sums of two algorithms do not contradict each other; the first is checked."""
    return isinstance(mine, tuple) and mine[0] != other[0]


def _sums(name: str, text: str, algorithm: Algorithm, *, single: bool) -> dict[str, Expected]:
    found: dict[str, Expected] = {}
    for line in filter(None, (each.strip() for each in text.splitlines())):
        match = _LINE.fullmatch(line)
        # The file beside it is meant, whatever its name was when the sum was made.
        file = name.rsplit(".", 1)[0] if single else (match[2] if match else None)
        if match is None or not file or len(match[1]) != _LENGTHS[algorithm]:
            raise ManifestUnreadable(f"{name} has a line that is no {algorithm} sum")
        found[file.strip()] = Expected(checksum=(algorithm, match[1].lower()))
    if not found:
        raise ManifestUnreadable(f"{name} is empty")
    return found


def _document(name: str, text: str) -> dict[str, Expected]:
    try:
        files = json.loads(text, parse_float=Decimal)["files"]
        return {str(each["name"]): _expected(each) for each in files}
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise ManifestUnreadable(f"{name} is no manifest: {type(error).__name__} {error}") from None


def _expected(told: Mapping[str, Any]) -> Expected:
    checksum: tuple[Algorithm, str] | None = None
    for algorithm, length in _LENGTHS.items():
        if algorithm in told and checksum is None:
            given = str(told[algorithm]).lower()
            if not re.fullmatch(f"[0-9a-f]{{{length}}}", given):
                raise ValueError(f"{given!r} is no {algorithm} sum")
            checksum = (algorithm, given)
    return Expected(
        checksum=checksum,
        size=None if told.get("size") is None else int(told["size"]),
        rows=None if told.get("rows") is None else int(told["rows"]),
        hours=None if told.get("hours") is None else Decimal(str(told["hours"])),
        replaces=None if told.get("replaces") is None else str(told["replaces"]),
    )
