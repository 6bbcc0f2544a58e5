"""The ledger conserves, and PostgreSQL itself refuses what does not."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from accord.db.pool import Pool, transaction
from accord.engine.shell import Knowledge
from accord.engine.story import Post
from accord.ledger.dispositions import Disposition, item, move
from accord.ledger.postings import standing, write
from accord.model.money import Money
from accord.records.knowledge import Records

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HUNDRED = Money.of("100.00", "EUR")


def about(id: str = "BIL-1", amount: Money = HUNDRED) -> Any:
    return item(id=id, kind="milestone", engagement="DEA-1", legal_entity="DE", amount=amount, source="milestone",
                source_id="MIL-1", approved_at=NOW.isoformat())  # fmt: skip


def moved(entry: str, amount: Money, out_of: Disposition, into: Disposition, *, new: bool = False) -> Post:
    return move(entry, about(), amount, out_of=out_of, into=into, cause="test", at=NOW.isoformat(), new=new)


async def post(pool: Pool, *posts: Post) -> None:
    async with transaction(pool) as db:
        await write(db, [(each.entry, each.items, each.postings) for each in posts])


APPROVE = moved("approve", HUNDRED, Disposition.APPROVED, Disposition.WIP, new=True)
BILL = moved("bill", HUNDRED, Disposition.WIP, Disposition.BILLED)


async def test_approved_value_is_the_sum_of_dispositions(pool: Pool) -> None:
    await post(
        pool, APPROVE, BILL, moved("collect", Money.of("40.00", "EUR"), Disposition.BILLED, Disposition.COLLECTED)
    )
    async with pool.connection() as db:
        (found,) = await standing(db, "DEA-1")
    assert (found.approved, found.unexplained) == (Decimal("100.00"), 0)
    assert found.dispositions == {"billed": Decimal("60.00"), "collected": Decimal("40.00")}


async def test_posting_an_entry_again_changes_nothing(pool: Pool) -> None:
    await post(pool, APPROVE)
    await post(pool, APPROVE, BILL)
    await post(pool, BILL)
    async with pool.connection() as db:
        (found,) = await standing(db)
    assert found.dispositions == {"billed": Decimal("100.00")}


async def test_an_item_is_not_billed_twice(pool: Pool) -> None:
    """Whatever code calls it: a second billing under another entry is refused by the database."""
    await post(pool, APPROVE, BILL)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="billed twice"):
        await post(pool, moved("bill again", HUNDRED, Disposition.WIP, Disposition.BILLED))


async def test_parts_that_are_not_their_item_are_refused(pool: Pool) -> None:
    lopsided = moved("approve", Money.of("99.00", "EUR"), Disposition.APPROVED, Disposition.WIP, new=True)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="does not balance"):
        await post(pool, lopsided)


async def test_billed_work_does_not_go_back_to_be_billed_again(pool: Pool) -> None:
    """Also for who writes to the state itself: the way from billed to WIP is none."""
    await post(pool, APPROVE, BILL)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="nothing goes from billed to wip"):
        async with transaction(pool) as db:
            await db.execute("UPDATE item_part SET disposition = 'wip'")


async def test_whoever_moves_a_part_the_journal_tells(pool: Pool) -> None:
    await post(pool, APPROVE)
    async with transaction(pool) as db:
        await db.execute("UPDATE item_part SET disposition = 'held', entry = 'hold', cause = 'somebody'")
        rows = await (await db.execute("SELECT entry, out_of, placed_in, amount FROM transfer ORDER BY id")).fetchall()
        totals = await (await db.execute("SELECT disposition, amount FROM ledger_total WHERE parts > 0")).fetchall()
    assert rows == [("approve", "approved", "wip", Decimal("100.00")), ("hold", "wip", "held", Decimal("100.00"))]
    assert totals == [("held", Decimal("100.00"))]


async def test_two_that_bill_one_item_at_once_meet_at_its_row(pool: Pool) -> None:
    await post(pool, APPROVE)

    async def bill(entry: str) -> bool:
        try:
            await post(pool, moved(entry, HUNDRED, Disposition.WIP, Disposition.BILLED))
        except psycopg.errors.IntegrityConstraintViolation:
            return False
        return True

    assert sorted(await asyncio.gather(bill("a"), bill("b"))) == [False, True]


async def test_postings_cannot_be_changed(pool: Pool) -> None:
    await post(pool, APPROVE)
    for statement in (
        "UPDATE transfer SET amount = 0",
        "DELETE FROM transfer",
        "DELETE FROM billable_item",
        "DELETE FROM item_part",
        "UPDATE item_part SET engagement = 'another'",
    ):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
            async with transaction(pool) as db:
                await db.execute(statement)


async def test_a_lost_posting_shows_as_unexplained(pool: Pool) -> None:
    """Approved value is counted from the items, so an item without postings is not passed over."""
    await post(pool, Post("lost", (about(),), ()))
    async with pool.connection() as db:
        (found,) = await standing(db)
    assert found.unexplained == Decimal("100.00")


async def test_what_the_engine_posts_reaches_the_ledger(pool: Pool) -> None:
    knowledge: Knowledge = Records(write)
    async with transaction(pool) as db:
        await knowledge.post(db, [(APPROVE.entry, APPROVE.items, APPROVE.postings)], NOW)
        (found,) = await standing(db)
    assert found.dispositions == {"wip": Decimal("100.00")}
