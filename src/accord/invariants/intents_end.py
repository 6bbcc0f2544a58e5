"""Every intent ends: it is being sent by a living story, waits where a worker will find it, or has an outcome; and
what has ended does not wait to be sent."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "intents_end",
    "Every write that has no outcome yet is in somebody's hands: a worker's, or the queue of what waits.",
    """
    SELECT e.connection || ' ' || e.kind || ' ' || e.canonical_id,
           'effect ' || e.id || ' has no outcome and nobody will send it', e.amount
    FROM effect e
    LEFT JOIN waiting_effect w ON w.effect_id = e.id
    LEFT JOIN open_process o ON o.process_id = e.process_id
    WHERE e.state IN (0, 1, 4) AND e.intended_at >= %(since)s AND w.effect_id IS NULL AND o.owner IS NULL
    UNION ALL
    SELECT w.connection || ' ' || w.kind, 'effect ' || w.effect_id || ' has ended and still waits to be sent', e.amount
    FROM waiting_effect w JOIN effect e ON e.id = w.effect_id
    WHERE e.state NOT IN (0, 1, 4)
    """,
)
