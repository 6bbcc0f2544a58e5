"""The engine's SQL, each statement named and explained. Rows that come by the thousand travel as columns
(columns.py), the
others as one JSON parameter.

Locks, in the order in which every transaction takes them, so that no two wait for each other: fence, effects with an
outcome, objects of new effects, history of objects (never waited for), records and ledger, crosswalk, stories.
Within each, by id.
"""

from __future__ import annotations

from accord.engine.columns import Columns

# The worker proves that nobody took its work away; first in every transaction that writes. The advisory lock shows the
# others which session holds the fence, should it stand still in the middle.
FENCE_LOCK = 7_302_281
HOLD_FENCE = f"""
SELECT pg_advisory_xact_lock_shared({FENCE_LOCK}, (%(worker)s %% 2147483647)::integer), hold_fence(%(worker)s)
"""

# Ready processes by business priority; of one subject only the oldest unfinished, and only versions known here. A
# transaction of its own that need not reach the disk: lost, it was never begun.
CLAIM_PROCESSES = """
WITH held AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
    FROM worker_fence WHERE worker_id = %(worker)s AND fenced_at IS NULL FOR SHARE
), next AS (
    SELECT o.process_id, o.begun FROM open_process o
    WHERE o.state = 0 AND o.name = ANY(%(names)s) AND EXISTS (SELECT FROM held) AND NOT EXISTS (
        SELECT FROM open_process earlier WHERE earlier.subject = o.subject AND earlier.process_id < o.process_id)
      AND (SELECT p.name || ' ' || p.version FROM process p WHERE p.id = o.process_id) = ANY(%(versions)s)
    ORDER BY o.priority, o.process_id LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED
), taken AS (
    UPDATE open_process o SET state = 1, owner = %(worker)s, poked = false, begun = true, wake_at = NULL
    FROM next WHERE o.process_id = next.process_id
    RETURNING o.process_id, next.begun
), story AS (
    SELECT p.id, p.name, p.version, p.correlation, p.trigger, taken.begun
    FROM taken JOIN process p ON p.id = taken.process_id
), told AS (
    INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, causation, payload)
    SELECT 'process.started', s.trigger ->> 'subject', 1, %(now)s, 'accord', s.correlation, 'process ' || s.id,
           jsonb_build_object('process', s.name, 'what', t.title)
    FROM story s JOIN unnest(%(names)s::text[], %(titles)s::text[]) AS t (name, title) ON t.name = s.name
    WHERE NOT s.begun
)
SELECT id, name, version, correlation, trigger, begun FROM story ORDER BY id
"""
# What nobody here could go on with.
OF_OTHER_VERSIONS = """
SELECT p.name, p.version, count(*) FROM open_process o JOIN process p ON p.id = o.process_id
WHERE p.name || ' ' || p.version <> ALL(%(versions)s) GROUP BY 1, 2 ORDER BY 1, 2
"""
LOAD_PROCESSES = """
SELECT p.id, p.name, p.version, p.correlation, p.trigger, true FROM process p JOIN open_process o ON o.process_id = p.id
WHERE p.id = ANY(%(ids)s) AND o.owner = %(worker)s ORDER BY p.id
"""

# What the stories already know.
LOAD_JOURNALS = """
SELECT process_id, key, value FROM journal WHERE process_id = ANY(%(ids)s)
UNION ALL
SELECT process_id, story_key, outcome FROM effect WHERE process_id = ANY(%(ids)s) AND state IN (2, 6)
UNION ALL
SELECT a.process_id, a.story_key, e.outcome FROM adopted_effect a JOIN effect e ON e.id = a.effect_id
WHERE a.process_id = ANY(%(ids)s) AND e.state IN (2, 6)
"""

