"""Which tables a statement writes, told from its text: what nobody wrote since it was looked at is as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# `FOR UPDATE` and `DO UPDATE` name no table.
WRITING = re.compile(r"\b(?:INSERT\s+INTO|(?<!FOR )(?<!DO )UPDATE|DELETE\s+FROM|COPY)\s+(\w+)", re.IGNORECASE)
NOTICE = "a notice"
FUNCTIONS = {"ledger_move": ("item_part", "transfer"), "pg_notify": (NOTICE,)}
# A claim tells every story it takes: one that tells none has written nothing.
CLAIM = "SELECT id, name, version, correlation, trigger, begun FROM story"
# What only says that somebody lives or counts, which no promise is about.
VITAL = frozenset(("worker_heartbeat", "budget", "budget_share", "vendor_call"))


@dataclass(frozen=True, slots=True)
class Writes:
    """The tables, and whether the statement's own count of rows says whether it wrote at all."""

    tables: frozenset[str]
    counted: bool


@lru_cache(maxsize=2000)
def writes_of(text: str) -> Writes:
    named = WRITING.findall(text)
    called = [table for name, tables in FUNCTIONS.items() if f"{name}(" in text for table in tables]
    if text.startswith("NOTIFY "):
        called.append(NOTICE)
    own = text.split(None, 1)[0].upper() if text.strip() else ""
    alone = not called and len(named) == 1 and own in ("INSERT", "UPDATE", "DELETE", "WITH")
    counted = alone or CLAIM in text
    return Writes(frozenset((*named, *called)) - VITAL, counted)
