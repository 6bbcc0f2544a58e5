"""Caps that may be exceeded without having been lowered: a correction that had made room was taken back."""

from alembic import op

revision = "0024"
down_revision = "0023"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

EXCEEDED = """
ALTER TABLE cap_to_fit ADD COLUMN exceeded boolean NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(EXCEEDED)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
