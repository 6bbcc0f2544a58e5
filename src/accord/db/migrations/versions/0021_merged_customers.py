"""Customers that were merged into another are found by it."""

from alembic import op

revision = "0021"
down_revision = "0020"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

MERGED = """
CREATE INDEX record_merged ON record ((body ->> 'merged_into')) WHERE kind = 'customer' AND deleted;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(MERGED)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
