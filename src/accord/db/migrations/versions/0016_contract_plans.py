"""Contract changes as plans: proposed with their impact, applied by another person, and taken back step by step."""

from alembic import op

revision = "0016"
down_revision = "0015"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
CREATE TABLE contract_plan (
    id           text PRIMARY KEY,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    body         jsonb NOT NULL,
    impact       jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'applied', 'taken_back', 'dropped')),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL,
    applied_by   text CHECK (applied_by <> proposed_by),
    applied_at   timestamptz,
    taken_back_by text,
    taken_back_at timestamptz,
    -- What was agreed before: terms, milestones and revenue, from which it is taken back.
    before       jsonb
);
CREATE INDEX contract_plan_engagement ON contract_plan (engagement, legal_entity, proposed_at);

-- The journal: what each step brought from where to where, and what came of it.
CREATE TABLE contract_plan_step (
    plan_id text NOT NULL REFERENCES contract_plan (id),
    nth     integer NOT NULL,
    verb    text NOT NULL,
    subject text NOT NULL,
    before  text NOT NULL,
    after   text NOT NULL,
    outcome text NOT NULL,
    undoes  boolean NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (plan_id, nth)
);
CREATE TRIGGER contract_plan_step_is_append_only BEFORE UPDATE OR DELETE ON contract_plan_step
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
