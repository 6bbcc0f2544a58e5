"""Facts lie in the month they were recorded in, and the months are there before they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import psycopg
import pytest

from accord.db import months

FACT = """
INSERT INTO event (type, subject, schema_version, occurred_at, recorded_at, actor, payload)
SELECT 'deal.won', 'deal ' || n, 1, now(), %(at)s, 'test', '{}' FROM generate_series(1, %(count)s) n
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A session in autocommit, in a time zone that is not UTC: months are UTC's whatever the session's zone."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'Asia/Tokyo'")
        yield connection


def _where(connection: psycopg.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT tableoid::regclass::text, count(*) FROM event GROUP BY 1").fetchall()
    return dict(rows)


def _as_before(connection: psycopg.Connection) -> None:
    """The table as it was before months were made: the default partition alone."""
    for each in months.partitions(connection, "event"):
        if not each.is_default:
            connection.execute(f"DROP TABLE {each.name}")


def test_a_migrated_database_has_this_month_and_a_quarter_ahead(connection: psycopg.Connection) -> None:
    """Nothing is left for the worker to make, and what is written now lands in the month, not in the default."""
    assert months.keep(connection) == []
    made = [each for each in months.partitions(connection, "event") if not each.is_default]
    assert len(made) == months.AHEAD + 1
    connection.execute(FACT, {"at": datetime.now(UTC), "count": 3})
    assert _where(connection) == {f"event_{datetime.now(UTC):%Y_%m}": 3}


def test_months_follow_each_other_over_the_turn_of_a_year(connection: psycopg.Connection) -> None:
    """A day of November asks for November to February, without a gap, and a second time for nothing."""
    _as_before(connection)
    names = ["event_2026_11", "event_2026_12", "event_2027_01", "event_2027_02"]
    assert months.keep(connection, today=date(2026, 11, 30)) == names
    assert months.keep(connection, today=date(2026, 11, 30)) == []
    made = months.partitions(connection, "event")[:-1]
    assert [each.end for each in made[:-1]] == [each.start for each in made[1:]]
    assert made[0].start == datetime(2026, 11, 1, tzinfo=UTC)


def test_rows_of_an_older_installation_stay_where_they_are_and_the_default_is_empty_again(
    connection: psycopg.Connection,
) -> None:
    """The old default becomes the partition of its range: same table, same indexes, still append-only."""
    _as_before(connection)
    for at in (datetime(2024, 2, 29, tzinfo=UTC), datetime(2026, 11, 23, 20, tzinfo=UTC)):
        connection.execute(FACT, {"at": at, "count": 50})
    files = connection.execute("SELECT pg_relation_filenode('event_default')").fetchone()
    made = months.keep(connection, today=date(2026, 11, 23))
    assert made[0] == "event_before_2026_12"
    assert made[1:] == ["event_2026_12", "event_2027_01", "event_2027_02"]
    assert connection.execute("SELECT pg_relation_filenode('event_before_2026_12')").fetchone() == files
    connection.execute(FACT, {"at": datetime(2026, 11, 30, 23, 59, tzinfo=UTC), "count": 1})
    connection.execute(FACT, {"at": datetime(2026, 12, 1, tzinfo=UTC), "count": 1})
    assert _where(connection) == {"event_before_2026_12": 101, "event_2026_12": 1}
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        connection.execute("DELETE FROM event")


def test_the_last_day_of_a_month_leaves_room_for_what_is_written_meanwhile(connection: psycopg.Connection) -> None:
    """On the 30th the old default reaches to the end of next month, so that midnight cannot refuse a fact."""
    _as_before(connection)
    connection.execute(FACT, {"at": datetime(2026, 11, 30, 23, 59, tzinfo=UTC), "count": 1})
    assert months.keep(connection, today=date(2026, 11, 30))[0] == "event_before_2027_01"


def test_rows_of_a_gap_between_months_become_its_partition(connection: psycopg.Connection) -> None:
    """Workers stood still from spring to autumn: what lay in the default is the partition between."""
    _as_before(connection)
    months.keep(connection, today=date(2026, 1, 5))
    connection.execute(FACT, {"at": datetime(2026, 7, 7, tzinfo=UTC), "count": 5})
    made = months.keep(connection, today=date(2026, 9, 9))
    assert made[0] == "event_before_2026_10"
    assert {each.name: each.start for each in months.partitions(connection, "event")}[made[0]] == datetime(
        2026, 5, 1, tzinfo=UTC
    )
    assert _where(connection) == {"event_before_2026_10": 5}


def test_rows_on_both_sides_of_a_month_are_said_and_nothing_is_changed(connection: psycopg.Connection) -> None:
    """A default that would have to be two ranges is left as it is, with a sentence."""
    _as_before(connection)
    months.keep(connection, today=date(2026, 6, 5))
    before = months.partitions(connection, "event")
    for at in (datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 12, 12, tzinfo=UTC)):
        connection.execute(FACT, {"at": at, "count": 1})
    with pytest.raises(months.RowsOnBothSides, match="event_default"):
        months.keep(connection, today=date(2026, 12, 13))
    assert [each.name for each in months.partitions(connection, "event")] == [each.name for each in before]


def test_a_reader_that_holds_the_table_is_not_waited_for(
    connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is given up instead of holding up everybody who comes after; nothing of the step is done."""
    _as_before(connection)
    monkeypatch.setattr(months, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT FROM event")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            months.keep(connection)
    assert months.keep(connection) != []


def test_workers_that_make_months_at_once_make_them_once(connection: psycopg.Connection, database_url: str) -> None:
    """Whoever comes second makes nothing and is not refused."""
    _as_before(connection)

    def one(_: int) -> list[str]:
        with psycopg.connect(database_url, autocommit=True) as own:
            return months.keep(own, today=date(2026, 11, 3))

    with ThreadPoolExecutor(4) as threads:
        made = [name for each in threads.map(one, range(4)) for name in each]
    assert len(made) == len(set(made))
    months.keep(connection, today=date(2026, 11, 3))
    assert len(months.partitions(connection, "event")) == months.AHEAD + 2


def test_hot_reads_of_the_log_use_an_index_in_every_month(connection: psycopg.Connection) -> None:
    """A consumer's next facts and a subject's facts never scan a month; a start time leaves older months out."""
    for day in months._starts(datetime.now(UTC).date()):
        connection.execute(FACT, {"at": day, "count": 3000})
    connection.execute("ANALYZE event")
    consumer = "SELECT seq FROM event WHERE (xid, seq) > ('0'::xid8, 0) ORDER BY xid, seq LIMIT 10"
    subject = "SELECT payload FROM event WHERE subject = 'deal 7' AND recorded_at >= now() + interval '40 days'"
    plans = [
        [row[0] for row in connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {query}").fetchall()]
        for query in (consumer, subject)
    ]
    for plan in plans:
        scanned = [line.split(" on ")[1].split()[0] for line in plan if "Seq Scan" in line]
        assert scanned in ([], ["event_default"]), plan  # an empty table is looked at as it is
    assert any("Subplans Removed" in line for line in plans[1]), plans[1]
