"""The reference: the same flow as a loop written by hand, one transaction for a batch, on the same PostgreSQL.

It carries and writes the same facts (a row a flow, an intent and an outcome an effect, seven events a flow) and
knows nothing else: no journal, no fences, no order, no cases, no repeats.
`python -m bench.handwritten URL BATCH` is one worker of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import orjson
import psycopg

from bench import cpu
from bench.engine import cost

NAME = "a thing of the bench"
SCHEMA = """
CREATE TABLE flow (id bigint PRIMARY KEY, state smallint NOT NULL DEFAULT 0, result text) WITH (fillfactor = 60);
CREATE INDEX flow_ready ON flow (id) WHERE state = 0;
CREATE TABLE effect (flow bigint NOT NULL, step smallint NOT NULL, key text NOT NULL UNIQUE, body jsonb NOT NULL,
    state smallint NOT NULL DEFAULT 0, outcome jsonb, PRIMARY KEY (flow, step)) WITH (fillfactor = 50);
CREATE TABLE event (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, flow bigint NOT NULL, type text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), payload jsonb NOT NULL);
CREATE INDEX event_flow ON event (flow, seq);
"""
CLAIM = """
UPDATE flow SET state = 1 WHERE id IN (SELECT id FROM flow WHERE state = 0 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id
"""
INTEND = """
INSERT INTO effect (flow, step, key, body)
SELECT x.flow, x.step, x.key, x.body
FROM json_to_recordset(%(rows)s::json) AS x (flow bigint, step smallint, key text, body jsonb)
"""
COMMIT = """
UPDATE effect e SET state = 2, outcome = x.outcome
FROM json_to_recordset(%(rows)s::json) AS x (flow bigint, step smallint, outcome jsonb)
WHERE e.flow = x.flow AND e.step = x.step
"""
TELL = """
INSERT INTO event (flow, type, payload)
SELECT x.flow, x.type, x.payload FROM json_to_recordset(%(rows)s::json) AS x (flow bigint, type text, payload jsonb)
"""
END = "UPDATE flow SET state = 2, result = 'done' WHERE id = ANY(%(flows)s)"


def run(url: str, *, flows: int, workers: int, batch: int = 500) -> dict[str, Any]:
    """Let `workers` loops work off `flows` flows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO flow (id) SELECT generate_series(1, %s::bigint)", [flows])
        connection.execute("VACUUM ANALYZE")
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.handwritten", url, str(batch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(workers)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        started = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.flush()
        told = [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]
        seconds = time.perf_counter() - started
        done = connection.execute("SELECT count(*) FROM event").fetchone()
        assert done == (flows * 7,), done
    return {"flows_per_second": round(flows / seconds), "flows": flows, "workers": workers, **cost(told, flows)}


def work(url: str, batch: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.commit()
        print("ready", flush=True)
        sys.stdin.readline()
        before = cpu.spent([connection.info.backend_pid])
        while flows := [row[0] for row in connection.execute(CLAIM, [batch]).fetchall()]:
            tell(connection, flows, "started")
            for step in range(5):
                if step:
                    commit(connection, flows, step - 1)
                intents = [
                    {
                        "flow": flow,
                        "step": step,
                        "key": f"thing {flow} {step}",
                        "body": {"id": f"{flow}-{step}", "name": NAME},
                    }
                    for flow in flows
                ]
                connection.execute(INTEND, {"rows": orjson.dumps(intents).decode()})
                connection.commit()  # intent is durable before the (null) call
            commit(connection, flows, 4)
            tell(connection, flows, "finished")
            connection.execute(END, {"flows": flows})
            connection.commit()
        used = cpu.spent([connection.info.backend_pid]).since(before)
        print(json.dumps({"python": used.python, "postgres": used.postgres}), flush=True)


def commit(connection: Any, flows: list[int], step: int) -> None:
    """Enter what the vendor answered, one outcome an effect."""
    rows = [{"flow": flow, "step": step, "outcome": {"vendor_id": None, "details": {}}} for flow in flows]
    connection.execute(COMMIT, {"rows": orjson.dumps(rows).decode()})
    tell(connection, flows, "effect.committed")


def tell(connection: Any, flows: list[int], type: str) -> None:
    rows = [
        {"flow": flow, "type": type, "payload": {"system": "null", "what": "Put a thing", "ref": None}}
        for flow in flows
    ]
    connection.execute(TELL, {"rows": orjson.dumps(rows).decode()})


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
