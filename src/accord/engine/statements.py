"""The engine's SQL, each statement named and explained. Rows travel as one JSON parameter a statement: one plan for
any batch size, no dumper per element.
"""

from __future__ import annotations

# The worker proves that nobody took its work away; first in every transaction that writes.
HOLD_FENCE = "SELECT hold_fence(%(worker)s)"

# Ready processes by business priority; of one subject only the oldest unfinished.
CLAIM_PROCESSES = """
WITH next AS (
    SELECT o.process_id FROM open_process o
    WHERE o.state = 0 AND NOT EXISTS (
        SELECT FROM open_process earlier WHERE earlier.subject = o.subject AND earlier.process_id < o.process_id)
    ORDER BY o.priority, o.process_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE open_process o SET state = 1, owner = %(worker)s, poked = false, wake_at = NULL
    FROM next WHERE o.process_id = next.process_id
    RETURNING o.process_id, o.since
)
SELECT p.id, p.name, p.correlation, p.trigger, p.started_at,
       EXISTS (SELECT FROM business_case c WHERE c.process_id = p.id AND c.state = 'open') AS has_case
FROM taken JOIN process p ON p.id = taken.process_id ORDER BY p.id
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

# What they asked for and have no answer to: not to be asked for again.
LOAD_PENDING = """
SELECT process_id, story_key, id, state FROM effect WHERE process_id = ANY(%(ids)s) AND state IN (0, 1, 3, 4, 7, 8)
UNION ALL
SELECT a.process_id, a.story_key, e.id, 1 FROM adopted_effect a JOIN effect e ON e.id = a.effect_id
WHERE a.process_id = ANY(%(ids)s) AND e.state NOT IN (2, 6)
"""

# Outcomes. An effect that is final already stays as it is.
FINISH_EFFECTS = """
UPDATE effect e SET state = x.state, outcome = x.outcome, vendor_id = coalesce(x.vendor_id, e.vendor_id),
    attempts = x.attempts, sent_at = coalesce(x.sent_at, e.sent_at), finished_at = clock_timestamp()
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, state smallint, outcome jsonb, vendor_id text, attempts smallint,
    sent_at timestamptz)
WHERE e.id = x.id AND e.state IN (0, 1, 4)
RETURNING e.id, e.process_id, e.shared
"""

# Which vendor object a canonical object is.
LINK = """
INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id)
SELECT x.connection, x.kind, x.canonical_id, x.vendor_id
FROM json_to_recordset(%(rows)s::json) AS x (connection text, kind text, canonical_id text, vendor_id text)
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
ENTER_WAITING = """
INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, not_before, probe, after, reason)
SELECT x.id, x.connection, x.kind, x.verb, x.priority, clock_timestamp() + make_interval(secs => x.delay), x.probe, x.after,
       x.reason
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, connection text, kind text, verb text, priority smallint,
    delay double precision, probe boolean, after bigint, reason text)
ON CONFLICT (effect_id) DO UPDATE SET not_before = excluded.not_before, probe = excluded.probe, owner = NULL,
    reason = excluded.reason
"""
RECORD_ATTEMPTS = """
INSERT INTO effect_attempt (effect_id, what, outcome, reason)
SELECT x.id, x.what, x.outcome, x.reason
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, what text, outcome text, reason text)
"""

_EFFECT_COLUMNS = """id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state, priority,
    body, undo, links, correlation, label, amount, currency"""
_EFFECT_RECORD = """x (id bigint, process_id bigint, story_key text, connection text, kind text, canonical_id text,
    generation integer, verb text, version text, state smallint, priority smallint, body jsonb, undo jsonb, links text[],
    correlation text, label text, amount numeric, currency text)"""

# Intent, for objects that nobody wrote before. Those with a history are not returned: see intents.py.
INTEND_FIRST = f"""
INSERT INTO effect ({_EFFECT_COLUMNS})
SELECT {_EFFECT_COLUMNS} FROM json_to_recordset(%(rows)s::json) AS {_EFFECT_RECORD}
WHERE NOT EXISTS (SELECT FROM effect e WHERE e.canonical_id = x.canonical_id AND e.kind = x.kind
                  AND e.connection = x.connection)
ON CONFLICT (canonical_id, kind, connection, generation) DO NOTHING
RETURNING id
"""
INTEND_NEXT = f"""
INSERT INTO effect ({_EFFECT_COLUMNS})
SELECT {_EFFECT_COLUMNS} FROM json_to_recordset(%(rows)s::json) AS {_EFFECT_RECORD}
ON CONFLICT (canonical_id, kind, connection, generation) DO NOTHING
RETURNING id
"""