# What they asked for and have no answer to: not to be asked for again. `own` is false for another story's effect.
LOAD_PENDING = """
SELECT process_id, story_key, id, state, true AS own FROM effect
WHERE process_id = ANY(%(ids)s) AND state IN (0, 1, 3, 4, 7, 8)
UNION ALL
SELECT a.process_id, a.story_key, e.id, 1, false FROM adopted_effect a JOIN effect e ON e.id = a.effect_id
WHERE a.process_id = ANY(%(ids)s) AND e.state NOT IN (2, 6)
"""
HAVE_CASES = "SELECT DISTINCT process_id FROM business_case WHERE process_id = ANY(%(ids)s) AND state = 'open'"
# The facts they wait for: the n-th since the story began answers the n-th wait. One routed before its wait was known is
# found here, because a story that has just begun to wait is claimed once more.
LOAD_WAITS = """
SELECT a.process_id, a.key, fact.payload FROM awaited_fact a JOIN process p ON p.id = a.process_id
LEFT JOIN LATERAL (
    SELECT e.payload FROM event e WHERE e.subject = a.subject AND e.type = a.type AND e.recorded_at >= p.started_at
    ORDER BY e.seq OFFSET a.nth - 1 LIMIT 1) fact ON true
WHERE a.process_id = ANY(%(ids)s)
"""
END_WAITS = """
DELETE FROM awaited_fact a USING json_to_recordset(%(rows)s::json) AS x (process_id bigint, key text)
WHERE a.process_id = x.process_id AND a.key = x.key
"""
# What a story read is read anew when it goes on.
FORGET_READINGS = """
DELETE FROM journal WHERE process_id = %(process)s
    AND (key LIKE 'read:%%' OR key LIKE 'related:%%' OR key LIKE 'policy:%%')
"""
FORGET_WAITS = "DELETE FROM awaited_fact WHERE process_id = ANY(%(ids)s)"

# Outcomes, and the fact of each that was committed. An effect that is final already stays as it is and tells nothing.
# Answers which of them somebody else waits for.
FINISHED = Columns(
    id="bigint",
    state="smallint",
    outcome="jsonb",
    vendor_id="text",
    attempts="smallint",
    sent_at="timestamptz",
    told="jsonb",
)
FINISH_EFFECTS = f"""
WITH done AS (
    UPDATE effect e SET state = x.state, outcome = x.outcome, vendor_id = coalesce(x.vendor_id, e.vendor_id),
        attempts = x.attempts, sent_at = coalesce(x.sent_at, e.sent_at), finished_at = clock_timestamp()
    FROM {FINISHED.source}
    WHERE e.id = x.id AND e.state IN (0, 1, 4)
    RETURNING e.id, e.shared, e.canonical_id, e.correlation, x.told
), told AS (
    INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, causation, payload)
    SELECT 'effect.committed', canonical_id, 1, %(now)s, 'accord', correlation, 'effect ' || id, told
    FROM done WHERE told IS NOT NULL
)
SELECT id FROM done WHERE shared
"""
ADOPTERS = "SELECT DISTINCT process_id FROM adopted_effect WHERE effect_id = ANY(%(ids)s)"

# Which vendor object a canonical object is. An id that was only derived from the vendor's object gives way.
LINKED = Columns(connection="text", kind="text", canonical_id="text", vendor_id="text")
UNLINK = f"""
DELETE FROM crosswalk c USING {LINKED.source}
WHERE c.connection = x.connection AND c.kind = x.kind AND c.vendor_id = x.vendor_id AND c.canonical_id <> x.canonical_id
"""
LINK = f"""
INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id)
SELECT x.connection, x.kind, x.canonical_id, x.vendor_id FROM {LINKED.source}
ON CONFLICT (canonical_id, kind, connection) DO UPDATE SET vendor_id = excluded.vendor_id, linked_at = now()
WHERE crosswalk.vendor_id <> excluded.vendor_id
"""

LEAVE_WAITING = "DELETE FROM waiting_effect WHERE effect_id = ANY(%(ids)s)"

# Tried without result: the effect waits for its next attempt or its probe.
DEFER_EFFECTS = """
UPDATE effect e SET state = x.state, attempts = x.attempts, sent_at = coalesce(x.sent_at, e.sent_at)
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, state smallint, attempts smallint, sent_at timestamptz)
WHERE e.id = x.id AND e.state IN (0, 1, 4)
"""
WAITING = Columns(
    id="bigint", connection="text", kind="text", verb="text", priority="smallint", delay="double precision",
    probe="boolean", after="bigint", reason="text",
)  # fmt: skip
ENTER_WAITING = f"""
INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, after, reason)
SELECT x.id, x.connection, x.kind, x.verb, x.priority, x.delay <= 0, clock_timestamp() + make_interval(secs => x.delay),
       x.probe, x.after, x.reason
FROM {WAITING.source}
ON CONFLICT (effect_id) DO UPDATE SET due = excluded.due, not_before = excluded.not_before, probe = excluded.probe,
    owner = NULL, reason = excluded.reason
"""
RECORD_ATTEMPTS = """
INSERT INTO effect_attempt (effect_id, what, outcome, reason)
SELECT x.id, x.what, x.outcome, x.reason
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, what text, outcome text, reason text)
"""

