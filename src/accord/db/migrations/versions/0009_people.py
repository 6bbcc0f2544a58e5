"""Who works for the firm, how many hours and when not: what time is expected from whom, and what an hour costs."""

from alembic import op

revision = "0009"
down_revision = "0008"

# The old code still serves while this runs. Nobody queues for a lock.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
-- One spell of a person's work: other hours, manager, practice or cost from a day on is another spell.
CREATE TABLE person_spell (
    worker         text    NOT NULL,
    valid_from     date    NOT NULL,
    valid_to       date,
    name           text    NOT NULL,
    legal_entity   text    NOT NULL,
    manager        text,
    role           text,
    practice       text,
    calendar       text    NOT NULL DEFAULT '',
    workdays       integer[] NOT NULL,
    hours_per_week numeric NOT NULL CHECK (hours_per_week >= 0),
    cost_per_hour  numeric,
    cost_currency  text,
    declared_by    text    NOT NULL,
    declared_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (worker, valid_from),
    CHECK (cardinality(workdays) BETWEEN 1 AND 7)
);
CREATE INDEX person_spell_manager ON person_spell (manager);
-- `ends_on` is the last day of a spell: its own, or the day before the next one begins.
CREATE VIEW employment AS
SELECT s.*, least(valid_to, lead(valid_from) OVER (PARTITION BY worker ORDER BY valid_from) - 1) AS ends_on
FROM person_spell s;

-- A day, or `hours` of it, on which a person does not work.
CREATE TABLE time_off (
    worker      text NOT NULL,
    day         date NOT NULL,
    hours       numeric CHECK (hours >= 0),
    declared_by text NOT NULL,
    PRIMARY KEY (worker, day)
);
CREATE TABLE holiday (
    calendar text NOT NULL,
    day      date NOT NULL,
    name     text NOT NULL,
    PRIMARY KEY (calendar, day)
);

-- Time of a period by person. Days repeat thousands of times, so the index is small.
CREATE INDEX work_entry_worked ON work_entry (worked_on, worker) WHERE current AND kind = 'time';
-- Milestones and subscription periods: few beside the time.
CREATE INDEX billable_item_scheduled ON billable_item (engagement) WHERE kind IN ('milestone', 'subscription_period');
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
