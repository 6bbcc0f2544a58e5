"""Memory of a worker beside a long backlog: it holds what it works on, never the queue."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import psycopg

BACKLOG = """
WITH made AS (
    INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,
        priority, body, label)
    SELECT n, n, 'effect:' || n, 'down', 'thing', 'thing-' || n, 1, 'put', 'v', 1, 1,
        jsonb_build_object('id', 'thing-' || n, 'name', repeat('x', 400)), 'Put a thing'
    FROM generate_series(1, %(count)s::bigint) n RETURNING id
)
INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, reason)
SELECT id, 'down', 'thing', 'put', 1, true, clock_timestamp() + interval '1 hour', false, 'the vendor is down' FROM made
"""


def run(url: str, *, effects: int) -> dict[str, Any]:
    """Peak memory of a worker that runs five seconds beside this many waiting effects."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BACKLOG, {"count": effects})
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.flow", url, "null"], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    child.stdin.write(b"go\n")
    child.stdin.flush()
    time.sleep(5)
    told = json.loads(child.communicate(b"stop\n")[0].splitlines()[-1])
    return {"waiting_effects": effects, "peak_mb": told["mb"]}
