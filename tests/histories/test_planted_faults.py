"""The random histories can fail: each fault put in on purpose is found, with what it costs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from accord.ledger import postings, rating
from accord.ledger.reversing import Reversal
from tests.histories.campaign import play


@contextlib.contextmanager
def _an_entry_is_dropped() -> Iterator[None]:
    """Its row of the queue goes, and its item never comes."""
    lossy = rating.TAKE.replace("ORDER BY w.worked_on, w.id", "WHERE w.id <> 'WRK-3' ORDER BY w.worked_on, w.id")
    with patch.object(rating, "TAKE", lossy):
        yield


@contextlib.contextmanager
def _a_reversal_is_skipped() -> Iterator[None]:
    async def reverse(*_: Any, **__: Any) -> Reversal:
        return Reversal()

    with patch.object(rating, "reverse", reverse):
        yield


@contextlib.contextmanager
def _a_part_moves_past_the_journal() -> Iterator[None]:
    moved = "UPDATE item_part SET disposition = 'collected' WHERE disposition = 'billed'"
    real = postings.write

    async def write(connection: Any, entries: Any) -> None:
        await real(connection, entries)
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(moved)
        await connection.execute("SET LOCAL session_replication_role = origin")

    with patch("tests.histories.playing.RECORDS._post", write):
        yield


@contextlib.contextmanager
def _a_move_is_made_twice() -> Iterator[None]:
    """Under another name, as if it were another one."""
    twice = f'{postings.MOVE}, ledger_move(replace(%(rows)s::text, \'"entry":"\', \'"entry":"again \')::json)'
    with patch.object(postings, "MOVE", twice):
        yield


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_an_entry_is_dropped, "unexplained: .*subject='WRK-3', what='approved, and the ledger has no item of it"),
        (_a_reversal_is_skipped, "unexplained: .*(its source says|its source belongs to|its source has been revised)"),
        (_a_part_moves_past_the_journal, "the journal does not lead to the parts"),
    ],
)
def test_a_planted_fault_is_found(grounds: None, fault: Any, says: str) -> None:
    with fault(), pytest.raises(AssertionError, match=says):
        play(20)


def test_postgresql_itself_refuses_a_move_made_twice(grounds: None) -> None:
    with _a_move_is_made_twice(), pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="billed twice"):
        play(20)


def test_without_faults_the_same_histories_hold(grounds: None) -> None:
    play(2)
