"""Totals are found by what lies somewhere now, not by everything that ever did."""

from alembic import op

revision = "0018"
down_revision = "0017"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

# What lies nowhere any more keeps its row, and a page that adds up what lies somewhere must not read years of them. Any
# move changes the number of parts, so such an index costs every move its HOT update: a row or two of a small table.
TOTALS = """
CREATE INDEX ledger_total_lying ON ledger_total (disposition, legal_entity, currency, month) WHERE parts <> 0;
DROP INDEX ledger_total_disposition;
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(TOTALS)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
