"""Migrations run once, in order, whoever asks and however many at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accord.db import migrate

FIRST = """
from alembic import op
revision = "0001"
down_revision = None
def upgrade():
    op.execute("CREATE TABLE first (n integer); INSERT INTO first VALUES ('1'::integer); SELECT 5 % 2;")
"""
SECOND = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    op.execute("CREATE TABLE second (n integer)")
    op.execute("SELECT 1/(n-1) FROM first")
"""
BLOCKED = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    op.execute("CREATE TABLE second (n integer)")
    op.execute("SET LOCAL lock_timeout = '50ms'")
    op.execute("ALTER TABLE first ADD COLUMN m integer")
"""
BOTH = """
from alembic import op
revision = "0003"
down_revision = "0002"
def upgrade():
    op.execute("ALTER TABLE first ADD COLUMN m integer")
    op.execute("ALTER TABLE second ADD COLUMN m integer")
"""
CONCURRENTLY = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY first_n ON first (n)")
"""


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A migrations folder of the test's own, empty, run by the real environment."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_bytes((migrate.MIGRATIONS / "env.py").read_bytes())
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    return folder / "versions"


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall()
        return {name for (name,) in rows}


def test_the_shipped_migrations_leave_nothing_pending(database_url: str) -> None:
    """The template that all tests copy is at the newest revision."""
    assert migrate.pending(database_url) == []
    assert migrate.current(database_url) is not None


def test_without_migrations_there_is_nothing_to_do(empty_database_url: str, versions: Path) -> None:
    """An empty folder is not an error."""
    assert list(versions.iterdir()) == []
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) is None
    assert migrate.pending(empty_database_url) == []


def test_pending_names_what_upgrade_will_run(empty_database_url: str, versions: Path) -> None:
    """First to last."""
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND.replace("n-1", "n"))
    assert migrate.pending(empty_database_url) == ["0001", "0002"]
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == "0002"
    assert {"first", "second"} <= _tables(empty_database_url)


def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database_url: str, versions: Path) -> None:
    """Each is one transaction; those before it stay."""
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND)
    with pytest.raises(Exception, match="division by zero"):
        migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == "0001"
    assert "second" not in _tables(empty_database_url)
    assert migrate.pending(empty_database_url) == ["0002"]


def test_many_servers_that_start_together_on_an_empty_database_migrate_it_once(empty_database_url: str) -> None:
    """The others wait for the first and find nothing to do; nobody fails."""
    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(migrate.upgrade, empty_database_url) for _ in range(6)]:
            done.result(timeout=120)
    assert migrate.pending(empty_database_url) == []


def test_a_table_in_use_blocks_a_migration_for_a_moment_only(
    empty_database_url: str, versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that cannot be had is given up, with the cure, and nothing is half done."""
    monkeypatch.setattr(migrate, "BLOCKED_SECONDS", 0.5)
    (versions / "0001_first.py").write_text(FIRST)
    migrate.upgrade(empty_database_url)
    (versions / "0002_blocked.py").write_text(BLOCKED)
    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT * FROM first")
        with pytest.raises(migrate.MigrationBlocked, match="run it again"):
            migrate.upgrade(empty_database_url)
    assert "second" not in _tables(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == "0002"


def test_a_migration_that_met_those_at_work_is_tried_again(empty_database_url: str, versions: Path) -> None:
    """They wait for each other, PostgreSQL ends one of them, and the migration is done all the same, once."""
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND.replace("n-1", "n"))
    migrate.upgrade(empty_database_url)
    (versions / "0003_both.py").write_text(BOTH)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(empty_database_url) as worker:
        worker.execute("SET deadlock_timeout = '30s'")  # so that it is the migration that is ended
        worker.execute("SELECT * FROM second")
        upgrading = threads.submit(migrate.upgrade, empty_database_url)
        _until_one_waits(empty_database_url)
        worker.execute("SELECT * FROM first")
        worker.commit()
        upgrading.result(timeout=60)
    assert migrate.current(empty_database_url) == "0003"


def test_an_index_can_be_made_beside_those_at_work(empty_database_url: str, versions: Path) -> None:
    """CREATE INDEX CONCURRENTLY waits for every older snapshot: whoever holds the lock of migrations has none."""
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_concurrently.py").write_text(CONCURRENTLY)
    migrate.upgrade(make_conninfo(empty_database_url, options="-c statement_timeout=20s"))
    assert migrate.current(empty_database_url) == "0002"
    assert "first_n" in _tables(empty_database_url)


def _until_one_waits(url: str) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as watcher:
        while watcher.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline


def test_a_database_that_is_newer_than_the_code_is_left_alone(database_url: str) -> None:
    """After a roll-back of the code the sentence says which Accord to run."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.DatabaseNewerThanCode, match="9999"):
        migrate.upgrade(database_url)
    with pytest.raises(migrate.DatabaseNewerThanCode, match="9999"):
        migrate.pending(database_url)


def test_a_keyword_address_works_like_a_url(empty_database_url: str) -> None:
    """Both forms that the driver takes are taken."""
    parts = conninfo_to_dict(empty_database_url)
    migrate.upgrade(make_conninfo(**parts))
    assert migrate.pending(f"postgresql:///?{urlencode(parts)}") == []