# The history of objects about to be written again: the newest effect, and the ones done once, by verb.
EFFECT_HISTORY = """
SELECT e.id, e.process_id, e.story_key, e.connection, e.kind, e.canonical_id, e.generation, e.verb, e.version, e.state,
       e.attempts, e.outcome, md5(e.body::text) AS body_digest, e.body, w.owner IS NOT NULL AS held, w.probe
FROM json_to_recordset(%(rows)s::json) AS x (connection text, kind text, canonical_id text)
JOIN effect e ON e.canonical_id = x.canonical_id AND e.kind = x.kind AND e.connection = x.connection
LEFT JOIN waiting_effect w ON w.effect_id = e.id
WHERE e.version = 'once' OR e.generation = (
    SELECT max(g.generation) FROM effect g
    WHERE g.canonical_id = x.canonical_id AND g.kind = x.kind AND g.connection = x.connection)
ORDER BY e.id
"""
LOCK_EFFECTS = "SELECT id FROM effect WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
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
), followers AS (
    UPDATE waiting_effect w SET after = gone.new FROM gone WHERE w.after = gone.id AND w.effect_id <> gone.new
), moved AS (
    UPDATE adopted_effect a SET effect_id = gone.new FROM gone WHERE a.effect_id = gone.id
)
INSERT INTO adopted_effect (effect_id, process_id, story_key) SELECT new, process_id, story_key FROM gone
"""

# Who waits for an effect that is finished now: followers in line, and processes that adopted it.
FREE_FOLLOWERS = "UPDATE waiting_effect SET after = NULL WHERE after = ANY(%(ids)s)"
WAKE_ADOPTERS = """
UPDATE open_process o SET state = CASE WHEN o.state = 2 THEN 0 ELSE o.state END, poked = (o.state = 1)
FROM adopted_effect a WHERE a.effect_id = ANY(%(ids)s) AND o.process_id = a.process_id AND o.state IN (1, 2)
"""
WAKE_PROCESSES = """
UPDATE open_process SET state = CASE WHEN state = 2 THEN 0 ELSE state END, poked = (state = 1)
WHERE process_id = ANY(%(ids)s) AND state IN (1, 2)
"""

WRITE_JOURNAL = """
INSERT INTO journal (process_id, key, value)
SELECT x.process_id, x.key, coalesce(x.value, 'null') FROM json_to_recordset(%(rows)s::json) AS x (process_id bigint, key text, value jsonb)
ON CONFLICT (process_id, key) DO NOTHING
"""
APPEND_FACTS = """
INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, causation, payload)
SELECT x.type, x.subject, x.schema_version, x.occurred_at, x.actor, x.correlation, x.causation, x.payload
FROM json_to_recordset(%(rows)s::json) AS x (type text, subject text, schema_version smallint, occurred_at timestamptz,
    actor text, correlation text, causation text, payload jsonb)
"""
AWAIT_FACTS = """
INSERT INTO awaited_fact (process_id, key, type, subject)
SELECT x.process_id, x.key, x.type, x.subject
FROM json_to_recordset(%(rows)s::json) AS x (process_id bigint, key text, type text, subject text)
ON CONFLICT (process_id, key) DO NOTHING
"""
# Facts that were routed before their waiter registered: found here, since the story began.
OVERTAKEN_FACTS = """
SELECT DISTINCT ON (a.process_id, a.key) a.process_id, a.key, e.payload
FROM awaited_fact a JOIN process p ON p.id = a.process_id
JOIN event e ON e.subject = a.subject AND e.type = a.type AND e.recorded_at >= p.started_at
WHERE a.process_id = ANY(%(ids)s)
ORDER BY a.process_id, a.key, e.seq
"""
HOLD_ROUTER = "SELECT 1 FROM event_cursor WHERE consumer = 'router' FOR SHARE"

OPEN_CASES = """
INSERT INTO business_case (id, reason, title, problems, signature, owner, amount, currency, process_id, effect_id, inbox_id,
    connection, subject, correlation, question)
SELECT x.id, x.reason, x.title, x.problems, x.signature, x.owner, x.amount, x.currency, x.process_id, x.effect_id,
       x.inbox_id, x.connection, x.subject, x.correlation, x.question
