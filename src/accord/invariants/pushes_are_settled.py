"""Every push that came in is translated, set aside, parked with a case, or refused with a reason."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "pushes_are_settled",
    "At rest no push waits; one that is not translated has a reason, and a parked one had a case.",
    """
    SELECT 'inbox ' || i.id, 'the push has not been translated', NULL::numeric FROM inbox i
    JOIN connection c ON c.name = i.connection AND c.state <> 'paused' WHERE i.state = 0
    UNION ALL
    SELECT 'inbox ' || i.id, 'was set aside without a reason', NULL FROM inbox i
    WHERE i.state IN (2, 3, 4) AND i.reason IS NULL AND i.received_at >= %(since)s
    UNION ALL
    SELECT 'inbox ' || i.id, 'is parked and never had a case', NULL FROM inbox i
    WHERE i.state = 3 AND i.received_at >= %(since)s
      AND NOT EXISTS (SELECT FROM business_case c WHERE c.inbox_id = i.id)
    """,
    when="settled",
)
