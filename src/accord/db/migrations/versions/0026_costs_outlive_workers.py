"""What writes cost at a vendor outlives the worker that measured it; whether a worker is at it is shown."""

from alembic import op

revision = "0026"
down_revision = "0025"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

COSTS = """
ALTER TABLE budget ADD COLUMN costs jsonb NOT NULL DEFAULT '{}';
ALTER TABLE budget_share ADD COLUMN resting boolean NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(COSTS)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
