"""Every write that was refused, or given up, is a case until a person has settled it."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "refusals_have_cases",
    "Every refused or dead write of a story that goes on has an open case.",
    """
    SELECT e.connection || ' ' || e.kind || ' ' || e.canonical_id,
           'effect ' || e.id || ' was refused and nobody has a case for it', e.amount
    FROM open_process o JOIN effect e ON e.process_id = o.process_id AND e.state IN (3, 7)
    WHERE o.state IN (2, 3) AND NOT EXISTS (
        SELECT FROM business_case c WHERE c.process_id = o.process_id AND c.state = 'open')
    """,
    when="settled",
)
