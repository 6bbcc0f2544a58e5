"""What finance reads from totals is what the rows say: by age, by engagement, by invoice, step by step."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from accord.db.pool import Pool, transaction
from accord.errors import NotFound, UsageError
from accord.insight import receivables, unbilled, work_to_cash
from accord.ledger.holding import release_held
from accord.model.money import Money
from accord.rules.measures.ageing import OpenAmount, receivables_ageing, wip_ageing
from accord.rules.measures.latency import Span
from tests.seeding import DEAL, HELD

TODAY = datetime.now(UTC).date()


async def rows(pool: Pool, query: str, *values: Any) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query, values)).fetchall()


def month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


async def test_unbilled_work_by_age_is_the_sum_of_its_parts(firm_pool: Pool) -> None:
    parts = await rows(
        firm_pool,
        "SELECT currency, amount, worked_on FROM item_part WHERE disposition IN ('wip', 'draft', 'held')",
    )
    async with firm_pool.connection() as db:
        aged, over = await unbilled.by_age(db, TODAY)
    assert {each.currency for each in aged} == {"EUR", "JPY", "USD"}
    for each in aged:
        open = [OpenAmount(Money(row[1], row[0]), month_end(row[2])) for row in parts if row[0] == each.currency]
        expected = wip_ageing(open, TODAY, each.currency)
        assert [(b.months.label, b.whole.amount, b.whole.parts) for b in each.buckets] == [
            (b.label, b.amount.amount, b.count) for b in expected.buckets
        ]
        assert all(b.whole.amount == sum(p.amount for p in b.by_place.values()) for b in each.buckets)
    usd = aged[2]
    assert sum(1 for b in usd.buckets if b.whole.parts) >= 3, "work of one age alone tests nothing"
    assert over["USD"].amount == Decimal("10560.00")


@pytest.mark.parametrize("entities", [None, ["US"], ["DE", "JP"]])
async def test_a_sum_leads_to_engagements_and_they_to_items_that_come_to_it(
    firm_pool: Pool, entities: list[str] | None
) -> None:
    async with firm_pool.connection() as db:
        aged, _ = await unbilled.by_age(db, TODAY, entities)
        assert aged
        for each in aged:
            for bucket in each.buckets:
                about = {"months": bucket.months, "currency": each.currency, "entities": entities}
                lines: list[unbilled.EngagementLine] = []
                cursor = None
                while True:
                    page = await unbilled.by_engagement(db, **about, cursor=cursor, limit=1)
                    lines += page.rows
                    cursor = page.next
                    if cursor is None:
                        break
                assert sum(line.amount.amount for line in lines) == bucket.whole.amount
                assert len({line.engagement for line in lines}) == len(lines)
                for line in lines:
                    assert line.wip + line.draft + line.held == line.amount.amount
                    found = await _items(db, line, bucket.months)
                    assert sum(row.amount.amount for row in found) == line.amount.amount
                    assert len(found) == line.parts


async def _items(db: Any, line: unbilled.EngagementLine, months: Any) -> list[unbilled.ItemRow]:
    found: list[unbilled.ItemRow] = []
    cursor = None
    while True:
        page = await unbilled.items(
            db, line.engagement, line.legal_entity, line.amount.currency, months=months, cursor=cursor, limit=3
        )
        found += page.rows
        cursor = page.next
        if cursor is None:
            return found


async def test_what_lies_nowhere_known_is_not_asked_for(firm_pool: Pool) -> None:
    async with firm_pool.connection() as db:
        with pytest.raises(UsageError, match="one of unbilled"):
            await unbilled.by_engagement(db, where="elsewhere")
    with pytest.raises(UsageError, match="0-30"):
        unbilled.bucket("old", TODAY)


async def test_held_work_goes_back_to_wip_with_name_and_reason(firm_pool: Pool) -> None:
    about = {"by": "fatima (f1)", "at": datetime.now(UTC)}
    async with firm_pool.connection() as db:
        held = await unbilled.held_by_reason(db)
        assert [(each.reason, each.amount) for each in held] == [("Travel time is disputed", Decimal("4800.00"))]
    async with transaction(firm_pool) as db:
        with pytest.raises(NotFound):
            await release_held(db, HELD, "DE", "EUR", "another reason", **about)
        assert await release_held(db, HELD, "DE", "EUR", "Travel time is disputed", **about) == 4
        assert await unbilled.held_by_reason(db) == []
    told = await rows(firm_pool, "SELECT actor, about, detail ->> 'amount' FROM audit_entry ORDER BY id DESC LIMIT 1")
    assert told == [("fatima (f1)", HELD, "4800.00")]
    moved = (
        "SELECT DISTINCT disposition, document, reference FROM item_part WHERE engagement = %s AND cause = 'released'"
    )
    assert await rows(firm_pool, moved, HELD) == [("wip", None, "fatima (f1)")]


async def test_receivables_by_age_and_dso_are_those_of_the_invoices(firm_pool: Pool) -> None:
    invoices = await rows(
        firm_pool,
        """SELECT body ->> 'currency', (body -> 'gross' ->> 'amount')::numeric - (body -> 'paid' ->> 'amount')::numeric,
            (body ->> 'due_on')::date, (body ->> 'disputed')::boolean, body ->> 'status'
        FROM record WHERE kind = 'invoice'""",
    )
    async with firm_pool.connection() as db:
        found = await receivables.receivables(db, TODAY)
        listed = await receivables.open_invoices(db, TODAY, limit=200)
    assert len(listed.rows) == sum(row[4] == "open" for row in invoices) == 3
    for each in found:
        open = [
            OpenAmount(Money(row[1], row[0]), row[2], row[3])
            for row in invoices
            if row[0] == each.currency and row[4] == "open"
        ]
        expected = receivables_ageing(open, TODAY, each.currency)
        assert [(b.label, b.amount, b.disputed, b.count) for b in each.buckets] == [
            (b.label, b.amount.amount, b.disputed.amount, b.count) for b in expected.buckets
        ]
        assert each.open == expected.total
        simple = each.readings[0]
        assert simple.number == each.open.amount * each.days / each.sales.amount


async def test_a_receivable_follows_its_invoice(pool: Pool) -> None:
    async def tell(version: int, *, deleted: bool = False, **changes: Any) -> list[tuple[Any, ...]]:
        body = {"currency": "EUR", "legal_entity": "DE", "gross": {"amount": "119.00"}, "net": {"amount": "100.00"},
            "paid": {"amount": "0.00"}, "status": "draft", "origin": "work", **changes}  # fmt: skip
        at = datetime(2026, 11, version, tzinfo=UTC)
        async with transaction(pool) as db:
            await db.execute(
                """INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, deleted,
                    changed_at, observed_at) VALUES ('invoice', 'I', %(v)s, %(body)s, '', '{}', 'stripe', '1', %(gone)s,
                    %(at)s, %(at)s)
                ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, deleted = excluded.deleted,
                    changed_at = excluded.changed_at""",
                {"v": version, "body": Jsonb(body), "gone": deleted, "at": at},
            )
        return await rows(
            pool,
            "SELECT status, paid, issued_on, extract(day FROM issued_at), extract(day FROM paid_at) FROM receivable",
        )

    assert await tell(1) == [("draft", 0, None, None, None)]
    issued = {"status": "open", "issued_on": "2026-11-02", "due_on": "2026-12-02"}
    assert await tell(2, **issued) == [("open", 0, date(2026, 11, 2), 2, None)]
    paid = {**issued, "status": "paid", "paid": {"amount": "119.00"}}
    assert await tell(3, **paid) == [("paid", 119, date(2026, 11, 2), 2, 3)]
    assert await tell(4, **paid, number="N") == [("paid", 119, date(2026, 11, 2), 2, 3)]
    assert await tell(5, **issued) == [("open", 0, date(2026, 11, 2), 2, None)], "a payment that failed later"
    less = {**issued, "credited": {"amount": "19.00"}, "written_off": {"amount": "1.00"}, "paid": {"amount": "60.00"},
        "returned": {"amount": "10.00"}}  # fmt: skip
    assert await tell(6, **less) == [("open", 50, date(2026, 11, 2), 2, None)]
    async with pool.connection() as db:
        [row] = (await receivables.open_invoices(db, date(2026, 11, 28))).rows
        [sums] = await receivables.receivables(db, date(2026, 11, 28))
    assert (str(row.open), str(row.paid), str(sums.open)) == ("49.00 EUR", "50.00 EUR", "49.00 EUR")
    assert await tell(7, **issued, deleted=True) == [("void", 0, date(2026, 11, 2), 2, None)]


async def test_percentiles_are_those_of_the_measures(pool: Pool) -> None:
    """The same random invoices by the pure measures and by the database's own reckoning."""
    chosen = random.Random(7)
    spans: dict[str, list[Span]] = {name: [] for name, _, _ in work_to_cash.STEPS}
    async with transaction(pool) as db:
        for n in range(60):
            worked = TODAY - timedelta(days=chosen.randrange(30, 60))
            at = [datetime(worked.year, worked.month, worked.day, tzinfo=UTC)]
            for _ in range(6):
                at.append(at[-1] + timedelta(hours=chosen.choice((1, 5, 30, -2, 100)), seconds=chosen.randrange(3600)))
            net = Decimal(chosen.choice((-50, 10, 100, 2500)))
            # Some are not paid, and some had no proposal.
            paid = at[6] if n % 4 else None
            whole = n % 5 != 0
            await _told(db, n, net, worked, at, paid, whole=whole)
            times = {
                "approval": (at[0], at[1]) if whole else None, "draft": (at[1], at[2]) if whole else None,
                "approved": (at[2], at[3]) if whole else None, "issued": (at[3], at[4]) if whole else None,
                "posted": (at[4], at[5]), "paid": (at[5], paid), "whole": (at[0], paid) if whole else None,
            }  # fmt: skip
            for name, both in times.items():
                if both is not None:
                    spans[name].append(Span(both[0], both[1], Money(net, "USD")))
        [way] = await work_to_cash.ways(db, TODAY, days=90)
        slowest = [row.hours for row in (await work_to_cash.slowest(db, TODAY, "posted", limit=5)).rows]
    assert way.invoices == 60
    for step, (name, _, measure) in zip(way.steps, work_to_cash.STEPS, strict=True):
        told = spans[name]
        assert step.count == sum(each.ended_at is not None for each in told) > 20
        expected = (measure.median_by_amount(told).number, measure.p90_by_amount(told).number)
        assert step.median_hours is not None
        assert step.p90_hours is not None
        assert (round(step.median_hours, 6), round(step.p90_hours, 6)) == tuple(round(each, 6) for each in expected)
    assert slowest == sorted(slowest, reverse=True)
    assert len(slowest) == 5


