"""Work of one engagement on a real database: terms are agreed, records told, priced, proposed and billed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from accord.db.pool import Pool, transaction
from accord.ledger import approving
from accord.ledger.dispositions import Disposition, move_document
from accord.ledger.explaining import explain_items
from accord.ledger.postings import standing, write
from accord.ledger.proposing import propose
from accord.ledger.rating import RatingReport, rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus

NOW = datetime(2026, 12, 3, 9, tzinfo=UTC)
TERMS = BillingTerms(
    "DEA-1", "US", 1, "USD", "CUS-1", clause="SOW 4.1",
    rates=(RateRow("R", Money.of("200.00", "USD"), clause="Annex B 2"),),
)  # fmt: skip


def usd(amount: str | int) -> Money:
    return Money.of(amount, "USD")


def entry(n: int, hours: str = "4", **changes: Any) -> WorkEntry:
    """Work of the n-th of November, approved; its id is WRK-n."""
    base = WorkEntry(
        id=f"WRK-{n}", revision=1, kind=WorkKind.TIME, source="time", source_key=str(n), status=WorkStatus.APPROVED,
        worked_on=date(2026, 11, n), quantity=Decimal(hours), engagement_id="DEA-1", legal_entity="US", worker="anna",
        approver="paul", approved_at=f"2026-11-{n:02}T18:00:00+00:00",
    )  # fmt: skip
    return replace(base, **changes)


async def agree(pool: Pool, *terms: BillingTerms) -> None:
    async with transaction(pool) as db:
        await declare(db, terms or (TERMS,), by="fatima")


async def work(pool: Pool, *entries: WorkEntry, now: datetime = NOW) -> RatingReport:
    async with transaction(pool) as db:
        await take(db, entries, (), source="time")
    return await rate_waiting(pool, now)


# What each counter must have come to: what items have added, those that take others back too, and what was moved since.
COUNTERS_ARE_RIGHT = """
WITH added AS (
    SELECT c ->> 0 AS name, (c ->> 1)::numeric AS amount FROM billable_item i, jsonb_array_elements(i.counters) c
    UNION ALL SELECT m.counter, m.added FROM cap_move m
)
SELECT b.name, b.used, coalesce(sum(a.amount), 0) FROM billing_counter b LEFT JOIN added a ON a.name = b.name
GROUP BY 1, 2 HAVING b.used <> coalesce(sum(a.amount), 0)
"""


async def lies(pool: Pool) -> dict[str, str]:
    """Where the value is; nothing may be unexplained, every item is recomputed to the cent, every counter adds up."""
    assert await rows(pool, COUNTERS_ARE_RIGHT) == []
    async with pool.connection() as db:
        found = await standing(db)
        items = await (await db.execute("SELECT id FROM billable_item")).fetchall()
        assert [each.id for each in await explain_items(db, [row[0] for row in items]) if not each.agrees] == []
    assert [each.unexplained for each in found] == [0] * len(found)
    return {name: str(value) for each in found for name, value in each.dispositions.items()}


async def proposal(pool: Pool, up_to: date = date(2026, 11, 30)) -> str:
    """Propose what is in WIP; the id of the newest draft."""
    async with transaction(pool) as db:
        await propose(db, up_to, at=NOW)
        row = await (await db.execute("SELECT id FROM proposal WHERE status = 'draft' ORDER BY id DESC")).fetchone()
    assert row is not None
    return str(row[0])


async def bill(pool: Pool, id: str) -> None:
    """Approved, and issued as its story would."""
    async with transaction(pool) as db:
        found = await approving.approve(db, id, by="carla", at=NOW)
        post = move_document(
            f"bill {id}", id, found.net, out_of=Disposition.DRAFT, into=Disposition.BILLED, cause="t",
            at=NOW.isoformat(),
        )  # fmt: skip
        await write(db, [(post.entry, post.items, post.postings)])
        await db.execute("UPDATE proposal SET status = 'issued' WHERE id = %s", [id])


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()
