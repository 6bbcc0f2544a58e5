"""What happens to one subject happens in order: one story at a time, the older first."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "subjects_in_order",
    "Of one subject one story is at work at a time, and none ends before one that began earlier.",
    """
    SELECT o.subject, count(*) || ' stories are at work at once', NULL::numeric
    FROM open_process o WHERE o.state = 1 GROUP BY o.subject HAVING count(*) > 1
    UNION ALL
    SELECT o.subject, 'process ' || n.id || ' ended before ' || o.process_id || ', which began earlier', NULL
    FROM open_process o JOIN process p ON p.id = o.process_id
    JOIN process n ON n.subject = o.subject AND n.id > o.process_id AND n.started_at > p.started_at
        AND n.started_at >= %(since)s AND n.end_state = 4
    WHERE o.state IN (0, 1, 2)
    """,
)
