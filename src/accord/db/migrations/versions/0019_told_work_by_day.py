"""Work told by vendors is found by its day, for a look whether it is still there."""

from alembic import op

revision = "0019"
down_revision = "0018"

# Old code writes no day; what it takes in is looked for once it is told again. The table is new and small.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
ALTER TABLE told_work ADD COLUMN last_day date;  -- the latest day of its entries
UPDATE told_work t SET last_day = (SELECT max(w.worked_on) FROM work_entry w WHERE w.id = ANY(t.entries) AND w.current);
DROP INDEX told_work_seen;
CREATE INDEX told_work_recent ON told_work (connection, kind, last_day, vendor_id)
    WHERE NOT gone AND cardinality(entries) > 0;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
