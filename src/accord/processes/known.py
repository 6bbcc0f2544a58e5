"""Reading what may not be there, for stories that have an answer to that."""

from __future__ import annotations

from typing import TypeVar

from accord.engine.story import Read

T = TypeVar("T")


def known(kind: str, id: str, cls: type[T], name: str = "") -> Read[T | None]:
    """What we know of one canonical object now; None when we know nothing. A plain `Read` must find it."""
    return Read(kind, id, cls, name)