async def _told(
    db: Any, n: int, net: Decimal, worked: date, at: list[datetime], paid: datetime | None, *, whole: bool
) -> None:
    about = {"id": f"I{n:03}", "net": net, "worked": worked, "approved": at[1], "proposed": at[2], "agreed": at[3],
        "issued": at[4], "posted": at[5], "paid": paid, "day": TODAY - timedelta(days=n)}  # fmt: skip
    await db.execute(
        """INSERT INTO receivable (invoice_id, legal_entity, currency, engagement, origin, status, issued_on, net,
            gross, paid, disputed, issued_at, paid_at)
        VALUES (%(id)s, 'US', 'USD', 'D', 'work', 'open', %(day)s, %(net)s, %(net)s, 0, false, %(issued)s, %(paid)s)""",
        about,
    )
    await db.execute(
        """INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, changed_at,
            observed_at)
        VALUES ('invoice_posting', %(id)s, 1, '{}', '', '{}', 'x', '1', %(posted)s, %(posted)s)""",
        about,
    )
    if whole:
        await db.execute(
            """INSERT INTO proposal (id, engagement, legal_entity, currency, customer, period_from, period_to, status,
                net, lines, proposed_at, proposed_by, approved_at, work_approved_at)
            VALUES (%(id)s, 'D', 'US', 'USD', 'C', %(worked)s, %(worked)s, 'issued', %(net)s, 1, %(proposed)s, 'a',
                %(agreed)s, %(approved)s)""",
            about,
        )


async def test_the_other_entity_is_not_seen(firm_pool: Pool) -> None:
    async with firm_pool.connection() as db:
        german = await receivables.open_invoices(db, TODAY, entities=["DE"])
        lines = await unbilled.by_engagement(db, entities=["DE"])
    assert {row.legal_entity for row in german.rows} == {"DE"}
    assert {row.engagement for row in lines.rows} == {HELD}
    assert DEAL not in {row.engagement for row in lines.rows}