FROM json_to_recordset(%(rows)s::json) AS x (id bigint, reason text, title text, problems jsonb, signature text, owner text,
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
PARK = """
UPDATE open_process SET state = CASE WHEN poked THEN 0 ELSE 3 END, owner = NULL, poked = false, wake_at = NULL
WHERE process_id = ANY(%(ids)s) AND (owner = %(worker)s OR state = 2)
"""
REQUEUE = """
WITH again AS (
    UPDATE effect e SET state = 1, attempts = 0 WHERE id = ANY(%(ids)s) AND state = 8
    RETURNING id, connection, kind, verb, priority
)
INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, not_before, probe, reason)
SELECT id, connection, kind, verb, priority, clock_timestamp(), false, 'retried by a person' FROM again
ON CONFLICT (effect_id) DO NOTHING
"""
PAUSE_CONNECTIONS = """
UPDATE connection SET state = 'paused', state_reason = x.reason, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS x (connection text, reason text) WHERE name = x.connection AND state <> 'paused'
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

END_PROCESSES = """
WITH x AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (id bigint, state smallint, result jsonb)
), gone AS (
    DELETE FROM open_process o USING x WHERE o.process_id = x.id
)
UPDATE process p SET finished_at = clock_timestamp(), end_state = x.state, result = x.result FROM x WHERE p.id = x.id
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
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x (id bigint, name text, version text, one_per text, subject text,
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

# Effects whose turn has come, by business priority; all of one kind and verb, to fill the vendor's batch call.
CLAIM_WAITING = """
WITH head AS (
    SELECT kind, verb, probe FROM waiting_effect
    WHERE connection = %(connection)s AND owner IS NULL AND after IS NULL AND not_before <= clock_timestamp()
    ORDER BY priority, effect_id LIMIT 1
), next AS (
    SELECT w.effect_id FROM waiting_effect w JOIN head ON w.kind = head.kind AND w.verb = head.verb AND w.probe = head.probe
    WHERE w.connection = %(connection)s AND w.owner IS NULL AND w.after IS NULL AND w.not_before <= clock_timestamp()
    ORDER BY w.priority, w.effect_id LIMIT %(limit)s FOR UPDATE OF w SKIP LOCKED
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
FROM sending ORDER BY priority, id
"""
WAITING_CONNECTIONS = """
SELECT connection, count(*) AS due FROM (
    SELECT connection FROM waiting_effect
    WHERE owner IS NULL AND after IS NULL AND not_before <= clock_timestamp() LIMIT 5000) due
GROUP BY connection
"""
VENDOR_IDS = """
SELECT c.connection, c.canonical_id, c.kind, c.vendor_id
FROM json_to_recordset(%(rows)s::json) AS x (connection text, kind text, canonical_id text)
JOIN crosswalk c ON c.canonical_id = x.canonical_id AND c.kind = x.kind AND c.connection = x.connection
"""

# Timers.
WAKE_DUE = """
UPDATE open_process SET state = 0, wake_at = NULL WHERE process_id IN (
    SELECT process_id FROM open_process WHERE wake_at <= clock_timestamp() AND state = 2
    LIMIT 1000 FOR UPDATE SKIP LOCKED)
RETURNING process_id
"""

# Leases: fence first, in a statement of its own; what the fenced worker was sending is unknown.
REGISTER_WORKER = """
WITH w AS (INSERT INTO worker (id, host, pid, version) VALUES (%(id)s, %(host)s, %(pid)s, %(version)s)),
     f AS (INSERT INTO worker_fence (worker_id) VALUES (%(id)s))
INSERT INTO worker_heartbeat (worker_id, at) VALUES (%(id)s, clock_timestamp())
"""
BEAT = "UPDATE worker_heartbeat SET at = clock_timestamp() WHERE worker_id = %(worker)s"
FENCE_DEAD = """
UPDATE worker_fence f SET fenced_at = clock_timestamp() FROM worker_heartbeat h
WHERE h.worker_id = f.worker_id AND f.fenced_at IS NULL
  AND h.at < clock_timestamp() - make_interval(secs => %(lease)s)
RETURNING f.worker_id
"""
FENCE_ONE = "UPDATE worker_fence SET fenced_at = clock_timestamp() WHERE worker_id = %(worker)s AND fenced_at IS NULL RETURNING worker_id"
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
    INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, not_before, probe, reason)
    SELECT id, connection, kind, verb, priority, clock_timestamp() + make_interval(secs => %(grace)s), true,
           'its worker died while sending' FROM orphan
    ON CONFLICT (effect_id) DO UPDATE SET owner = NULL, probe = true, not_before = excluded.not_before,
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
