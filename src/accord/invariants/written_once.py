"""No business key has two committed effects: what was written is not written again unless something else was asked for
in between (what was superseded before it was sent counts)."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "written_once",
    "No two committed writes of one object in a row have the same content.",
    """
    SELECT x.connection || ' ' || x.kind || ' ' || x.canonical_id,
           'generations ' || x.before || ' and ' || x.generation || ' are both committed with the same content',
           x.amount
    FROM (
        SELECT e.*, lag(e.version) OVER w AS version_before, lag(e.verb) OVER w AS verb_before,
               lag(e.state) OVER w AS state_before, lag(e.generation) OVER w AS before
        FROM effect e
        WHERE e.state NOT IN (3, 7) AND (e.canonical_id, e.kind, e.connection) IN (
            SELECT o.canonical_id, o.kind, o.connection FROM effect o
            WHERE o.state = 2 AND o.generation > 1 AND o.finished_at >= %(since)s)
        WINDOW w AS (PARTITION BY e.canonical_id, e.kind, e.connection ORDER BY e.generation)
    ) x
    WHERE x.state = 2 AND x.state_before = 2 AND x.version = x.version_before AND x.verb = x.verb_before
    """,
)
