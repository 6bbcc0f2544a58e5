"""What finance pages read at once whatever the firm has billed: receivables, what was unexplained at the last check."""

from alembic import op

revision = "0010"
down_revision = "0009"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

RECEIVABLES = """
-- Invoices as amounts and dates: the documents themselves are long, and a sum over them would read them all.
CREATE TABLE receivable (
    invoice_id   text PRIMARY KEY,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    engagement   text,
    customer     text,
    number       text,
    origin       text NOT NULL,
    status       text NOT NULL,
    issued_on    date,
    due_on       date,
    net          numeric NOT NULL,
    gross        numeric NOT NULL,
    paid         numeric NOT NULL,
    disputed     boolean NOT NULL,
    -- When we first knew it issued, and paid in full.
    issued_at    timestamptz,
    paid_at      timestamptz
) WITH (fillfactor = 80);
CREATE INDEX receivable_open ON receivable (legal_entity, currency, due_on, invoice_id) WHERE status = 'open';
CREATE INDEX receivable_issued ON receivable (issued_on, invoice_id) INCLUDE (legal_entity, currency, status, gross);

-- The row of an invoice is changed only under the lock of its record, so no two writers can wait for each other here.
CREATE FUNCTION keep_receivable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := CASE WHEN NEW.deleted THEN 'void' ELSE coalesce(NEW.body ->> 'status', 'draft') END;
BEGIN
    INSERT INTO receivable AS r (invoice_id, legal_entity, currency, engagement, customer, number, origin, status,
        issued_on, due_on, net, gross, paid, disputed, issued_at, paid_at)
    VALUES (NEW.id, coalesce(NEW.body ->> 'legal_entity', ''), NEW.body ->> 'currency', NEW.correlation,
        NEW.body ->> 'customer_id', NEW.body ->> 'number', coalesce(NEW.body ->> 'origin', ''), told,
        (NEW.body ->> 'issued_on')::date, (NEW.body ->> 'due_on')::date,
        coalesce((NEW.body -> 'net' ->> 'amount')::numeric, 0), (NEW.body -> 'gross' ->> 'amount')::numeric,
        coalesce((NEW.body -> 'paid' ->> 'amount')::numeric, 0), coalesce((NEW.body ->> 'disputed')::boolean, false),
        CASE WHEN told <> 'draft' THEN NEW.changed_at END, CASE WHEN told = 'paid' THEN NEW.changed_at END)
    ON CONFLICT (invoice_id) DO UPDATE SET legal_entity = excluded.legal_entity, currency = excluded.currency,
        engagement = excluded.engagement, customer = excluded.customer, number = excluded.number,
        origin = excluded.origin, status = excluded.status, issued_on = excluded.issued_on, due_on = excluded.due_on,
        net = excluded.net, gross = excluded.gross, paid = excluded.paid, disputed = excluded.disputed,
        issued_at = coalesce(r.issued_at, excluded.issued_at),
        paid_at = CASE WHEN excluded.status = 'paid' THEN coalesce(r.paid_at, excluded.paid_at) END;
    RETURN NULL;
END $$;
CREATE TRIGGER record_keeps_receivable AFTER INSERT OR UPDATE ON record FOR EACH ROW
    WHEN (NEW.kind = 'invoice' AND NEW.body -> 'gross' ->> 'amount' IS NOT NULL AND NEW.body ->> 'currency' IS NOT NULL)
    EXECUTE FUNCTION keep_receivable();

INSERT INTO receivable (invoice_id, legal_entity, currency, engagement, customer, number, origin, status, issued_on,
    due_on, net, gross, paid, disputed, issued_at, paid_at)
SELECT r.id, coalesce(r.body ->> 'legal_entity', ''), r.body ->> 'currency', r.correlation, r.body ->> 'customer_id',
    r.body ->> 'number', coalesce(r.body ->> 'origin', ''),
    CASE WHEN r.deleted THEN 'void' ELSE coalesce(r.body ->> 'status', 'draft') END,
    (r.body ->> 'issued_on')::date, (r.body ->> 'due_on')::date, coalesce((r.body -> 'net' ->> 'amount')::numeric, 0),
    (r.body -> 'gross' ->> 'amount')::numeric, coalesce((r.body -> 'paid' ->> 'amount')::numeric, 0),
    coalesce((r.body ->> 'disputed')::boolean, false), v.issued_at,
    CASE WHEN r.body ->> 'status' = 'paid' THEN v.paid_at END
FROM record r
LEFT JOIN LATERAL (
    SELECT min(changed_at) FILTER (WHERE body ->> 'status' <> 'draft') AS issued_at,
        min(changed_at) FILTER (WHERE body ->> 'status' = 'paid') AS paid_at
    FROM record_version v WHERE v.kind = 'invoice' AND v.id = r.id) v ON true
WHERE r.kind = 'invoice' AND r.body -> 'gross' ->> 'amount' IS NOT NULL AND r.body ->> 'currency' IS NOT NULL;
"""

UNEXPLAINED = """
CREATE TABLE unexplained_check (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    seconds    double precision NOT NULL,
    found      integer NOT NULL,
    -- False when there was more than is kept.
    complete   boolean NOT NULL
);

-- What the last check found, with its age; a thing that is explained again goes.
CREATE TABLE unexplained_item (
    subject      text NOT NULL,
    what         text NOT NULL,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    amount       numeric,
    first_seen   timestamptz NOT NULL,
    last_seen    timestamptz NOT NULL,
    PRIMARY KEY (subject, what)
);
"""

PROPOSALS = """
-- Everybody who changed the amount, not only the last one: none of them may approve it.
ALTER TABLE proposal ADD COLUMN changers text[] NOT NULL DEFAULT '{}', ADD COLUMN work_approved_at timestamptz;
UPDATE proposal SET changers = ARRAY[changed_by] WHERE changed_by IS NOT NULL;
UPDATE proposal d SET work_approved_at = a.at
FROM (
    SELECT p.document AS id, max(i.approved_at) AS at FROM item_part p JOIN billable_item i ON i.id = p.item_id
    WHERE p.document IN (SELECT id FROM proposal WHERE status IN ('approved', 'issued')) GROUP BY 1
) a WHERE d.id = a.id;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    for part in (RECEIVABLES, UNEXPLAINED, PROPOSALS):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
