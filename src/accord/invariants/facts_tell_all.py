"""The event log tells everything: each committed write is told exactly once."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "facts_tell_all",
    "Each committed write is told in the event log, exactly once.",
    """
    SELECT e.connection || ' ' || e.kind || ' ' || e.canonical_id,
           'effect ' || e.id || ' is committed and told ' || count(v.seq) || ' times', e.amount
    FROM effect e
    LEFT JOIN event v ON v.subject = e.canonical_id AND v.type = 'effect.committed' AND v.causation = 'effect ' || e.id
    WHERE e.state = 2 AND e.finished_at >= %(since)s
    GROUP BY e.id HAVING count(v.seq) <> 1
    """,
)
