"""A document that is emptied goes whole: what lessens an invoice goes its way with what it lessens.

Before, only parts of the sign of the amount moved: of an invoice with a correction on it the first parts were billed up
to the net, and as much of the rest as the correction took away stayed in draft with it, for ever.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

MOVE = """
-- A place that a move empties goes whole, with what lessens it; else parts of the amount's sign go until it is reached,
-- and the last one is split. A move names an item, a document or a line of it, or an item on a document.
CREATE OR REPLACE FUNCTION ledger_move(moves json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m record;
    p record;
    place text;
    rest numeric;
    there numeric;
    whole boolean;
BEGIN
    FOR m IN SELECT * FROM json_to_recordset(moves) AS x (entry text, item_id text, document text, out_of text[],
        placed_in text, amount numeric, into_document text, into_line integer, reference text, cause text,
        posted_at timestamptz, at_most boolean, line integer, refills text, again text)
    LOOP
        IF m.again IS NOT NULL THEN
            INSERT INTO work_to_rate (entry_id, revision, engagement, legal_entity, worked_on, again)
            SELECT DISTINCT w.id, w.revision, w.engagement, w.legal_entity, w.worked_on, m.again
            FROM item_part q JOIN billable_item i ON i.id = q.item_id AND i.kind IN ('time', 'expense', 'usage')
                AND i.reverses IS NULL
            JOIN work_entry w ON w.id = i.source_id AND w.current AND w.engagement = i.engagement
                AND w.legal_entity = i.legal_entity
            WHERE q.document = m.document AND q.line = m.line
                AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
            ON CONFLICT DO NOTHING;
            PERFORM pg_notify('accord_work', '');
            CONTINUE;
        END IF;
        IF m.item_id IS NOT NULL THEN
            CONTINUE WHEN EXISTS (SELECT FROM transfer t WHERE t.item_id = m.item_id AND t.entry = m.entry);
        ELSE
            CONTINUE WHEN EXISTS (SELECT FROM transfer t JOIN item_part q ON q.item_id = t.item_id
                WHERE q.document = m.document AND t.entry = m.entry);
        END IF;
        IF m.out_of[1] = 'approved' THEN
            INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity,
                worked_on, document, line, entry, came_from, cause, reference, posted_at)
            SELECT i.id, 1 + coalesce((SELECT max(q.part) FROM item_part q WHERE q.item_id = i.id), 0), i.engagement,
                i.legal_entity, i.currency, m.placed_in, m.amount, i.quantity,
                coalesce(i.worked_on, (i.approved_at AT TIME ZONE 'UTC')::date), m.into_document, m.into_line, m.entry,
                'approved', m.cause, m.reference, m.posted_at
            FROM billable_item i WHERE i.id = m.item_id;
            CONTINUE;
        END IF;
        rest := m.amount;
        IF m.refills IS NOT NULL THEN
            rest := coalesce((SELECT sum(t.amount) FROM transfer t WHERE t.out_of = 'collected'
                AND starts_with(t.entry, m.refills)
                AND t.item_id IN (SELECT q.item_id FROM item_part q WHERE q.document = m.document)), 0) - m.amount;
            CONTINUE WHEN rest <= 0;
        END IF;
        FOREACH place IN ARRAY m.out_of LOOP
            EXIT WHEN rest = 0 AND place <> m.out_of[1];
            SELECT coalesce(sum(q.amount), 0) INTO there FROM item_part q
            WHERE (m.document IS NULL AND q.item_id = m.item_id
                    OR q.document = m.document AND q.item_id = coalesce(m.item_id, q.item_id))
                AND q.line IS NOT DISTINCT FROM coalesce(m.line, q.line) AND q.disposition = place;
            whole := abs(there) <= abs(rest) AND sign(there) IN (0, sign(rest));
            FOR p IN SELECT q.* FROM item_part q
                WHERE (m.document IS NULL AND q.item_id = m.item_id
                        OR q.document = m.document AND q.item_id = coalesce(m.item_id, q.item_id))
                    AND q.line IS NOT DISTINCT FROM coalesce(m.line, q.line) AND q.disposition = place
                    AND (whole OR sign(q.amount) = sign(rest))
                ORDER BY q.line, q.item_id, q.part FOR UPDATE
            LOOP
                EXIT WHEN rest = 0 AND NOT whole;
                IF whole OR abs(p.amount) <= abs(rest) THEN
                    UPDATE item_part SET disposition = m.placed_in, document = coalesce(m.into_document, document),
                        line = coalesce(m.into_line, line), entry = m.entry, cause = m.cause, reference = m.reference,
                        posted_at = m.posted_at
                    WHERE item_id = p.item_id AND part = p.part;
                    rest := rest - p.amount;
                ELSE
                    WITH cut AS (
                        UPDATE item_part SET amount = p.amount - rest,
                            quantity = p.quantity - p.quantity * rest / p.amount
                        WHERE item_id = p.item_id AND part = p.part RETURNING item_id
                    )
                    INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount,
                        quantity, worked_on, document, line, entry, came_from, cause, reference, posted_at)
                    SELECT p.item_id, 1 + (SELECT max(q.part) FROM item_part q WHERE q.item_id = p.item_id),
                        p.engagement, p.legal_entity, p.currency, m.placed_in, rest, p.quantity * rest / p.amount,
                        p.worked_on, coalesce(m.into_document, p.document), coalesce(m.into_line, p.line), m.entry,
                        p.disposition, m.cause, m.reference, m.posted_at
                    FROM cut;
                    rest := 0;
                END IF;
            END LOOP;
        END LOOP;
        IF rest <> 0 AND NOT coalesce(m.at_most, false) THEN
            RAISE EXCEPTION 'entry %: % of % are not in % (billed twice, or moved meanwhile)', m.entry, rest,
                coalesce(m.document, m.item_id), array_to_string(m.out_of, ' or ')
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
END $$;
"""
# What was left behind in draft by invoices that are issued lies with the rest of its invoice.
LEFT_BEHIND = """
UPDATE item_part p SET disposition = 'billed', entry = 'left behind ' || p.part, cause = 'its invoice is issued',
    reference = NULL
FROM proposal d WHERE d.id = p.document AND d.status = 'issued' AND p.disposition = 'draft';
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(MOVE)
    op.execute(LEFT_BEHIND)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
