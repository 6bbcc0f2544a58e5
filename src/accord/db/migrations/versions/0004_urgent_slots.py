"""How much of what a worker wants of a vendor's slots is urgent: others give up slots for it."""

from alembic import op

revision = "0004"
down_revision = "0003"

# The old code still serves while this runs, and says nothing of urgency. Nobody queues for the lock.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
ALTER TABLE budget_share ADD COLUMN urgent integer NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
