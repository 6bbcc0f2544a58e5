"""Writing intent: decides, for each effect a story asks for, whether it is new, a repeat, an update, or a conflict.

The rule is in `decide` and pure; `write_intents` applies it in one statement for new objects, a few more where there
is a history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from accord.engine import statements
from accord.engine.shell import Connection
from accord.engine.states import EffectState
from accord.engine.turn import Row

Room = Callable[[str, str, str, int], int]
_SENDING, _WAITING = int(EffectState.SENDING), int(EffectState.WAITING)


@dataclass(slots=True)
class Intended:
    """What became of the intents: to be sent now, outcomes known already, waiting behind others, refused, or left for
    the
    next turn because another worker is at their object."""

    send: list[Row] = field(default_factory=list)
    known: list[tuple[Row, dict[str, Any]]] = field(default_factory=list)
    queued: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str]] = field(default_factory=list)
    postponed: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """`new` (with its generation), `known`, `adopt`, `supersede`, `behind` or `refuse`, relative to effect `other`;
    `after` is the effect it has to wait for."""

    what: str
    generation: int = 1
    other: Row | None = None
    why: str = ""
    after: int | None = None


def decide(row: Row, history: list[Row]) -> Decision:
    """What to do with an intent, given the object's newest effect and its effects done once (oldest first)."""
    if row["version"] == "once":
        before = [each for each in history if each["verb"] == row["verb"] and each["version"] == "once"]
        if before:
            return _repeat_once(row, before[-1])
    if not history:
        return Decision("new")
    newest = max(history, key=lambda each: each["generation"])
    generation = newest["generation"] + 1
    state = EffectState(newest["state"])
    if newest["verb"] == row["verb"] and newest["version"] == row["version"] and state is not EffectState.SUPERSEDED:
        return _repeat(newest)
    if (
        state is EffectState.WAITING
        and newest["verb"] == row["verb"]
        and "once" not in (newest["version"], row["version"])
        and not (newest["attempts"] or newest["held"] or newest["probe"])
    ):
        return Decision("supersede", generation, newest, after=newest["after"])
    if state in (EffectState.SENDING, EffectState.WAITING, EffectState.UNKNOWN):
        return Decision("behind", generation, newest, after=newest["id"])
    return Decision("new", generation)


def _repeat(newest: Row) -> Decision:
    return Decision(
        "known" if newest["state"] in (EffectState.COMMITTED, EffectState.SKIPPED) else "adopt", other=newest
    )


def _repeat_once(row: Row, before: Row) -> Decision:
    if before["body"] != row["body"]:
        why = f"{row['label']}: this was asked for before with other content and is done only once"
        return Decision("refuse", other=before, why=why)
    return _repeat(before)


