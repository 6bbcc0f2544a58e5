"""A milestone or a subscription period is invoiced once, for its whole value."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "invoiced_once",
    "No item is billed above its approved value.",
    """
    SELECT 'item ' || i.id, 'approved ' || i.amount || ', billed ' || sum(t.amount), sum(t.amount) - i.amount
    FROM billable_item i JOIN transfer t ON t.item_id = i.id AND t.placed_in = 'billed'
        AND t.out_of IN ('approved', 'wip', 'draft')
    WHERE i.recorded_at >= %(since)s
    GROUP BY i.id, i.amount HAVING abs(sum(t.amount)) > abs(i.amount)
    """,
)
