"""What a person does to a story that stands still: retry, skip, supply, answer, cancel.

Each runs inside the caller's transaction and only writes what the driver reads when it claims the story again.
Effects are
locked before stories, as a worker's turn does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.engine import statements
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound

# Refused and dead effects of a story are asked for again when its story still asks for them.
ASK_AGAIN = "UPDATE effect SET state = 8 WHERE process_id = %(process)s AND state IN (3, 7)"
# A story in some worker's memory is poked: it is claimed anew as soon as that worker lets go.
MAKE_READY = """
UPDATE open_process SET state = CASE WHEN state IN (2, 3) THEN 0 ELSE state END, poked = poked OR state = 1, begun =
    true
WHERE process_id = %(process)s
"""
SETTLE = """
UPDATE effect SET state = 6, outcome = %(outcome)s::jsonb, vendor_id = coalesce(%(vendor_id)s, vendor_id),
    finished_at = clock_timestamp()
WHERE id = %(effect)s AND state IN (3, 7, 8)
RETURNING process_id, connection, kind, canonical_id
"""
EFFECT_STATE = "SELECT state FROM effect WHERE id = %(effect)s"
LINK = """
INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id)
VALUES (%(connection)s, %(kind)s, %(canonical_id)s, %(vendor_id)s)
ON CONFLICT (canonical_id, kind, connection) DO UPDATE SET vendor_id = excluded.vendor_id, linked_at = now()
"""
UNLINK_OTHERS = """
DELETE FROM crosswalk WHERE connection = %(connection)s AND kind = %(kind)s AND vendor_id = %(vendor_id)s
    AND canonical_id <> %(canonical_id)s
"""
FREE_FOLLOWERS = "UPDATE waiting_effect SET after = NULL WHERE after = %(effect)s"
READY_ADOPTERS = """
UPDATE open_process SET state = CASE WHEN state IN (2, 3) THEN 0 ELSE state END, poked = poked OR state = 1
WHERE process_id IN (SELECT process_id FROM adopted_effect WHERE effect_id = %(effect)s) AND state IN (1, 2)
"""
JOURNAL = """
INSERT INTO journal (process_id, key, value) VALUES (%(process)s, %(key)s, %(value)s::jsonb)
ON CONFLICT (process_id, key) DO NOTHING
"""
# What a cancelled story has not sent and nobody is sending: its writes in wait, and the refused ones.
UNSENT = """
SELECT e.id FROM effect e LEFT JOIN waiting_effect w ON w.effect_id = e.id
WHERE e.process_id = %(process)s
  AND (e.state IN (3, 7, 8) OR (e.state = 1 AND w.owner IS NULL AND NOT coalesce(w.probe, false)))
