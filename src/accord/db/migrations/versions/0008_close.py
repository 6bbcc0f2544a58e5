"""Closing a period: who began and ended it, what was seen, who agreed to what, and what was accrued."""

from alembic import op

revision = "0008"
down_revision = "0007"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

CLOSE = """
ALTER TABLE accounting_period DROP CONSTRAINT accounting_period_state_check;
ALTER TABLE accounting_period ADD COLUMN closing_at timestamptz, ADD COLUMN closing_by text,
    ADD CONSTRAINT accounting_period_state_check CHECK (state IN ('open', 'closing', 'closed'));

-- What a look at the gate found, line by line: the last one, and so the one a period was closed with.
CREATE TABLE close_look (
    legal_entity text NOT NULL,
    period       text NOT NULL,
    looked_at    timestamptz NOT NULL,
    lines        jsonb NOT NULL,
    PRIMARY KEY (legal_entity, period)
);

-- What one person asks for and another agrees to: closing over a line of the gate, or opening again.
CREATE TABLE close_consent (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    legal_entity text NOT NULL,
    period       text NOT NULL,
    what         text NOT NULL,
    reason       text NOT NULL,
    asked_by     text NOT NULL,
    asked_at     timestamptz NOT NULL,
    agreed_by    text CHECK (agreed_by <> asked_by),
    agreed_at    timestamptz,
    used_at      timestamptz
);
CREATE UNIQUE INDEX close_consent_standing ON close_consent (legal_entity, period, what) WHERE used_at IS NULL;

-- Work that waited for its approval when a period was closed, at the price it would have had; reversed in the next.
CREATE TABLE period_accrual (
    legal_entity text NOT NULL,
    period       text NOT NULL,
    entry_id     text NOT NULL,
    engagement   text NOT NULL,
    currency     text NOT NULL,
    amount       numeric NOT NULL,
    reversed_in  text NOT NULL,
    PRIMARY KEY (legal_entity, period, entry_id)
);

ALTER TABLE late_work ADD COLUMN engagement text, ADD COLUMN accrued numeric;
CREATE TABLE late_look (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    looked_to timestamptz NOT NULL
);
INSERT INTO late_look (looked_to) VALUES (now());

-- By the clock and not by the start of the transaction: closing waits for those that write, and what they write
-- afterwards must be told as later than the closing.
ALTER TABLE billable_item ALTER COLUMN recorded_at SET DEFAULT clock_timestamp();
CREATE INDEX billable_item_recorded ON billable_item USING brin (recorded_at);
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(CLOSE)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