INTENDED = Columns(
    id="bigint", process_id="bigint", story_key="text", connection="text", kind="text", canonical_id="text",
    generation="integer", verb="text", version="text", state="smallint", priority="smallint", body="jsonb",
    undo="jsonb", links="text[]", correlation="text", label="text", amount="numeric", currency="text",
)  # fmt: skip
# Intent. An object's first effect is generation 1, so those with a history are not written: see intents.py.
INTEND = f"""
WITH written AS (
    INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state,
        priority, body, undo, links, correlation, label, amount, currency)
    SELECT id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state, priority, body,
        undo, links::text[], correlation, label, amount, currency
    FROM {INTENDED.source}
    ON CONFLICT (canonical_id, kind, connection, generation) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM written
"""
WHICH_EXIST = "SELECT id FROM effect WHERE id = ANY(%(ids)s)"

# The history of objects about to be written again: the newest effect, and the ones done once, by verb.
EFFECT_HISTORY = """
SELECT e.id, e.process_id, e.story_key, e.connection, e.kind, e.canonical_id, e.generation, e.verb, e.version, e.state,
       e.attempts, e.outcome, e.body, w.owner IS NOT NULL AS held, w.probe, w.after
FROM json_to_recordset(%(rows)s::json) AS x (connection text, kind text, canonical_id text)
JOIN effect e ON e.canonical_id = x.canonical_id AND e.kind = x.kind AND e.connection = x.connection
LEFT JOIN waiting_effect w ON w.effect_id = e.id
WHERE e.version = 'once' OR e.generation = (
    SELECT max(g.generation) FROM effect g
    WHERE g.canonical_id = x.canonical_id AND g.kind = x.kind AND g.connection = x.connection)
ORDER BY e.id
"""
# Never waited for: an object that another worker is at is left for the next turn.
LOCK_EFFECTS = "SELECT id FROM effect WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE SKIP LOCKED"
SHARE_EFFECTS = "UPDATE effect SET shared = true WHERE id = ANY(%(ids)s) AND NOT shared"
ADOPT = """
INSERT INTO adopted_effect (effect_id, process_id, story_key)
SELECT x.effect_id, x.process_id, x.story_key
FROM json_to_recordset(%(rows)s::json) AS x (effect_id bigint, process_id bigint, story_key text)
ON CONFLICT (process_id, story_key) DO UPDATE SET effect_id = excluded.effect_id
"""
# An unsent older version gives way: its story, and all that adopted it, now wait for the newer one.
SUPERSEDE = """
WITH pair AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (old bigint, new bigint)
), gone AS (
    UPDATE effect e SET state = 5, finished_at = clock_timestamp() FROM pair
    WHERE e.id = pair.old AND e.state IN (1, 8)
    RETURNING e.id, e.process_id, e.story_key, pair.new
), unqueued AS (
    DELETE FROM waiting_effect w USING gone WHERE w.effect_id = gone.id
), moved AS (
    UPDATE adopted_effect a SET effect_id = gone.new FROM gone WHERE a.effect_id = gone.id
)
INSERT INTO adopted_effect (effect_id, process_id, story_key) SELECT new, process_id, story_key FROM gone
"""

# Who waits for an effect that is finished now: followers in line, and processes that adopted it.
FREE_FOLLOWERS = "UPDATE waiting_effect SET after = NULL WHERE after = ANY(%(ids)s)"
LOCK_PROCESSES = "SELECT FROM open_process WHERE process_id = ANY(%(ids)s) ORDER BY process_id FOR UPDATE"
WAKE_PROCESSES = """
UPDATE open_process SET state = CASE WHEN state = 2 THEN 0 ELSE state END, poked = (state = 1)
WHERE process_id = ANY(%(ids)s) AND state IN (1, 2)
"""

