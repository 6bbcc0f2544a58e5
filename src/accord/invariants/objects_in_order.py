"""Effects on one object go in order: none is committed while an older one may still happen."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "objects_in_order",
    "No write of an object is committed while an older write of it is still to be sent or may have happened.",
    """
    SELECT o.connection || ' ' || o.kind || ' ' || o.canonical_id,
           'generation ' || n.generation || ' is committed before ' || o.generation, n.amount
    FROM (SELECT w.effect_id AS id FROM waiting_effect w
          UNION SELECT e.id FROM open_process p JOIN effect e ON e.process_id = p.process_id
          WHERE e.state IN (0, 1, 4)) u
    JOIN effect o ON o.id = u.id AND o.state IN (0, 1, 4)
    JOIN effect n ON n.canonical_id = o.canonical_id AND n.kind = o.kind AND n.connection = o.connection
        AND n.generation > o.generation AND n.state = 2
    """,
)
