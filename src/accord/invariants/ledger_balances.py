"""Money is conserved: every entry balances, and what was approved lies in dispositions to the cent."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "ledger_balances",
    "Every ledger entry sums to zero, and each item's approved value is the sum of its dispositions.",
    """
    SELECT 'entry ' || p.entry, 'does not balance in ' || p.legal_entity || ' ' || p.currency, sum(p.amount)
    FROM posting p WHERE p.entry IN (SELECT n.entry FROM posting n WHERE n.recorded_at >= %(since)s)
    GROUP BY p.entry, p.legal_entity, p.currency HAVING sum(p.amount) <> 0
    UNION ALL
    SELECT 'item ' || i.id, 'approved ' || i.amount || ', placed ' || coalesce(sum(p.amount), 0),
           i.amount - coalesce(sum(p.amount), 0)
    FROM billable_item i LEFT JOIN posting p ON p.item_id = i.id AND p.disposition <> 'approved'
    WHERE i.recorded_at >= %(since)s
    GROUP BY i.id, i.amount HAVING coalesce(sum(p.amount), 0) <> i.amount
    """,
)
