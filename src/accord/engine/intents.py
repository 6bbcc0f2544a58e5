"""Writing intent: decides, for each effect a story asks for, whether it is new, a repeat, an update, or a conflict.

The rule is in `decide` and pure; `write_intents` applies it in two or four statements for any number of effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from accord.engine import statements
from accord.engine.shell import Connection
from accord.engine.states import EffectState
from accord.engine.turn import Row

_ROUNDS = 5  # each lost race means another worker wrote the same object meanwhile


@dataclass(slots=True)
class Intended:
    """What became of the intents: to be sent now, outcomes known already, waiting behind others, or refused."""

    send: list[Row] = field(default_factory=list)
    known: list[tuple[Row, dict[str, Any]]] = field(default_factory=list)
    adopted: list[Row] = field(default_factory=list)
    queued: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """`new` (with its generation), `known`, `adopt`, `supersede`, `after` or `refuse`, relative to effect `other`."""

    what: str
    generation: int = 1
    other: Row | None = None
    why: str = ""


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
    if state is EffectState.WAITING and newest["verb"] == row["verb"] and not newest["attempts"] and not newest["held"]:
        return Decision("supersede", generation, newest)
    if state in (EffectState.SENDING, EffectState.WAITING, EffectState.UNKNOWN):
        return Decision("after", generation, newest)
    return Decision("new", generation)


def _repeat(newest: Row) -> Decision:
    return Decision("known" if newest["state"] in (EffectState.COMMITTED, EffectState.SKIPPED) else "adopt", other=newest)


def _repeat_once(row: Row, before: Row) -> Decision:
    if before["body"] != row["body"]:
        why = f"{row['label']}: this was asked for before with other content and is done only once"
        return Decision("refuse", other=before, why=why)
    return _repeat(before)


def as_json(rows: Any) -> str:
    """Rows as one statement parameter; amounts travel as text and are parsed by PostgreSQL as numeric."""
    return orjson.dumps(rows, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


async def write_intents(connection: Connection, rows: list[Row], room: Any) -> Intended:
    """Write the intents inside the caller's transaction. `room(connection, kind, verb)` says how many may be sent now;
    the rest is written as waiting."""
    result = Intended()
    first, again = _split_same_object(rows)
    _take_room(first, room)
    cursor = await connection.execute(statements.INTEND_FIRST, {"rows": as_json(first)}, prepare=True)
    written = {found[0] for found in await cursor.fetchall()} if first else set()
    for row in first:
        if row["id"] in written:
            (result.send if row["state"] == EffectState.SENDING else result.queued).append(row)
        else:
            again.append(row)
    if again:
        await _write_again(connection, again, result)
    await _queue(connection, result.queued)
    return result


def _split_same_object(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    first: dict[tuple[str, str, str], Row] = {}
    again = []
    for row in sorted(rows, key=lambda each: (each["canonical_id"], each["kind"], each["connection"], each["id"])):
        about = (row["canonical_id"], row["kind"], row["connection"])
        if about in first:
            again.append(row)
        else:
            first[about] = row
    return list(first.values()), again


def _take_room(rows: list[Row], room: Any) -> None:
    left: dict[tuple[str, str, str], int] = {}
    for row in sorted(rows, key=lambda each: (each["priority"], each["id"])):
        lane = (row["connection"], row["kind"], row["verb"])
        if lane not in left:
            left[lane] = room(*lane)
        row["state"] = EffectState.SENDING if left[lane] > 0 else EffectState.WAITING
        left[lane] -= 1


async def _write_again(connection: Connection, rows: list[Row], result: Intended) -> None:
    """Objects with a history. A lost race (another worker wrote the object meanwhile) is looked at again."""
    for _ in range(_ROUNDS):
        rows = await _write_round(connection, rows, result)
        if not rows:
            return
    raise RuntimeError(f"{len(rows)} effects lost {_ROUNDS} races for their objects")


async def _write_round(connection: Connection, rows: list[Row], result: Intended) -> list[Row]:
    objects = [{"connection": row["connection"], "kind": row["kind"], "canonical_id": row["canonical_id"]} for row in rows]
    unique = list({tuple(each.values()): each for each in objects}.values())
    found = await _history(connection, unique)
    await connection.execute(statements.LOCK_EFFECTS, {"ids": sorted({each["id"] for each in found})})
    found = await _history(connection, unique)
    by_object: dict[tuple[str, str, str], list[Row]] = {}
    for each in found:
        by_object.setdefault((each["connection"], each["kind"], each["canonical_id"]), []).append(each)
    later: list[Row] = []
    taken: set[tuple[str, str, str]] = set()
    insert: list[tuple[Row, Decision]] = []
    adopt: list[tuple[Row, Row]] = []
    for row in rows:
        about = (row["connection"], row["kind"], row["canonical_id"])
        if about in taken:
            later.append(row)
            continue
        decision = decide(row, by_object.get(about, []))
        if decision.what == "known" and decision.other is not None:
            result.known.append((row, decision.other["outcome"]))
            adopt.append((row, decision.other))
        elif decision.what == "adopt" and decision.other is not None:
            adopt.append((row, decision.other))
            result.adopted.append(row)
        elif decision.what == "refuse":
            result.refused.append((row, decision.why))
        else:
            taken.add(about)
            row["generation"] = decision.generation
            if decision.what != "new" or row["state"] != EffectState.SENDING:
                row["state"] = EffectState.WAITING
            insert.append((row, decision))
    later += await _insert(connection, insert, result)
    await _adopt(connection, adopt)
    return later


async def _history(connection: Connection, objects: list[dict[str, Any]]) -> list[Row]:
    cursor = await connection.execute(statements.EFFECT_HISTORY, {"rows": as_json(objects)}, prepare=True)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def _insert(connection: Connection, insert: list[tuple[Row, Decision]], result: Intended) -> list[Row]:
    if not insert:
        return []
    cursor = await connection.execute(statements.INTEND_NEXT, {"rows": as_json([row for row, _ in insert])}, prepare=True)
    written = {found[0] for found in await cursor.fetchall()}
    lost = [row for row, _ in insert if row["id"] not in written]
    pairs = []
    shared = []
    for row, decision in insert:
        if row["id"] not in written:
            continue
        if decision.what == "after" and decision.other is not None:
            row["after"] = decision.other["id"]
            shared.append(decision.other["id"])
        elif decision.what == "supersede" and decision.other is not None:
            pairs.append({"old": decision.other["id"], "new": row["id"]})
        (result.send if row["state"] == EffectState.SENDING else result.queued).append(row)
    if pairs:
        await connection.execute(statements.SUPERSEDE, {"rows": as_json(pairs)})
        await connection.execute(statements.SHARE_EFFECTS, {"ids": [pair["new"] for pair in pairs]})
    if shared:
        await connection.execute(statements.SHARE_EFFECTS, {"ids": shared})
    return lost


async def _adopt(connection: Connection, pairs: list[tuple[Row, Row]]) -> None:
    if not pairs:
        return
    rows = [
        {"effect_id": other["id"], "process_id": row["process_id"], "story_key": row["story_key"]} for row, other in pairs
    ]
    await connection.execute(statements.ADOPT, {"rows": as_json(rows)})
    await connection.execute(statements.SHARE_EFFECTS, {"ids": sorted({each["effect_id"] for each in rows})})


async def _queue(connection: Connection, rows: list[Row]) -> None:
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
    await connection.execute(statements.ENTER_WAITING, {"rows": as_json(waiting)}, prepare=True)
