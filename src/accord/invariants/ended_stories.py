"""A story that has ended leaves nothing behind: no write under way, no wait, no open case."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "ended_stories",
    "A story that has ended waits for nothing and holds no open case.",
    """
    SELECT 'process ' || p.id, 'has ended and still ' || x.what, NULL::numeric
    FROM process p JOIN (
        SELECT process_id, 'is in the queue' AS what FROM open_process
        UNION ALL SELECT process_id, 'awaits a fact' FROM awaited_fact
        UNION ALL SELECT process_id, 'has the open case ' || id FROM business_case
            WHERE state = 'open' AND process_id IS NOT NULL
    ) x ON x.process_id = p.id
    WHERE p.end_state IS NOT NULL
    """,
)
