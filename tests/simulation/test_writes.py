"""What a statement writes is told from its text; where that is not sure, it is taken to write."""

from __future__ import annotations

import pytest

from accord.engine import statements
from accord.ledger import work
from accord.simulation.writes import NOTICE, writes_of


@pytest.mark.parametrize(
    ("text", "tables", "counted"),
    [
        ("UPDATE poll SET owner = 1 WHERE owner IN (SELECT 1 FROM poll FOR UPDATE SKIP LOCKED)", {"poll"}, True),
        ("INSERT INTO record (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", {"record"}, True),
        ("WITH x AS (DELETE FROM journal) UPDATE open_process SET state = 0", {"journal", "open_process"}, False),
        ("SELECT ledger_move('[]')", {"item_part", "transfer"}, False),
        ("SELECT pg_notify('accord_ready', '')", {NOTICE}, False),
        ("NOTIFY accord_work", {NOTICE}, False),
        ("SELECT * FROM effect", set(), False),
        (statements.BEAT, set(), True),  # a heart that beats is nothing to look for
        (statements.CLAIM_PROCESSES, {"open_process", "event"}, True),
        (work.TAKE, {"work_entry", "work_to_rate"}, False),
        (work.COPY, {"arriving_work"}, False),
    ],
)
def test_the_tables_a_statement_writes(text: str, tables: set[str], *, counted: bool) -> None:
    found = writes_of(text)
    assert found.tables == tables
    assert found.counted is counted
