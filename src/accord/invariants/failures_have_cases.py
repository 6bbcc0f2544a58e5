"""A failure is somebody's case: a story that stands still for a person has an open case that says why."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "failures_have_cases",
    "Every parked story has an open case, with an owner and a problem.",
    """
    SELECT 'process ' || o.process_id, 'is parked and nobody has a case for it', NULL::numeric
    FROM open_process o
    WHERE o.state = 3 AND NOT EXISTS (
        SELECT FROM business_case c WHERE c.process_id = o.process_id AND c.state = 'open')
    UNION ALL
    SELECT 'case ' || c.id, 'has no owner or names no problem', c.amount
    FROM business_case c WHERE c.state = 'open' AND (c.owner = '' OR jsonb_array_length(c.problems) = 0)
        AND c.question IS NULL
    """,
)