WRITE_JOURNAL = """
INSERT INTO journal (process_id, key, value)
SELECT x.process_id, x.key, coalesce(x.value, 'null')
FROM json_to_recordset(%(rows)s::json) AS x (process_id bigint, key text, value jsonb)
ON CONFLICT (process_id, key) DO NOTHING
"""
FACTS = Columns(
    type="text", subject="text", schema_version="smallint", occurred_at="timestamptz", actor="text", correlation="text",
    causation="text", payload="jsonb",
)  # fmt: skip
APPEND_FACTS = f"""
INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, causation, payload)
SELECT x.type, x.subject, x.schema_version, x.occurred_at, x.actor, x.correlation, x.causation, x.payload
FROM {FACTS.source}
"""
AWAIT_FACTS = """
INSERT INTO awaited_fact (process_id, key, type, subject, nth)
SELECT x.process_id, x.key, x.type, x.subject, x.nth
FROM json_to_recordset(%(rows)s::json) AS x (process_id bigint, key text, type text, subject text, nth integer)
ON CONFLICT (process_id, key) DO NOTHING
"""

OPEN_CASES = """
INSERT INTO business_case (id, reason, title, problems, signature, owner, amount, currency, process_id, effect_id,
    inbox_id,
    connection, subject, correlation, question)
SELECT x.id, x.reason, x.title, x.problems, x.signature, x.owner, x.amount, x.currency, x.process_id, x.effect_id,
       x.inbox_id, x.connection, x.subject, x.correlation, x.question
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, reason text, title text, problems jsonb, signature text, owner
    text,
    amount numeric, currency text, process_id bigint, effect_id bigint, inbox_id bigint, connection text, subject text,
    correlation text, question jsonb)
ON CONFLICT DO NOTHING
"""
# A case that is open already is brought up to date and keeps its age.
REFRESH_CASES = """
UPDATE business_case c SET title = x.title, problems = x.problems, signature = x.signature, reason = x.reason,
    amount = x.amount, currency = x.currency, question = x.question
FROM json_to_recordset(%(rows)s::json) AS x (reason text, title text, problems jsonb, signature text, amount numeric,
    currency text, process_id bigint, effect_id bigint, question jsonb)
WHERE c.state = 'open' AND c.process_id = x.process_id AND coalesce(c.effect_id, 0) = coalesce(x.effect_id, 0)
"""
# Its own stories, and those that only waited for the effect that was refused.
PARK = """
UPDATE open_process SET state = CASE WHEN poked THEN 0 ELSE 3 END, owner = NULL, poked = false, wake_at = NULL
WHERE process_id = ANY(%(ids)s) AND (owner = %(worker)s OR state = 2)
"""
# A person said retry, and the story asks again: sent again, unless a newer version of the object was written meanwhile.
REQUEUE = """
WITH again AS (
    UPDATE effect e SET state = CASE WHEN (e.outcome ->> 'unknown')::boolean THEN 4 ELSE 1 END, attempts = 0
    WHERE id = ANY(%(ids)s) AND state = 8
    RETURNING id, connection, kind, verb, priority, state = 4 AS probe
)
INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, after, reason)
SELECT id, connection, kind, verb, priority, true, clock_timestamp(), probe, NULL, 'retried by a person' FROM again
ON CONFLICT (effect_id) DO NOTHING
"""
NEWER_GENERATIONS = """
SELECT old.id, new.id, old.process_id FROM effect old
JOIN LATERAL (
    SELECT g.id FROM effect g WHERE g.canonical_id = old.canonical_id AND g.kind = old.kind
        AND g.connection = old.connection AND g.generation > old.generation AND g.verb = old.verb AND g.state <> 5
    ORDER BY g.generation DESC LIMIT 1) new ON true
WHERE old.id = ANY(%(ids)s)
"""
PAUSE_CONNECTIONS = """
UPDATE connection SET state = 'paused', state_reason = x.reason, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS x (connection text, reason text) WHERE name = x.connection AND state <>
    'paused'
"""
# What a cancelled story has to take back, the last first.
LOAD_UNDO = """
SELECT process_id, connection, kind, canonical_id, undo, label, id, correlation FROM effect
WHERE process_id = ANY(%(ids)s) AND state = 2 AND undo IS NOT NULL ORDER BY id DESC
"""
CLOSE_CASES = """
UPDATE business_case SET state = 'resolved', resolved_at = clock_timestamp(), resolution = %(resolution)s,
    resolved_by = %(by)s
WHERE state = 'open' AND process_id = ANY(%(ids)s)
"""

