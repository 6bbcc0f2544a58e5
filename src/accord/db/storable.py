"""JSON from outside that can be kept as it is: what PostgreSQL or our own writer cannot hold is refused at the edge."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

import psycopg
from psycopg import errors
from pydantic import AfterValidator

# Facts are nested three or four deep; orjson writes at most 254 levels and PostgreSQL's own limit is its stack.
DEEPEST = 32
LARGEST = 2**63 - 1  # what fits a bigint, and what every reader of JSON reads exactly
# PostgreSQL keeps no NUL in text, and a lone surrogate is no text in any encoding.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REFUSED = "a text contains a character that cannot be kept (NUL, or half of a pair)"


def _values(value: Any) -> Iterator[Any]:
    """Every name and every plain value inside. Raises ValueError for what is nested too deep."""
    around = [(value, 0)]
    while around:
        each, depth = around.pop()
        if depth > DEEPEST:
            raise ValueError(f"is nested more than {DEEPEST} deep")
        if isinstance(each, dict):
            yield from each
            around.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            around.extend((inner, depth + 1) for inner in each)
        else:
            yield each


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    for each in _values(value):
        if isinstance(each, str) and _UNSTORABLE.search(each):
            raise ValueError(REFUSED)
        if isinstance(each, int) and abs(each) > LARGEST:
            raise ValueError(f"holds a whole number beyond {LARGEST}; write it as text")
        if isinstance(each, float) and not math.isfinite(each):
            raise ValueError("holds a number that is not finite")
    return value


StorableObject = Annotated[dict[str, Any], AfterValidator(_storable)]
"""A JSON object that can be kept: at most 32 deep, whole numbers of 64 bits, finite numbers, text without NUL."""


def _plain(value: str) -> str:
    if _UNSTORABLE.search(value):
        raise ValueError(REFUSED)
    return value


StorableText = Annotated[str, AfterValidator(_plain)]
"""Text that can be kept: no NUL, no half of a pair."""


def is_unstorable_text(error: Exception) -> bool:
    """Whether a statement failed because a text given from outside cannot be kept; any other DataError is a defect."""
    if isinstance(error, UnicodeEncodeError):
        return True
    # Without a state it was psycopg itself that refused to send the text.
    known = (errors.UntranslatableCharacter, errors.CharacterNotInRepertoire)
    return isinstance(error, psycopg.DataError) and (error.sqlstate is None or isinstance(error, known))
