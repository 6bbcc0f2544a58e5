"""Files of work in the database: what a file changes, what a correction takes back, every row accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from accord.connect.tables.failures import CountWrong
from accord.db.pool import Pool, transaction
from accord.ledger.bindings import Binding, Bindings, ProjectRow, declare, load
from accord.ledger.work_files import ArrivedFile, FileTaken, ReadRow, place, refuse_file, take_file
from accord.model.identity import canonical_id
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
MARCH = ArrivedFile("legacy", "march.csv", "aa", series="march", encoding="utf-8", shown_by="ascii")
ENTRIES = "SELECT source_key, revision, status, quantity FROM work_entry WHERE current ORDER BY source_key"
OPEN = "SELECT place, reason FROM work_problem WHERE settled_at IS NULL ORDER BY place, reason"


def good(line: int, key: str, hours: str = "8", **more: Any) -> ReadRow:
    entry = WorkEntry(
        id=canonical_id("work", "legacy", key), revision=1, kind=WorkKind.TIME, source="legacy", source_key=key,
        status=WorkStatus.APPROVED, worked_on=date(2026, 3, 2), quantity=Decimal(hours), engagement_id="DEA-1",
        legal_entity="DE", worker="ada", approved_at="2026-03-03T08:00:00+00:00", recorded_as=f"line {line}", **more,
    )  # fmt: skip
    return ReadRow(line, key, entry)


def bad(
    line: int, key: str | None, reason: str = "not_a_day", hours: str | None = "8", name: str = "march.csv"
) -> ReadRow:
    told = None if hours is None else Decimal(hours)
    return ReadRow(line, key, WorkProblem(reason, "no", place(name, line), "Correct it.", told))


async def taken(
    pool: Pool, *rows: ReadRow, file: ArrivedFile = MARCH, replaces: tuple[int, str] | None = None, **more: Any
) -> FileTaken:
    async with transaction(pool) as db:
        return await take_file(db, file, lambda: iter(rows), now=NOW, replaces=replaces, **more)


async def found(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


async def test_every_row_of_a_file_is_an_entry_or_a_problem(pool: Pool) -> None:
    told = await taken(pool, good(2, "a"), bad(3, "b", hours="2.5"), good(4, "c", "1.5"), bad(5, None, hours=None))
    assert (told.rows, told.entries, told.problems, told.new, told.hours) == (4, 2, 2, 2, Decimal("12.0"))
    assert [row[0] for row in await found(pool, ENTRIES)] == ["a", "c"]
    assert await found(pool, OPEN) == [("march.csv line 3", "not_a_day"), ("march.csv line 5", "not_a_day")]
    [kept] = await found(pool, "SELECT rows, entries, problems, hours, encoding, shown_by, state FROM work_file")
    assert kept == (4, 2, 2, Decimal("12.0"), "utf-8", "ascii", "taken")


async def test_the_same_rows_again_change_nothing(pool: Pool) -> None:
    before = await taken(pool, good(2, "a"), bad(3, "b"))
    again = await taken(pool, good(2, "a"), bad(3, "b"))
    assert again == replace(before, new=0)
    renamed = replace(MARCH, name="march again.csv", hash="bb")
    assert (await taken(pool, good(9, "a"), file=renamed)).new == 0
    assert await found(pool, "SELECT count(*) FROM work_entry") == [(1,)]
    assert await found(pool, "SELECT line, revision FROM work_file_row") == [(9, 1)]


async def test_a_key_told_twice_in_the_same_words_counts_once_and_in_others_not_at_all(pool: Pool) -> None:
    told = await taken(pool, good(2, "a"), good(3, "b"), good(4, "a"), good(5, "b", "3"), good(6, "c"))
    assert (told.rows, told.entries, told.problems) == (5, 2, 3)
    assert [row[0] for row in await found(pool, ENTRIES)] == ["a", "c"]
    assert await found(pool, OPEN) == [
        ("march.csv line 3", "key_told_twice"),
        ("march.csv line 4", "row_repeated"),
        ("march.csv line 5", "key_told_twice"),
    ]


async def test_a_corrected_file_replaces_exactly_its_rows(pool: Pool) -> None:
    first = await taken(pool, good(2, "a"), good(3, "b"), good(4, "c"), bad(5, "d"))
    await taken(pool, good(2, "z"), good(3, "c", "5"), file=replace(MARCH, name="april.csv", hash="bb", series="april"))
    corrected = replace(MARCH, name="march v2.csv", hash="cc", version=2)
    told = await taken(pool, good(2, "a", "6"), good(3, "d"), file=corrected, replaces=(first.file_id, "march.csv"))
    # b is gone; c was told by april last and stays; z never belonged to march; what was wrong with d is settled.
    assert (told.new, told.revised, told.gone) == (1, 1, 1)
    assert await found(pool, ENTRIES) == [
        ("a", 2, "approved", Decimal(6)),
        ("b", 2, "deleted", Decimal(8)),
        ("c", 2, "approved", Decimal(5)),
        ("d", 1, "approved", Decimal(8)),
        ("z", 1, "approved", Decimal(8)),
    ]
    assert await found(pool, OPEN) == []
    assert await found(pool, "SELECT revision FROM work_file_row WHERE row_key = 'b' AND gone") == [(2,)]


async def test_a_row_that_comes_back_is_a_revision_again(pool: Pool) -> None:
    first = await taken(pool, good(2, "a"), good(3, "b"))
    second = await taken(pool, good(2, "a"), file=replace(MARCH, hash="bb"), replaces=(first.file_id, "march.csv"))
    assert second.gone == 1
    third = await taken(
        pool, good(2, "b"), good(3, "a"), file=replace(MARCH, hash="cc"), replaces=(second.file_id, "x")
    )
    assert (third.revised, third.gone) == (1, 0)
    assert (await found(pool, ENTRIES))[1] == ("b", 3, "approved", Decimal(8))


async def test_a_row_that_is_still_told_but_cannot_be_read_is_not_gone(pool: Pool) -> None:
    first = await taken(pool, good(2, "a"), good(3, "b"))
    second = await taken(
        pool, good(2, "a"), bad(3, "b"), file=replace(MARCH, hash="bb"), replaces=(first.file_id, "march.csv")
    )
    assert second.gone == 0
    assert [row[2] for row in await found(pool, ENTRIES)] == ["approved", "approved"]
    third = await taken(pool, good(2, "a"), file=replace(MARCH, hash="cc"), replaces=(second.file_id, "march.csv"))
    assert third.gone == 1


async def test_nothing_is_deleted_while_a_key_cannot_be_read(pool: Pool) -> None:
    first = await taken(pool, good(2, "a"), good(3, "b"))
    second = await taken(
        pool, good(2, "a"), bad(3, None), file=replace(MARCH, hash="bb"), replaces=(first.file_id, "march.csv")
    )
    assert (second.gone, second.held) == (0, True)
    assert ("march.csv", "deletions_held") in await found(pool, OPEN)


async def test_many_rows_gone_at_once_are_all_told(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.ledger.work_files.GONE_BATCH", 7)
    first = await taken(pool, *(good(line, f"k{line:03}") for line in range(2, 52)))
    second = await taken(pool, good(2, "k002"), file=replace(MARCH, hash="bb"), replaces=(first.file_id, "march.csv"))
    assert second.gone == 49
    assert await found(pool, "SELECT status, count(*) FROM work_entry WHERE current GROUP BY 1 ORDER BY 1") == [
        ("approved", 1),
        ("deleted", 49),
    ]


async def test_a_file_with_other_rows_than_announced_is_not_taken_at_all(pool: Pool) -> None:
    def announced(rows: int, _hours: Decimal) -> None:
        if rows != 3:
            raise CountWrong("three rows were announced")

    with pytest.raises(CountWrong):
        await taken(pool, good(2, "a"), expected=announced)
    assert await found(pool, "SELECT count(*) FROM work_entry") == [(0,)]
    problem = WorkProblem("file_count_wrong", "three rows were announced", "march.csv", "Send it again.")
    async with transaction(pool) as db:
        await refuse_file(db, MARCH, problem, now=NOW)
    assert await found(pool, "SELECT state, reason FROM work_file") == [("refused", "file_count_wrong")]
    assert [row[0] for row in await found(pool, "SELECT reason FROM business_case")] == ["file_count_wrong"]
    await taken(pool, good(2, "a"))
    assert await found(pool, "SELECT state, reason FROM work_file") == [("taken", None)]
    assert await found(pool, "SELECT state FROM business_case") == [("resolved",)]


async def test_what_a_row_gives_while_it_is_read_stops_the_whole_file(pool: Pool) -> None:
    def rows() -> Iterator[ReadRow]:
        yield good(2, "a")
        raise CountWrong("it ends in the middle")

    give: Callable[[], Iterator[ReadRow]] = rows
    with pytest.raises(CountWrong):
        async with transaction(pool) as db:
            await take_file(db, MARCH, give, now=NOW)
    assert await found(pool, "SELECT count(*) FROM work_file") == [(0,)]


async def test_projects_are_bound_by_the_reference_list_from_a_day_on(pool: Pool) -> None:
    old, new = Binding("DEA-1", "DE"), Binding("DEA-2", "US")
    rows = [ProjectRow("PC1", old), ProjectRow("PC1", new, date(2026, 4, 1)), ProjectRow("PC2", new)]
    async with transaction(pool) as db:
        await declare(db, "legacy", rows, by="test")
        await declare(db, "legacy-2", [ProjectRow("PC3", new)], by="test")
        known = await load(db, "legacy")
    assert known == Bindings.out_of(rows)
    assert known.of("PC1", date(2026, 3, 31)) == old
    assert known.of("PC1", date(2026, 4, 1)) == new
    assert known.of("PC3", date(2026, 4, 1)) is None
    assert known.of("pc1", date(2026, 4, 1)) is None