ENDED = Columns(id="bigint", state="smallint", result="jsonb", subject="text", told="jsonb")
END_PROCESSES = f"""
WITH x AS (
    SELECT * FROM {ENDED.source}
), gone AS (
    DELETE FROM open_process o USING x WHERE o.process_id = x.id AND o.owner = %(worker)s AND NOT o.poked
    RETURNING x.*
), over AS (
    UPDATE process p SET finished_at = clock_timestamp(), end_state = gone.state, result = gone.result
    FROM gone WHERE p.id = gone.id
    RETURNING p.id, p.correlation, gone.subject, gone.told
)
INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, causation, payload)
SELECT 'process.finished', subject, 1, %(now)s, 'accord', correlation, 'process ' || id, told FROM over
"""
# A story that was poked in its last turn (cancelled, say) is looked at once more instead of ending.
NOT_ENDED = """
UPDATE open_process SET state = 0, owner = NULL, poked = false WHERE process_id = ANY(%(ids)s) AND owner = %(worker)s
"""
RELEASE_PROCESSES = """
UPDATE open_process o SET owner = NULL, state = CASE WHEN o.poked OR x.ready THEN 0 ELSE 2 END, poked = false,
    wake_at = x.wake_at
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, wake_at timestamptz, ready boolean)
WHERE o.process_id = x.id AND o.owner = %(worker)s
"""

# Processes are started by id; one_per keeps a second start of the same from happening.
START_PROCESSES = """
WITH x AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (id bigint, name text, version text, one_per text, subject
        text,
        correlation text, trigger jsonb, priority smallint)
), started AS (
    INSERT INTO process (id, name, version, one_per, subject, correlation, trigger)
    SELECT id, name, version, one_per, subject, correlation, trigger FROM x
    ON CONFLICT (one_per, name) DO NOTHING RETURNING id
)
INSERT INTO open_process (process_id, name, subject, priority, state)
SELECT x.id, x.name, x.subject, x.priority, 0 FROM x JOIN started ON started.id = x.id ORDER BY x.id
RETURNING process_id
"""

# Which effects could be sent now: per connection, priority, kind, verb and probe the oldest, found by skipping
# through the
# index, whatever the backlog.
WAITING_LANES = """
WITH RECURSIVE lane AS (
    (SELECT w.connection, w.priority, w.kind, w.verb, w.probe, w.effect_id FROM waiting_effect w
     WHERE w.due AND w.owner IS NULL AND w.after IS NULL
     ORDER BY w.connection, w.priority, w.kind, w.verb, w.probe, w.effect_id LIMIT 1)
    UNION ALL
    SELECT next.* FROM lane CROSS JOIN LATERAL (
        SELECT w.connection, w.priority, w.kind, w.verb, w.probe, w.effect_id FROM waiting_effect w
        WHERE w.due AND w.owner IS NULL AND w.after IS NULL
          AND (w.connection, w.priority, w.kind, w.verb, w.probe) > (lane.connection, lane.priority, lane.kind,
              lane.verb, lane.probe)
        ORDER BY w.connection, w.priority, w.kind, w.verb, w.probe, w.effect_id LIMIT 1) next
)
SELECT connection, priority, kind, verb, probe, effect_id FROM lane
"""
# Effects of one lane, the oldest first, to fill the vendor's batch calls.
CLAIM_WAITING = """
WITH next AS (
    SELECT w.effect_id FROM waiting_effect w JOIN effect e ON e.id = w.effect_id
    WHERE w.due AND w.owner IS NULL AND w.after IS NULL AND w.connection = %(connection)s AND w.priority = %(priority)s
      AND w.kind = %(kind)s AND w.verb = %(verb)s AND w.probe = %(probe)s
    ORDER BY w.effect_id LIMIT %(limit)s FOR UPDATE OF w, e SKIP LOCKED
), mine AS (
    UPDATE waiting_effect w SET owner = %(worker)s FROM next WHERE w.effect_id = next.effect_id
    RETURNING w.effect_id, w.probe
), sending AS (
    UPDATE effect e SET state = CASE WHEN mine.probe THEN 4 ELSE 0 END FROM mine
    WHERE e.id = mine.effect_id AND e.state IN (1, 4)
    RETURNING e.*, mine.probe
)
SELECT id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, priority, body, links,
       correlation, label, amount, currency, attempts, vendor_id, intended_at, probe
FROM sending ORDER BY id
"""
# What its system has merged into another is written to the other there; elsewhere it is what it was.
VENDOR_IDS = """
SELECT x.connection, x.canonical_id, x.kind, c.vendor_id
FROM json_to_recordset(%(rows)s::json) AS x (connection text, kind text, canonical_id text)
LEFT JOIN record m ON m.kind = x.kind AND m.id = x.canonical_id AND m.deleted AND m.connection = x.connection
JOIN crosswalk c ON c.canonical_id = coalesce(m.body ->> 'merged_into', x.canonical_id) AND c.kind = x.kind
    AND c.connection = x.connection
"""

