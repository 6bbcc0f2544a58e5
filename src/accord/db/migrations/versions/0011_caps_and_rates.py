"""What a raised or lowered cap moves, and published rates of exchange."""

from alembic import op

revision = "0011"
down_revision = "0010"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
-- Rates of exchange as their source published them: none is ever changed, so that what was priced by one can be priced
-- by it again.
CREATE TABLE exchange_rate (
    source       text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('daily', 'month_average')),
    base         text NOT NULL,
    quote        text NOT NULL,
    effective_on date NOT NULL,
    rate         numeric NOT NULL CHECK (rate > 0),
    loaded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, kind, base, quote, effective_on)
);
CREATE TRIGGER exchange_rate_is_append_only BEFORE UPDATE OR DELETE ON exchange_rate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A lowered cap reaches what is in a draft; nothing else there changes.
INSERT INTO allowed_move VALUES ('draft', 'over_cap');

-- Engagements whose terms have changed: what lies over their caps may have room now.
CREATE TABLE cap_to_fit (
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (engagement, legal_entity)
);

-- What a part that went from over a cap to WIP, or back, added to each counter: the item itself says only what it added
-- when it was priced.
CREATE TABLE cap_move (
    item_id       text NOT NULL,
    part          integer NOT NULL,
    entry         text NOT NULL,
    counter       text NOT NULL,
    added         numeric NOT NULL,
    reached       numeric NOT NULL,
    terms_version integer NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (item_id, part, entry, counter)
);
CREATE TRIGGER cap_move_is_append_only BEFORE UPDATE OR DELETE ON cap_move
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
