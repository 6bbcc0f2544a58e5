"""Opaque cursors for paging by key: where the last page ended, never how many rows to skip."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from accord.errors import UsageError


class CursorNotUnderstood(UsageError):
    """The cursor is not one this list gave; start again without it."""

    title = "Cursor not understood"


def encode(*place: Any) -> str:
    """A cursor from the sort key of the last row (text, numbers, None)."""
    return (
        base64.urlsafe_b64encode(json.dumps(place, default=str, separators=(",", ":")).encode()).rstrip(b"=").decode()
    )


def decode(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The sort key of a cursor, each part of the kind it must have. Raises CursorNotUnderstood."""
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or len(place) != len(kinds):
        raise CursorNotUnderstood("the cursor is not one this list gave; start again without it")
    if not all(isinstance(part, kind) and not isinstance(part, bool) for part, kind in zip(place, kinds, strict=True)):
        raise CursorNotUnderstood("the cursor is not one this list gave; start again without it")
    return tuple(place)


def moment(text: str) -> datetime:
    """A time out of a cursor, aware. Raises CursorNotUnderstood."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise CursorNotUnderstood("the cursor is not one this list gave; start again without it")
    return at


def number(text: str) -> Decimal:
    """A finite number out of a cursor. Raises CursorNotUnderstood."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not -30 < found.adjusted() < 30:
        raise CursorNotUnderstood("the cursor is not one this list gave; start again without it")
    return found


def day(text: str) -> date:
    """A day out of a cursor. Raises CursorNotUnderstood."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CursorNotUnderstood("the cursor is not one this list gave; start again without it") from error
