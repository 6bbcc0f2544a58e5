"""The ledger conserves, and PostgreSQL itself refuses what does not."""

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


async def test_an_entry_that_does_not_balance_is_refused(pool: Pool) -> None:
    lopsided = Post(BILL.entry, (), BILL.postings[:1])
    await post(pool, APPROVE)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="does not balance"):
        await post(pool, lopsided)


async def test_postings_cannot_be_changed(pool: Pool) -> None:
    await post(pool, APPROVE)
    for statement in ("UPDATE posting SET amount = 0", "DELETE FROM posting", "DELETE FROM billable_item"):
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
