"""No story waits for something that cannot come."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "waits_can_end",
    "Every waiting story has an effect, a fact, a date or a question that it waits for.",
    """
    SELECT 'process ' || o.process_id, 'waits, and nothing is there that it could wait for', NULL::numeric
    FROM open_process o
    WHERE o.state = 2 AND o.wake_at IS NULL
      AND NOT EXISTS (SELECT FROM effect e WHERE e.process_id = o.process_id AND e.state IN (0, 1, 4))
      AND NOT EXISTS (SELECT FROM awaited_fact a WHERE a.process_id = o.process_id)
      AND NOT EXISTS (SELECT FROM adopted_effect a JOIN effect e ON e.id = a.effect_id
                      WHERE a.process_id = o.process_id AND e.state IN (0, 1, 3, 4, 7, 8))
      AND NOT EXISTS (SELECT FROM business_case c WHERE c.process_id = o.process_id AND c.state = 'open')
    """,
)
