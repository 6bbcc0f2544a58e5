"""What is open of an invoice after credits, write-offs and money that went back."""

from alembic import op

revision = "0017"
down_revision = "0016"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
-- `reduced` need not be paid any more: credits and write-offs, gross. `paid` is what was paid and has not gone back.
ALTER TABLE receivable ADD COLUMN reduced numeric NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION keep_receivable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := CASE WHEN NEW.deleted THEN 'void' ELSE coalesce(NEW.body ->> 'status', 'draft') END;
BEGIN
    INSERT INTO receivable AS r (invoice_id, legal_entity, currency, engagement, customer, number, origin, status,
        issued_on, due_on, net, gross, paid, reduced, disputed, issued_at, paid_at)
    VALUES (NEW.id, coalesce(NEW.body ->> 'legal_entity', ''), NEW.body ->> 'currency', NEW.correlation,
        NEW.body ->> 'customer_id', NEW.body ->> 'number', coalesce(NEW.body ->> 'origin', ''), told,
        (NEW.body ->> 'issued_on')::date, (NEW.body ->> 'due_on')::date,
        coalesce((NEW.body -> 'net' ->> 'amount')::numeric, 0), (NEW.body -> 'gross' ->> 'amount')::numeric,
        coalesce((NEW.body -> 'paid' ->> 'amount')::numeric, 0)
            - coalesce((NEW.body -> 'returned' ->> 'amount')::numeric, 0),
        coalesce((NEW.body -> 'credited' ->> 'amount')::numeric, 0)
            + coalesce((NEW.body -> 'written_off' ->> 'amount')::numeric, 0),
        coalesce((NEW.body ->> 'disputed')::boolean, false),
        CASE WHEN told <> 'draft' THEN NEW.changed_at END, CASE WHEN told = 'paid' THEN NEW.changed_at END)
    ON CONFLICT (invoice_id) DO UPDATE SET legal_entity = excluded.legal_entity, currency = excluded.currency,
        engagement = excluded.engagement, customer = excluded.customer, number = excluded.number,
        origin = excluded.origin, status = excluded.status, issued_on = excluded.issued_on, due_on = excluded.due_on,
        net = excluded.net, gross = excluded.gross, paid = excluded.paid, reduced = excluded.reduced,
        disputed = excluded.disputed, issued_at = coalesce(r.issued_at, excluded.issued_at),
        paid_at = CASE WHEN excluded.status = 'paid' THEN coalesce(r.paid_at, excluded.paid_at) END;
    RETURN NULL;
END $$;

UPDATE receivable r SET paid = x.paid, reduced = x.reduced
FROM (
    SELECT i.id, coalesce((i.body -> 'paid' ->> 'amount')::numeric, 0)
            - coalesce((i.body -> 'returned' ->> 'amount')::numeric, 0) AS paid,
        coalesce((i.body -> 'credited' ->> 'amount')::numeric, 0)
            + coalesce((i.body -> 'written_off' ->> 'amount')::numeric, 0) AS reduced
    FROM record i WHERE i.kind = 'invoice'
) x WHERE x.id = r.invoice_id AND (r.paid, r.reduced) IS DISTINCT FROM (x.paid, x.reduced);
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
