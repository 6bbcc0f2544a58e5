"""A milestone or a subscription period is invoiced once, for its whole value."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "invoiced_once",
    "No item is billed above its approved value.",
    """
    SELECT 'item ' || i.id, 'approved ' || i.amount || ', billed ' || sum(p.amount), sum(p.amount) - i.amount
    FROM billable_item i JOIN posting p ON p.item_id = i.id
        AND p.disposition IN ('billed', 'collected', 'disputed', 'credited')
    WHERE i.recorded_at >= %(since)s
    GROUP BY i.id, i.amount HAVING abs(sum(p.amount)) > abs(i.amount)
    """,
)