ORDER BY e.id FOR UPDATE OF e
"""
# Others may wait for the same write: the first of them takes it over, with its case.
HAND_OVER = """
WITH heir AS (
    SELECT DISTINCT ON (a.effect_id) a.effect_id, a.process_id, a.story_key FROM adopted_effect a
    JOIN open_process o ON o.process_id = a.process_id
    WHERE a.effect_id = ANY(%(ids)s) AND a.process_id <> %(process)s ORDER BY a.effect_id, a.process_id
), gone AS (
    DELETE FROM adopted_effect a USING heir WHERE a.process_id = heir.process_id AND a.story_key = heir.story_key
), cases AS (
    UPDATE business_case c SET process_id = heir.process_id FROM heir WHERE c.effect_id = heir.effect_id AND c.state =
        'open'
)
UPDATE effect e SET process_id = heir.process_id, story_key = heir.story_key FROM heir WHERE e.id = heir.effect_id
RETURNING e.id
"""
GIVE_UP = """
WITH gone AS (
    UPDATE effect SET state = 5, finished_at = clock_timestamp() WHERE id = ANY(%(ids)s) RETURNING id
), unqueued AS (
    DELETE FROM waiting_effect w USING gone WHERE w.effect_id = gone.id
)
UPDATE waiting_effect w SET after = NULL FROM gone WHERE w.after = gone.id
"""
NOTIFY = "SELECT pg_notify('accord_ready', '')"


async def retry(connection: Connection, process_id: int) -> None:
    """Try again: what the story read is read anew, and refused writes that it still asks for are sent again.

    Raises NotFound when the story is not open.
    """
    about = {"process": process_id}
    await connection.execute(ASK_AGAIN, about)
    await connection.execute(statements.FORGET_READINGS, about)
    await _ready(connection, process_id)


async def skip(connection: Connection, effect_id: int, reason: str, by: str) -> None:
    """A refused write is not needed: the story goes on with an outcome that says so. Raises NotFound, Conflict."""
    outcome: dict[str, Any] = {"vendor_id": None, "details": {}, "skipped": f"{by}: {reason}"}
    await _settle(connection, effect_id, outcome, None)


async def supply(connection: Connection, effect_id: int, vendor_id: str, details: Mapping[str, Any], by: str) -> None:
    """A refused write was done by hand; `vendor_id` is what the vendor calls the object. Raises NotFound, Conflict."""
    outcome = {"vendor_id": vendor_id, "details": dict(details), "supplied": by}
    await _settle(connection, effect_id, outcome, vendor_id)


async def answer(connection: Connection, process_id: int, key: str, value: Any, by: str) -> None:  # noqa: ARG001
    """Answer a decision with one of its options, or waive a requirement (None). `by` is in the caller's audit entry.

    Raises NotFound, and Conflict when it was answered before.
    """
    about = {"process": process_id, "key": key, "value": as_json(value)}
    if (await connection.execute(JOURNAL, about)).rowcount != 1:
        raise Conflict(f"{key!r} of process {process_id} was answered before")
    await _ready(connection, process_id)


async def cancel(connection: Connection, process_id: int, reason: str, by: str) -> None:
    """End the story: what it has not sent is given up, what is under way is awaited, what it did is taken back, the
    last
    first. Raises NotFound, and Conflict when it was cancelled before."""
    cursor = await connection.execute(UNSENT, {"process": process_id})
    ids = [row[0] for row in await cursor.fetchall()]
    if ids:
        cursor = await connection.execute(HAND_OVER, {"ids": ids, "process": process_id})
        inherited = {row[0] for row in await cursor.fetchall()}
        await connection.execute(GIVE_UP, {"ids": [id for id in ids if id not in inherited]})
    about = {"process": process_id, "key": "cancel", "value": as_json({"reason": reason, "by": by})}
    if (await connection.execute(JOURNAL, about)).rowcount != 1:
        raise Conflict(f"process {process_id} was cancelled before")
    await _ready(connection, process_id)


async def _settle(connection: Connection, effect_id: int, outcome: dict[str, Any], vendor_id: str | None) -> None:
    about = {"effect": effect_id, "outcome": as_json(outcome), "vendor_id": vendor_id}
    row = await (await connection.execute(SETTLE, about)).fetchone()
    if row is None:
        found = await (await connection.execute(EFFECT_STATE, about)).fetchone()
        if found is None:
            raise NotFound(f"there is no effect {effect_id}")
        raise Conflict(f"effect {effect_id} was not refused, so there is nothing to settle by hand")
    if vendor_id is not None:
        link = {"connection": row[1], "kind": row[2], "canonical_id": row[3], "vendor_id": vendor_id}
        await connection.execute(UNLINK_OTHERS, link)
        await connection.execute(LINK, link)
    await connection.execute(FREE_FOLLOWERS, about)
    await connection.execute(READY_ADOPTERS, about)
    await _ready(connection, row[0])


async def _ready(connection: Connection, process_id: int) -> None:
    if (await connection.execute(MAKE_READY, {"process": process_id})).rowcount != 1:
        raise NotFound(f"process {process_id} is not open")
    await connection.execute(NOTIFY)