def as_json(rows: Any) -> str:
    """Rows as one statement parameter; amounts travel as text and are parsed by PostgreSQL as numeric."""
    return orjson.dumps(rows, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


async def write_intents(connection: Connection, rows: list[Row], room: Room) -> Intended:
    """Write the intents inside the caller's transaction, once in it. `room(connection, kind, verb, priority)` says
    how many
    may be sent now; the rest is written as waiting."""
    result = Intended()
    first, again = _split_same_object(rows)
    _take_room(first, room)
    if await _write(connection, first) != len(first):
        cursor = await connection.execute(statements.WHICH_EXIST, {"ids": [row["id"] for row in first]})
        written = {found[0] for found in await cursor.fetchall()}
        again += [row for row in first if row["id"] not in written]
        first = [row for row in first if row["id"] in written]
    for row in first:
        (result.send if row["state"] == EffectState.SENDING else result.queued).append(row)
    await _queue(connection, result)
    if again:
        await _write_again(connection, again, result)
    return result


async def _write(connection: Connection, rows: list[Row]) -> int:
    """How many of the rows are new."""
    if not rows:
        return 0
    cursor = await connection.execute(statements.INTEND, statements.INTENDED.of(rows), prepare=True)
    found = await cursor.fetchone()
    return int(found[0]) if found else 0


def _split_same_object(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """In the order in which every worker writes objects: two that write the same ones wait, and never for each
    other.
    """
    first: dict[tuple[str, str, str], Row] = {}
    again = []
    for row in sorted(rows, key=lambda each: (each["canonical_id"], each["kind"], each["connection"], each["id"])):
        about = (row["canonical_id"], row["kind"], row["connection"])
        if about in first:
            again.append(row)
        else:
            first[about] = row
    return list(first.values()), again


def _take_room(rows: list[Row], room: Room) -> None:
    """The most urgent first; what one lane takes of a connection's room the others do not get."""
    rooms: dict[tuple[str, str, str, int], int] = {}
    taken: Counter[str] = Counter()
    for row in sorted(rows, key=lambda each: (each["priority"], each["id"])):
        connection = row["connection"]
        lane = (connection, row["kind"], row["verb"], row["priority"])
        if lane not in rooms:
            rooms[lane] = room(*lane)
        row["state"] = _SENDING if taken[connection] < rooms[lane] else _WAITING
        taken[connection] += row["state"] == _SENDING


async def _write_again(connection: Connection, rows: list[Row], result: Intended) -> None:
    """Objects with a history, each of several writes of one object in a round of its own."""
    while rows:
        about = {(row["connection"], row["kind"], row["canonical_id"]) for row in rows}
        found = await _locked_history(connection, about)
        later, decided = [], []
        for row in rows:
            key = (row["connection"], row["kind"], row["canonical_id"])
            history = found.get(key)
            if history is None:
                result.postponed.append(row)
            elif key in about:
                about.discard(key)
                decided.append((row, decide(row, history)))
            else:
                later.append(row)
        await _carry_out(connection, decided, result)
        # Before the next round, which has to see behind what this round's writes wait.
        await _queue(connection, result)
        rows = later


async def _locked_history(
    connection: Connection, about: set[tuple[str, str, str]]
) -> dict[tuple[str, str, str], list[Row]]:
    """The history of each object, locked so that none of it settles meanwhile; objects another worker is at are left
    out.
    """
    objects = [{"connection": name, "kind": kind, "canonical_id": id} for name, kind, id in sorted(about)]
    ids = {id for each in await _history(connection, objects) for id in (each["id"], each["after"]) if id is not None}
    cursor = await connection.execute(statements.LOCK_EFFECTS, {"ids": sorted(ids)})
    locked = {row[0] for row in await cursor.fetchall()}
    found: dict[tuple[str, str, str], list[Row]] = {}
    busy = set()
    for each in await _history(connection, objects):
        key = (each["connection"], each["kind"], each["canonical_id"])
        found.setdefault(key, []).append(each)
        if each["id"] not in locked or (each["after"] is not None and each["after"] not in locked):
            busy.add(key)
    return {key: history for key, history in found.items() if key not in busy}


async def _history(connection: Connection, objects: list[dict[str, Any]]) -> list[Row]:
    cursor = await connection.execute(statements.EFFECT_HISTORY, {"rows": as_json(objects)}, prepare=True)
    rows = await cursor.fetchall()
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


async def _carry_out(connection: Connection, decided: list[tuple[Row, Decision]], result: Intended) -> None:
    insert: list[tuple[Row, Decision]] = []
    adopt: list[tuple[Row, Row]] = []
    for row, decision in decided:
        if decision.what == "refuse":
            result.refused.append((row, decision.why))
        elif decision.what in ("known", "adopt") and decision.other is not None:
            adopt.append((row, decision.other))
            if decision.what == "known":
                result.known.append((row, decision.other["outcome"]))
        else:
            row["generation"] = decision.generation
            if decision.what != "new" or row["state"] != _SENDING:
                row["state"] = _WAITING
            insert.append((row, decision))
    await _insert(connection, insert, result)
    await _adopt(connection, adopt)


async def _insert(connection: Connection, insert: list[tuple[Row, Decision]], result: Intended) -> None:
    if not insert:
        return
    rows = [row for row, _ in insert]
    if await _write(connection, rows) != len(rows):
        raise RuntimeError("an object was written while its history was locked")
    pairs = []
    shared = set()
    for row, decision in insert:
        if decision.after is not None:
            row["after"] = decision.after
            shared.add(decision.after)
        if decision.what == "supersede" and decision.other is not None:
            pairs.append({"old": decision.other["id"], "new": row["id"]})
            shared.add(row["id"])
        (result.send if row["state"] == _SENDING else result.queued).append(row)
    if pairs:
        await connection.execute(statements.SUPERSEDE, {"rows": as_json(pairs)})
    if shared:
        await connection.execute(statements.SHARE_EFFECTS, {"ids": sorted(shared)})


async def _adopt(connection: Connection, pairs: list[tuple[Row, Row]]) -> None:
    if not pairs:
        return
    rows = [
        {"effect_id": other["id"], "process_id": row["process_id"], "story_key": row["story_key"]}
        for row, other in pairs
    ]
    await connection.execute(statements.ADOPT, {"rows": as_json(rows)})
    await connection.execute(statements.SHARE_EFFECTS, {"ids": sorted({each["effect_id"] for each in rows})})


async def _queue(connection: Connection, result: Intended) -> None:
    rows, result.queued = result.queued, []
    if not rows:
        return
    waiting = [
        {
            "id": row["id"],
            "connection": row["connection"],
            "kind": row["kind"],
            "verb": row["verb"],
            "priority": row["priority"],
            "delay": 0,
            "probe": False,
            "after": row.get("after"),
            "reason": "an earlier write of the same object" if row.get("after") else "no budget free",
        }
        for row in rows
    ]
    await connection.execute(statements.ENTER_WAITING, statements.WAITING.of(waiting), prepare=True)
