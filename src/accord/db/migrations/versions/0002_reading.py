"""What pages and lists read by, the scope of a deal, and answers under idempotency keys."""

from alembic import op

revision = "0002"
down_revision = "0001"

# The old code still serves while this runs. A lock that cannot be had at once is given up, so nobody queues for it.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
CREATE INDEX business_case_resolved ON business_case (resolved_at DESC, id DESC) WHERE state = 'resolved';
CREATE INDEX record_number ON record ((body ->> 'number')) WHERE kind IN ('deal', 'project', 'invoice');
CREATE INDEX record_deal_name ON record (lower(body ->> 'name')) WHERE kind = 'deal';
CREATE INDEX record_words ON record USING gin (to_tsvector('simple', coalesce(body ->> 'name', body ->> 'legal_name')))
    WHERE kind IN ('deal', 'customer');
CREATE INDEX record_deal_customer ON record ((body ->> 'customer_id')) WHERE kind = 'deal';
CREATE INDEX waiting_effect_connection ON waiting_effect (connection, since);
CREATE INDEX audit_entry_about ON audit_entry (about, id);

-- What a program was answered under its idempotency key, so that asking again does nothing again.
CREATE TABLE api_request (
    key_id          text        NOT NULL,
    idempotency_key text        NOT NULL,
    digest          bytea       NOT NULL,
    status          smallint    NOT NULL,
    answer          json        NOT NULL,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (key_id, idempotency_key)
);

-- Whether any part of a deal (itself, a phase, a milestone, a service) belongs to one of these legal entities.
CREATE FUNCTION of_entities(body jsonb, entities text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_path_exists(body, '$.**.legal_entity ? (@ == $wanted[*])',
        jsonb_build_object('wanted', to_jsonb(entities)))
$$;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
