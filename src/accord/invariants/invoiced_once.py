"""A milestone or a subscription period is invoiced once, for its whole value."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "invoiced_once",
    "No item is billed above its approved value.",
    # An item that takes back metered work may have a part above zero too: what others cost more without it.
    """
    SELECT 'item ' || b.id, 'approved ' || b.amount || ', billed ' || (b.up + b.down), b.up + b.down - b.amount
    FROM (
        SELECT i.id, i.amount, coalesce(sum(t.amount) FILTER (WHERE t.amount > 0), 0) AS up,
            coalesce(sum(t.amount) FILTER (WHERE t.amount < 0), 0) AS down
        FROM billable_item i JOIN transfer t ON t.item_id = i.id AND t.placed_in = 'billed'
            AND t.out_of IN ('approved', 'wip', 'draft')
        WHERE i.recorded_at >= %(since)s GROUP BY i.id, i.amount
    ) b CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0) AS up,
            coalesce(sum(p.amount) FILTER (WHERE p.amount < 0), 0) AS down
        FROM item_part p WHERE p.item_id = b.id
    ) p
    WHERE b.up > p.up OR b.down < p.down
    """,
)
