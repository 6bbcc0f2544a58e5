"""Money is conserved: what was approved lies in dispositions to the cent, and journal and totals agree."""

from accord.invariants.invariant import Invariant

INVARIANT = Invariant(
    "ledger_balances",
    "Each item's approved value is the sum of its parts, and its journal leads to where the parts lie.",
    """
    SELECT 'item ' || i.id, 'approved ' || i.amount || ', placed ' || coalesce(sum(p.amount), 0),
           i.amount - coalesce(sum(p.amount), 0)
    FROM billable_item i LEFT JOIN item_part p ON p.item_id = i.id
    WHERE i.recorded_at >= %(since)s
    GROUP BY i.id, i.amount HAVING coalesce(sum(p.amount), 0) <> i.amount
    UNION ALL
    SELECT 'item ' || coalesce(j.item_id, s.item_id), 'the journal has ' || coalesce(j.amount, 0) || ' in '
           || coalesce(j.disposition, s.disposition) || ', the parts ' || coalesce(s.amount, 0),
           coalesce(j.amount, 0) - coalesce(s.amount, 0)
    FROM (
        SELECT t.item_id, d.disposition, sum(d.sign * t.amount) AS amount
        FROM transfer t JOIN billable_item i ON i.id = t.item_id
        CROSS JOIN LATERAL (VALUES (t.out_of, -1), (t.placed_in, 1)) AS d (disposition, sign)
        WHERE i.recorded_at >= %(since)s AND d.disposition <> 'approved' GROUP BY 1, 2
    ) j FULL JOIN (
        SELECT p.item_id, p.disposition, sum(p.amount) AS amount
        FROM item_part p JOIN billable_item i ON i.id = p.item_id WHERE i.recorded_at >= %(since)s GROUP BY 1, 2
    ) s ON s.item_id = j.item_id AND s.disposition = j.disposition
    WHERE coalesce(j.amount, 0) <> coalesce(s.amount, 0)
    UNION ALL
    SELECT 'total of ' || coalesce(l.engagement, s.engagement),
           'the total of ' || coalesce(l.disposition, s.disposition) || ' is ' || coalesce(l.amount, 0)
           || ', the parts ' || coalesce(s.amount, 0),
           coalesce(l.amount, 0) - coalesce(s.amount, 0)
    FROM (
        SELECT engagement, legal_entity, currency, disposition, sum(amount) AS amount, sum(parts) AS parts
        FROM ledger_total WHERE engagement IN (SELECT engagement FROM billable_item WHERE recorded_at >= %(since)s)
        GROUP BY 1, 2, 3, 4
    ) l FULL JOIN (
        SELECT engagement, legal_entity, currency, disposition, sum(amount) AS amount, count(*) AS parts
        FROM item_part WHERE engagement IN (SELECT engagement FROM billable_item WHERE recorded_at >= %(since)s)
        GROUP BY 1, 2, 3, 4
    ) s ON (s.engagement, s.legal_entity, s.currency, s.disposition)
         = (l.engagement, l.legal_entity, l.currency, l.disposition)
    WHERE (coalesce(l.amount, 0), coalesce(l.parts, 0)) <> (coalesce(s.amount, 0), coalesce(s.parts, 0))
    """,
)
