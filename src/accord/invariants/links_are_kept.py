"""What a vendor called our object is remembered: the id of a committed write is in the crosswalk."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "links_are_kept",
    "The newest committed write of every object and the crosswalk name the same vendor id.",
    """
    SELECT e.connection || ' ' || e.kind || ' ' || e.canonical_id,
           'was committed as ' || e.vendor_id || ', the crosswalk says ' || coalesce(x.vendor_id, 'nothing'), e.amount
    FROM (
        SELECT DISTINCT ON (canonical_id, kind, connection) * FROM effect
        WHERE state = 2 AND vendor_id IS NOT NULL AND finished_at >= %(since)s
        ORDER BY canonical_id, kind, connection, generation DESC
    ) e
    LEFT JOIN crosswalk x ON x.connection = e.connection AND x.kind = e.kind AND x.canonical_id = e.canonical_id
    WHERE x.vendor_id IS DISTINCT FROM e.vendor_id
    """,
)
