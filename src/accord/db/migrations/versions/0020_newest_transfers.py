"""The newest transfers are found without reading the journal: a page says when the ledger was last moved."""

from alembic import op

revision = "0020"
down_revision = "0019"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = "CREATE INDEX transfer_newest ON transfer (id)"


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
