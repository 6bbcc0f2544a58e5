"""Breaks between systems with their age, and the accounting periods of each legal entity."""

from alembic import op

revision = "0006"
down_revision = "0005"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
-- A difference between two systems, from the run that first saw it to the run that no more did.
CREATE TABLE reconciliation_break (
    match        text NOT NULL,
    key          text NOT NULL,
    legal_entity text,
    currency     text,
    engagement   text,
    ours         numeric,
    theirs       numeric,
    difference   numeric NOT NULL,
    first_seen   timestamptz NOT NULL,
    last_seen    timestamptz NOT NULL,
    owner        text NOT NULL,
    attested_by  text,
    attestation  text,
    PRIMARY KEY (match, key)
);
CREATE INDEX reconciliation_break_amount ON reconciliation_break (legal_entity, currency, abs(difference) DESC);

CREATE TABLE reconciliation_run (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    match      text NOT NULL,
    ours       bigint NOT NULL,
    theirs     bigint NOT NULL,
    matched    bigint NOT NULL,
    breaks     bigint NOT NULL,
    sees       boolean NOT NULL
);
CREATE INDEX reconciliation_run_match ON reconciliation_run (match, id DESC);

CREATE TABLE accounting_period (
    legal_entity text NOT NULL,
    period       text NOT NULL,
    starts_on    date NOT NULL,
    ends_on      date NOT NULL,
    late_work    text NOT NULL DEFAULT 'next_period'
        CHECK (late_work IN ('next_period', 'accrue_and_reverse', 'reopen')),
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    closed_at    timestamptz,
    closed_by    text,
    PRIMARY KEY (legal_entity, period),
    CHECK (starts_on <= ends_on)
);
CREATE UNIQUE INDEX accounting_period_day ON accounting_period (legal_entity, starts_on);

-- What became of work that was approved after its period was closed.
CREATE TABLE late_work (
    item_id      text PRIMARY KEY,
    legal_entity text NOT NULL,
    period       text NOT NULL,
    policy       text NOT NULL,
    outcome      text NOT NULL,
    booked_in    text,
    amount       numeric NOT NULL,
    currency     text NOT NULL,
    decided_at   timestamptz NOT NULL
);
CREATE INDEX late_work_period ON late_work (legal_entity, period);
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
