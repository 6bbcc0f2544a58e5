"""Two releases of Accord at work on one database: copies of this package, the newer one with a change planted in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import accord

# What the newer release does: the same story, and a fact at its end that shows which of the two told it.
NEWER_STORY = '''

async def _newer(trigger):  # planted
    """Activate the project, and say that the newer release did."""
    result = await quote_to_project.story(trigger)
    await Tell((Fact("planted.upgraded", trigger.subject, trigger.occurred_at, "accord", {}),))
    return result


PROCESSES["quote_to_project"] = replace(
    quote_to_project, version="2", story=_newer, earlier=quote_to_project.versions
)
'''
NEEDED = """from dataclasses import replace

from accord.engine.story import Process, Tell
from accord.model.events import Fact
"""
# What a release may do while the one before it works: add.
NEWER_TABLES = '''
"""The newer release adds a column to the tables that all work on, a table and an index."""

from alembic import op

revision = "planted"
down_revision = {head!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '1s'")
    for table in ("open_process", "effect", "waiting_effect", "worker_heartbeat"):
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN planted text DEFAULT 'new'")
    op.execute("CREATE TABLE planted (id bigint PRIMARY KEY)")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY planted_subject ON process (subject, version)")
'''


def older(place: Path) -> Path:
    """The release that is at work: this very code, apart, so that nothing done here changes it. Its import path."""
    shutil.copytree(Path(accord.__file__).parent, place / "accord", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return place


def newer(place: Path, head: str) -> Path:
    """The release that takes its place: a second version of a story, and tables that build on revision `head`."""
    package = older(place) / "accord"
    processes = package / "processes" / "__init__.py"
    text = processes.read_text()
    planted = text.replace("from accord.engine.story import Process\n", NEEDED)
    assert planted != text
    processes.write_text(planted + NEWER_STORY)
    (package / "db" / "migrations" / "versions" / "9999_planted.py").write_text(NEWER_TABLES.format(head=head))
    return place
