"""How fast each worker gets writes done at a vendor, from which the time to drain is told."""

from alembic import op

revision = "0007"
down_revision = "0006"

# The old code still serves while this runs, and says nothing of its pace. Nobody queues for the lock.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
ALTER TABLE budget_share ADD COLUMN pace double precision, ADD COLUMN begun double precision NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
