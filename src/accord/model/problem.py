"""One thing a person has to correct."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Where, what is wrong, and the cure. `code` is for machines and clusters, `message` for people."""

    code: str
    message: str
    field: str = ""
    cure: str = ""
