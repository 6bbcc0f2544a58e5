"""Work as vendors' records tell it: which entries each became, how new that was, and what waits for a binding."""

from alembic import op

revision = "0014"
down_revision = "0013"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
CREATE TABLE told_work (
    connection text        NOT NULL,
    kind       text        NOT NULL,
    vendor_id  text        NOT NULL,
    place      text        NOT NULL,
    version    text        NOT NULL,
    -- Of what it said; none when it was missed since.
    digest     text,
    -- When the vendor made it, as the vendor writes it: an id that is born twice is another record.
    born_at    text,
    -- The entries it became, those that were deleted since left out.
    entries    text[]      NOT NULL DEFAULT '{}',
    gone       boolean     NOT NULL DEFAULT false,
    -- The record itself, as long as something of it is not bound, and what would bind it.
    held       jsonb,
    wants      text[]      NOT NULL DEFAULT '{}',
    held_at    timestamptz,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (connection, kind, vendor_id)
) WITH (fillfactor = 80);
CREATE INDEX told_work_held ON told_work (connection, held_at) WHERE held IS NOT NULL;
-- Those that a look whether they are still there begins with.
CREATE INDEX told_work_seen ON told_work (connection, kind, seen_at) WHERE NOT gone AND cardinality(entries) > 0;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