# Timers. Stories wait by the business clock, retries by the database's.
WAKE_DUE = """
UPDATE open_process SET state = 0, wake_at = NULL WHERE process_id IN (
    SELECT process_id FROM open_process WHERE wake_at <= %(now)s AND state = 2
    ORDER BY wake_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""
EFFECTS_DUE = """
UPDATE waiting_effect SET due = true WHERE effect_id IN (
    SELECT effect_id FROM waiting_effect WHERE NOT due AND not_before <= clock_timestamp()
    ORDER BY not_before LIMIT 2000 FOR UPDATE SKIP LOCKED)
"""

# Leases: fence first, in a statement of its own; what the fenced worker was sending is unknown.
REGISTER_WORKER = """
WITH w AS (INSERT INTO worker (id, host, pid, version) VALUES (%(id)s, %(host)s, %(pid)s, %(version)s)),
     f AS (INSERT INTO worker_fence (worker_id) VALUES (%(id)s))
INSERT INTO worker_heartbeat (worker_id, at) VALUES (%(id)s, clock_timestamp())
"""
BEAT = "UPDATE worker_heartbeat SET at = clock_timestamp() WHERE worker_id = %(worker)s"
SILENT_WORKERS = """
SELECT worker_id FROM worker_heartbeat WHERE at < clock_timestamp() - make_interval(secs => %(lease)s)
"""
# A silent worker's transaction would keep the fence locked for as long as its process stands still: between two
# statements of a pipeline no time limit of PostgreSQL's before 17 ends it.
END_TRANSACTIONS = f"""
SELECT pg_terminate_backend(l.pid) FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = {FENCE_LOCK} AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.objid IN (SELECT (x %% 2147483647)::oid FROM unnest(%(workers)s::bigint[]) x)
"""
FENCE_DEAD = """
UPDATE worker_fence f SET fenced_at = clock_timestamp() FROM worker_heartbeat h
WHERE h.worker_id = f.worker_id AND f.fenced_at IS NULL
  AND h.at < clock_timestamp() - make_interval(secs => %(lease)s)
RETURNING f.worker_id
"""
FENCE_ONE = """
UPDATE worker_fence SET fenced_at = clock_timestamp()
WHERE worker_id = %(worker)s AND fenced_at IS NULL RETURNING worker_id
"""
TAKE_OVER = """
WITH orphan AS (
    SELECT e.id, e.connection, e.kind, e.verb, e.priority FROM open_process o
    JOIN effect e ON e.process_id = o.process_id AND e.state = 0
    LEFT JOIN waiting_effect w ON w.effect_id = e.id
    WHERE o.owner = ANY(%(workers)s) AND w.effect_id IS NULL
    UNION
    SELECT e.id, e.connection, e.kind, e.verb, e.priority FROM waiting_effect w
    JOIN effect e ON e.id = w.effect_id WHERE w.owner = ANY(%(workers)s)
), unknown AS (
    UPDATE effect e SET state = 4 FROM orphan WHERE e.id = orphan.id AND e.state IN (0, 4)
), waiting AS (
    INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, reason)
    SELECT id, connection, kind, verb, priority, false, clock_timestamp() + make_interval(secs => %(grace)s), true,
           'its worker died while sending' FROM orphan
    ON CONFLICT (effect_id) DO UPDATE SET owner = NULL, due = false, probe = true, not_before = excluded.not_before,
        reason = excluded.reason
), freed AS (
    UPDATE open_process SET state = 0, owner = NULL, poked = false WHERE owner = ANY(%(workers)s) AND state = 1
    RETURNING process_id
), gone AS (
    DELETE FROM worker_heartbeat WHERE worker_id = ANY(%(workers)s)
), polls AS (
    UPDATE poll SET owner = NULL WHERE owner = ANY(%(workers)s)
), schedules AS (
    UPDATE schedule SET owner = NULL WHERE owner = ANY(%(workers)s)
), shares AS (
    DELETE FROM budget_share WHERE worker_id = ANY(%(workers)s)
)
SELECT (SELECT count(*) FROM orphan), (SELECT count(*) FROM freed)
"""
