"""After the invoice: credits, refunds and write-offs that one person asks for and another approves; moves by line."""

from alembic import op

revision = "0012"
down_revision = "0011"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

ADJUSTMENTS = """
-- A change of money that a person asks for. The one who decides is another: the table itself says so.
CREATE TABLE adjustment (
    id           text PRIMARY KEY,
    kind         text NOT NULL,
    about        text NOT NULL,
    engagement   text,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    amount       numeric NOT NULL,
    reason       text NOT NULL,
    body         jsonb NOT NULL,
    status       text NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'approved', 'refused')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    decided_by   text,
    decided_at   timestamptz,
    decision     text,
    CHECK (status <> 'approved' OR decided_by <> requested_by)
);
CREATE INDEX adjustment_open ON adjustment (requested_at, id) WHERE status = 'requested';
CREATE INDEX adjustment_about ON adjustment (about, kind);

-- Work that has its price and gets it anew: why, which is also part of the name of its new item.
ALTER TABLE work_to_rate ADD COLUMN again text;
ALTER TABLE work_unpriced ADD COLUMN again text;
"""

MOVES = """
-- A debt that was given up is paid after all.
INSERT INTO allowed_move VALUES ('written_off', 'billed') ON CONFLICT DO NOTHING;

-- As before, and now: of one line of a document; with what lessens a document; and filling up again what a credit took
-- out of what was collected.
CREATE OR REPLACE FUNCTION ledger_move(moves json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m record;
    p record;
    rest numeric;
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
        IF m.document IS NULL THEN
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
        FOR p IN SELECT q.* FROM item_part q
            WHERE CASE WHEN m.document IS NULL THEN q.item_id = m.item_id ELSE q.document = m.document END
              AND (m.line IS NULL OR q.line = m.line) AND q.disposition = ANY (m.out_of)
              AND (sign(q.amount) = sign(rest) OR m.document IS NOT NULL AND q.amount * rest < 0)
            -- What lessens a document goes first and whole: the rest is taken of what is left of it.
            ORDER BY array_position(m.out_of, q.disposition), sign(q.amount) = sign(rest), q.line, q.item_id, q.part
            FOR UPDATE
        LOOP
            EXIT WHEN rest = 0 AND p.amount <> 0;
            IF sign(p.amount) <> sign(rest) OR abs(p.amount) <= abs(rest) THEN
                UPDATE item_part SET disposition = m.placed_in, document = coalesce(m.into_document, document),
                    line = coalesce(m.into_line, line), entry = m.entry, cause = m.cause, reference = m.reference,
                    posted_at = m.posted_at
                WHERE item_id = p.item_id AND part = p.part;
                rest := rest - p.amount;
            ELSE
                WITH cut AS (
                    UPDATE item_part SET amount = p.amount - rest, quantity = p.quantity - p.quantity * rest / p.amount
                    WHERE item_id = p.item_id AND part = p.part RETURNING item_id
                )
                INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity,
                    worked_on, document, line, entry, came_from, cause, reference, posted_at)
                SELECT p.item_id, 1 + (SELECT max(q.part) FROM item_part q WHERE q.item_id = p.item_id), p.engagement,
                    p.legal_entity, p.currency, m.placed_in, rest, p.quantity * rest / p.amount, p.worked_on,
                    coalesce(m.into_document, p.document), coalesce(m.into_line, p.line), m.entry, p.disposition,
                    m.cause, m.reference, m.posted_at
                FROM cut;
                rest := 0;
            END IF;
        END LOOP;
        IF rest <> 0 AND NOT coalesce(m.at_most, false) THEN
            RAISE EXCEPTION 'entry %: % of % are not in % (billed twice, or moved meanwhile)', m.entry, rest,
                coalesce(m.document, m.item_id), array_to_string(m.out_of, ' or ')
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
END $$;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(ADJUSTMENTS)
    op.execute(MOVES)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
