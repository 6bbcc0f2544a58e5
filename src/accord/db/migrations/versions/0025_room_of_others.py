"""Room that work leaves that is taken back or transferred: under caps, and in retainers, which are drawn again."""

from alembic import op

revision = "0025"
down_revision = "0024"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

ROOM = """
ALTER TABLE cap_to_fit ADD COLUMN redrawn boolean NOT NULL DEFAULT false,
    ADD COLUMN transferred boolean NOT NULL DEFAULT false;
INSERT INTO allowed_move VALUES ('wip', 'drawn'), ('draft', 'drawn'), ('over_cap', 'drawn'), ('drawn', 'over_cap'),
    ('held', 'over_cap')
    ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(ROOM)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
