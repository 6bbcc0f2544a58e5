"""Reconciliation as code: what should be equal in two places, said as two queries with key, amount and tolerance.

Each side yields `key, amount, legal_entity, currency, engagement, changed_at`. A new match is a new row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Match:
    """Two sides that should agree, key by key. `tolerance` is in the unit of the amount. A key that changed on either
    side less than `settles_in_seconds` ago may still be on its way and is no break yet; `changed_at` is null where a
    side cannot be the younger one, and `infinity` for what is under way."""

    name: str
    says: str
    ours: str
    theirs: str
    owner: str
    tolerance: Decimal = Decimal(0)
    settles_in_seconds: int = 0


TIME_TO_LEDGER = Match(
    "time to ledger",
    "Every approved hour, expense and unit of the time systems is in the ledger with the quantity it was told with.",
    ours="""
    SELECT i.source_id AS key, sum(i.quantity) AS amount, min(i.legal_entity) AS legal_entity, min(i.unit) AS currency,
        min(i.engagement) AS engagement, max(i.recorded_at) AS changed_at
    FROM billable_item i
    WHERE i.kind IN ('time', 'expense', 'usage') GROUP BY 1 HAVING sum(i.quantity) <> 0
    """,
    theirs="""
    SELECT w.id, CASE WHEN coalesce((t.body ->> 'minutes_step')::integer, 0) = 0 THEN w.quantity
            ELSE round(ceil(abs(w.quantity) * 60 / (t.body ->> 'minutes_step')::integer)
                * (t.body ->> 'minutes_step')::integer / 60, 6) * sign(w.quantity) END,
        w.legal_entity, w.unit, w.engagement, w.recorded_at
    FROM work_entry w
    LEFT JOIN LATERAL (SELECT body FROM billing_terms b WHERE b.engagement = w.engagement
        AND b.legal_entity = w.legal_entity ORDER BY version DESC LIMIT 1) t ON w.kind = 'time'
    WHERE w.current AND w.status = 'approved' AND w.engagement IS NOT NULL AND w.quantity <> 0
        AND NOT EXISTS (SELECT FROM work_to_rate q WHERE q.entry_id = w.id)
        AND NOT EXISTS (SELECT FROM work_unpriced u WHERE u.entry_id = w.id)
    """,
    owner="PMO",
    tolerance=Decimal("0.000001"),
    settles_in_seconds=60,
)
LEDGER_TO_BILLING = Match(
    "ledger to billing",
    "What the ledger has as billed on an invoice is what the billing platform invoiced, before tax.",
    ours="""
    SELECT p.document AS key, sum(p.amount) AS amount, min(p.legal_entity) AS legal_entity,
        min(p.currency) AS currency, min(p.engagement) AS engagement, NULL::timestamptz AS changed_at
    FROM item_part p
    WHERE p.document IS NOT NULL AND (p.disposition IN ('billed', 'collected', 'disputed', 'credited')
        OR p.disposition = 'written_off' AND p.came_from <> 'draft')
    GROUP BY 1
    """,
    theirs="""
    SELECT r.id, (r.body -> 'net' ->> 'amount')::numeric, r.body ->> 'legal_entity', r.body ->> 'currency',
        r.body ->> 'engagement_id',
        CASE WHEN EXISTS (SELECT FROM open_process o WHERE o.subject = r.id) THEN 'infinity' ELSE r.changed_at END
    FROM record r
    WHERE r.kind = 'invoice' AND NOT r.deleted AND r.body ->> 'status' NOT IN ('draft', 'void')
        AND r.body ->> 'engagement_id' IS NOT NULL
    UNION ALL
    SELECT r.id, -(r.body -> 'net' ->> 'amount')::numeric, r.body ->> 'legal_entity', r.body -> 'net' ->> 'currency',
        r.body ->> 'engagement_id', r.changed_at
    FROM record r
    WHERE r.kind = 'credit_note' AND r.body ->> 'status' = 'issued' AND (r.body ->> 'from_work')::boolean
    """,
    owner="finance",
    settles_in_seconds=60,
)
BILLING_TO_ERP = Match(
    "billing to ERP receivables",
    "Every invoice of the billing platform is posted in the ERP with the same gross amount.",
    ours="""
    SELECT r.id AS key, (r.body -> 'gross' ->> 'amount')::numeric AS amount, r.body ->> 'legal_entity' AS legal_entity,
        r.body ->> 'currency' AS currency, r.body ->> 'engagement_id' AS engagement, r.changed_at
    FROM record r
    WHERE r.kind = 'invoice' AND NOT r.deleted AND r.body ->> 'status' NOT IN ('draft', 'void')
        AND r.body ->> 'engagement_id' IS NOT NULL
    """,
    theirs="""
    SELECT e.canonical_id, e.amount, e.legal_entity, e.currency, e.correlation, e.finished_at
    FROM (
        SELECT DISTINCT ON (f.canonical_id) f.canonical_id, (f.body -> 'gross' ->> 'amount')::numeric AS amount,
            f.body ->> 'legal_entity' AS legal_entity, f.body ->> 'currency' AS currency, r.correlation, f.finished_at
        FROM effect f JOIN record r ON r.kind = 'invoice' AND r.id = f.canonical_id
        WHERE f.kind = 'invoice' AND f.verb = 'put' AND f.state = 2
            AND f.connection IN (SELECT name FROM connection WHERE vendor IN ('netsuite', 'dynamics'))
        ORDER BY f.canonical_id, f.generation DESC
    ) e
    """,
    owner="finance",
    settles_in_seconds=60,
)
LEDGER_TO_CASH = Match(
    "ledger to cash",
    "What the ledger has as collected of an invoice is the net share of what was paid and did not go back, but for what"
    " is disputed after payment.",
    ours="""
    SELECT p.document AS key, sum(p.amount) AS amount, min(p.legal_entity) AS legal_entity,
        min(p.currency) AS currency, min(p.engagement) AS engagement, NULL::timestamptz AS changed_at
    FROM item_part p WHERE p.document IS NOT NULL AND p.disposition = 'collected' GROUP BY 1 HAVING sum(p.amount) <> 0
    """,
    theirs="""
    SELECT * FROM (
        SELECT i.id, round(i.net * least(1, i.paid / i.payable), scale(i.net)) - coalesce(d.amount, 0) AS amount,
            i.legal_entity, i.currency, i.engagement, i.changed_at
        FROM (
            SELECT r.id, r.body ->> 'legal_entity' AS legal_entity, r.body ->> 'currency' AS currency,
                r.body ->> 'engagement_id' AS engagement,
                (r.body -> 'net' ->> 'amount')::numeric
                    - coalesce((r.body -> 'reduced_net' ->> 'amount')::numeric, 0) AS net,
                (r.body -> 'gross' ->> 'amount')::numeric
                    - coalesce((r.body -> 'credited' ->> 'amount')::numeric, 0)
                    - coalesce((r.body -> 'written_off' ->> 'amount')::numeric, 0) AS payable,
                (r.body -> 'paid' ->> 'amount')::numeric
                    - coalesce((r.body -> 'returned' ->> 'amount')::numeric, 0) AS paid,
                CASE WHEN EXISTS (SELECT FROM open_process o WHERE o.subject = r.id) THEN 'infinity'
                    ELSE r.changed_at END AS changed_at
            FROM record r
            WHERE r.kind = 'invoice' AND NOT r.deleted AND r.body ->> 'status' NOT IN ('draft', 'void')
                AND r.body ->> 'engagement_id' IS NOT NULL
        ) i
        LEFT JOIN (
            SELECT p.document, sum(p.amount) AS amount FROM item_part p
            WHERE p.disposition = 'disputed' AND p.came_from = 'collected' GROUP BY 1
        ) d ON d.document = i.id
        WHERE i.payable > 0 AND i.paid > 0
    ) t WHERE t.amount <> 0
    """,
    owner="finance",
    settles_in_seconds=60,
)
CREDITS = Match(
    "credits in the ledger",
    "What the ledger has as credited of an invoice is the net of its issued credit notes.",
    ours="""
    SELECT p.document AS key, sum(p.amount) AS amount, min(p.legal_entity) AS legal_entity,
        min(p.currency) AS currency, min(p.engagement) AS engagement, NULL::timestamptz AS changed_at
    FROM item_part p WHERE p.document IS NOT NULL AND p.disposition = 'credited' GROUP BY 1
    """,
    theirs="""
    SELECT r.body ->> 'invoice_id', sum((r.body -> 'net' ->> 'amount')::numeric), min(r.body ->> 'legal_entity'),
        min(r.body -> 'amount' ->> 'currency'), min(r.body ->> 'engagement_id'),
        max(r.changed_at)
    FROM record r
    WHERE r.kind = 'credit_note' AND r.body ->> 'status' = 'issued' AND NOT (r.body ->> 'from_work')::boolean
    GROUP BY 1
    """,
    owner="finance",
    settles_in_seconds=60,
)

# What arrived is on invoices, or is unapplied cash that somebody can see: it is never nowhere.
CASH_TO_PLACES = Match(
    "cash to its places",
    "What came in pays invoices or is unapplied cash, by payment and receipt.",
    ours="""
    SELECT x.key, sum(x.amount) AS amount, min(x.legal_entity) AS legal_entity, min(x.currency) AS currency,
        NULL::text AS engagement, max(x.changed_at) AS changed_at
    FROM (
        SELECT r.id AS key, (r.body -> 'amount' ->> 'amount')::numeric AS amount,
            r.body ->> 'legal_entity' AS legal_entity, r.body -> 'amount' ->> 'currency' AS currency, r.changed_at
        FROM record r WHERE r.kind = 'payment_application'
            AND EXISTS (SELECT FROM record p WHERE p.kind = 'payment' AND p.id = r.id)
        UNION ALL
        SELECT r.body ->> 'source_id', (r.body -> 'amount' ->> 'amount')::numeric, r.body ->> 'legal_entity',
            r.body -> 'amount' ->> 'currency', r.changed_at
        FROM record r WHERE r.kind = 'unapplied_cash' AND r.body ->> 'source_kind' = 'payment'
        UNION ALL
        SELECT r.body ->> 'source_id', (r.body -> 'amount' ->> 'amount')::numeric, NULL,
            r.body -> 'amount' ->> 'currency', r.changed_at
        FROM record r WHERE r.kind = 'cash_application' AND (r.body ->> 'in_erp')::boolean
    ) x GROUP BY 1
    """,
    theirs="""
    SELECT r.id, (r.body -> 'amount' ->> 'amount')::numeric + coalesce((r.body -> 'bank_fee' ->> 'amount')::numeric, 0),
        r.body ->> 'legal_entity', r.body -> 'amount' ->> 'currency', NULL,
        CASE WHEN o.trigger IS NOT NULL THEN 'infinity' ELSE r.changed_at END
    FROM record r
    LEFT JOIN (
        SELECT DISTINCT p.trigger ->> 'subject' AS trigger FROM open_process o JOIN process p ON p.id = o.process_id
    ) o ON o.trigger = r.id
    WHERE r.kind IN ('payment', 'receipt') AND NOT r.deleted
    """,
    owner="finance",
    settles_in_seconds=60,
)

MATCHES = (TIME_TO_LEDGER, LEDGER_TO_BILLING, BILLING_TO_ERP, LEDGER_TO_CASH, CREDITS, CASH_TO_PLACES)
