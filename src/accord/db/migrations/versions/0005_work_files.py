"""Files of work: which were taken, what each row of them became, and what a folder looked like last time."""

from alembic import op

revision = "0005"
down_revision = "0004"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

SCHEMA = """
CREATE TABLE work_file (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source    text        NOT NULL,
    hash      text        NOT NULL,
    name      text        NOT NULL,
    series    text        NOT NULL,
    version   integer     NOT NULL,
    encoding  text,
    shown_by  text,
    mapping   integer     NOT NULL,
    state     text        NOT NULL CHECK (state IN ('taken', 'refused')),
    reason    text,
    rows      integer     NOT NULL DEFAULT 0,
    entries   integer     NOT NULL DEFAULT 0,
    problems  integer     NOT NULL DEFAULT 0,
    gone      integer     NOT NULL DEFAULT 0,
    hours     numeric     NOT NULL DEFAULT 0,
    corrected_by bigint   REFERENCES work_file (id),
    taken_at  timestamptz NOT NULL,
    -- When the newest binding of its projects was declared that it was read with.
    bound_at  timestamptz,
    UNIQUE (source, hash)
);
CREATE INDEX work_file_series ON work_file (source, series) WHERE corrected_by IS NULL;

-- The file that told a row last owns it: only a correction of that file can say that it is gone.
CREATE TABLE work_file_row (
    source   text    NOT NULL,
    row_key  text    NOT NULL,
    entry_id text    NOT NULL,
    revision integer NOT NULL,
    digest   bytea   NOT NULL,
    file_id  bigint  NOT NULL REFERENCES work_file (id),
    line     integer NOT NULL,
    gone     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source, row_key)
);
CREATE INDEX work_file_row_file ON work_file_row (file_id);

-- A file that still grows has another size or time at the next look; one with a hash was read as it lies there.
CREATE TABLE work_file_sighting (
    source      text        NOT NULL,
    name        text        NOT NULL,
    size_bytes  bigint      NOT NULL,
    modified_at timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    hash        text,
    PRIMARY KEY (source, name)
);
"""


def upgrade() -> None:
    op.execute(LIMITS)
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
