"""Revenue: declared contracts, estimates and acceptances; the schedule kept by version; what the ERP has booked."""

from alembic import op

revision = "0013"
down_revision = "0012"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
CREATE TABLE revenue_contract (
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    version      integer NOT NULL,
    body         jsonb NOT NULL,
    declared_by  text NOT NULL,
    declared_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (engagement, legal_entity, version)
);
CREATE TRIGGER revenue_contract_is_append_only BEFORE UPDATE OR DELETE ON revenue_contract
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What is still to come at the end of a period, in a currency or in hours ('h'); the last word counts.
CREATE TABLE revenue_estimate (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    engagement    text NOT NULL,
    legal_entity  text NOT NULL,
    obligation_id text NOT NULL,
    period        text NOT NULL,
    unit          text NOT NULL,
    to_complete   numeric NOT NULL CHECK (to_complete >= 0),
    told_by       text NOT NULL,
    told_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX revenue_estimate_of ON revenue_estimate (engagement, legal_entity, obligation_id, period, id);
CREATE TRIGGER revenue_estimate_is_append_only BEFORE UPDATE OR DELETE ON revenue_estimate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE revenue_acceptance (
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    about        text NOT NULL,
    accepted_on  date NOT NULL,
    evidence     text NOT NULL,
    told_by      text NOT NULL,
    told_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (engagement, legal_entity, about)
);

-- Progress is a fraction: `done` of `whole`, both whole numbers. A later version of a row never takes the earlier away.
CREATE TABLE revenue_row (
    engagement    text NOT NULL,
    legal_entity  text NOT NULL,
    obligation_id text NOT NULL,
    period        text NOT NULL,
    version       integer NOT NULL,
    price         numeric NOT NULL,
    done          numeric NOT NULL,
    whole         numeric NOT NULL,
    cumulative    numeric NOT NULL,
    recognised    numeric NOT NULL,
    caught_up     numeric NOT NULL,
    currency      text NOT NULL,
    told          text NOT NULL,
    kept_at       timestamptz NOT NULL,
    PRIMARY KEY (engagement, legal_entity, obligation_id, period, version)
);
CREATE TRIGGER revenue_row_is_append_only BEFORE UPDATE OR DELETE ON revenue_row
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The ERP's schedule as it told it: to compare with, never to replace.
CREATE TABLE booked_revenue (
    legal_entity  text NOT NULL,
    obligation_id text NOT NULL,
    period        text NOT NULL,
    reference     text NOT NULL,
    amount        numeric NOT NULL,
    currency      text NOT NULL,
    loaded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (legal_entity, obligation_id, period, reference)
);
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
