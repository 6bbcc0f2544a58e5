"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

# The old code still serves while this runs: add, fill, and only in a later release remove. A lock that cannot be had at
# once is given up, so that nobody queues behind it.
LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
