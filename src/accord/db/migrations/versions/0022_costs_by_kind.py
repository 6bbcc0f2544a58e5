"""What the writes of each kind cost at a vendor, for the time to drain.

`pace` and `begun`, which it replaces, stay while workers of the earlier release may still write them.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

COSTS = """
ALTER TABLE budget_share ADD COLUMN under_way double precision, ADD COLUMN costs jsonb;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(COSTS)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
