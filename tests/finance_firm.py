"""A firm with work in every place finance looks at: unbilled by age, proposed, held, over a cap, billed, paid, broken.

Told by the same functions as in production, on top of the engagements of `tests.seeding`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accord.db import open_pool
from accord.db.pool import Pool, transaction
from accord.engine.shell import Kept
from accord.ledger import approving
from accord.ledger.dispositions import Disposition, move_document
from accord.ledger.postings import write
from accord.ledger.proposing import propose
from accord.ledger.rating import rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model.billing import Invoice, InvoiceLine
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from accord.reconcile import matches
from accord.reconcile.checking import check
from accord.reconcile.running import reconcile
from accord.records.knowledge import Records
from tests.seeding import ATTACK, CUSTOMER, DEAL, HELD, seed

RATE = RateRow("R1", Money.of("180.00", "USD"), clause="Annex B 2")
TERMS = (
    BillingTerms(
        DEAL, "US", 1, "USD", CUSTOMER, clause="SOW 4.1", rates=(RATE,),
        caps=(Cap("PO 4711", CapLevel.PURCHASE_ORDER, Money.of("24000.00", "USD"), clause="PO 4711"),),
    ),
    BillingTerms(DEAL, "JP", 1, "JPY", CUSTOMER, rates=(RateRow("R", Money.of("22000", "JPY")),)),
    BillingTerms(HELD, "DE", 1, "EUR", "CUS-B", rates=(RateRow("R", Money.of("150.00", "EUR"), clause="§ 5"),)),
    BillingTerms("DEA-K0", "US", 1, "USD", "CUS-K0", rates=(RateRow("R", Money.of("210.00", "USD")),)),
)  # fmt: skip
WORKERS = ("anna", "ben", "cleo")


@dataclass(frozen=True, slots=True)
class FinanceFirm:
    """Ids: a draft over `draft_net`, one held, one approved, the invoices made of earlier ones, a broken item."""

    draft: str
    draft_net: Decimal
    held: str
    approved: str
    invoices: tuple[str, ...]
    lost: str


def entry(n: int, day: date, deal: str, entity: str, **changes: Any) -> WorkEntry:
    base = WorkEntry(
        id=f"WRK-{n}", revision=1, kind=WorkKind.TIME, source="timesheets", source_key=str(n),
        status=WorkStatus.APPROVED, worked_on=day, quantity=Decimal(8), engagement_id=deal, legal_entity=entity,
        worker=WORKERS[n % 3], role="consultant", task="design" if n % 2 else "build", approver="paul",
        approved_at=datetime(day.year, day.month, day.day, 18, tzinfo=UTC).isoformat(),
        recorded_as=f"week.csv line {n}",
    )  # fmt: skip
    return replace(base, **changes)


async def tell_into(url: str) -> FinanceFirm:
    """Tell the firm into a database as of now."""
    pool = await open_pool(url, min_size=1, max_size=4, application_name="accord test")
    try:
        return await tell(pool, datetime.now(UTC))
    finally:
        await pool.close()


async def tell(pool: Pool, now: datetime) -> FinanceFirm:
    """Write the firm: about 60 entries of the last five months, four invoices, and what is wrong with some."""
    today = now.date()
    async with transaction(pool) as db:
        await seed(db, now)
        await declare(db, TERMS, by="fatima")
    old = [entry(100 + n, today - timedelta(days=100 + 7 * n), DEAL, "US") for n in range(4)]
    paid = [entry(200 + n, today - timedelta(days=70 + n), DEAL, "US") for n in range(3)]
    await _work(pool, now, [*old, *paid])
    invoices = [await _invoice(pool, today - timedelta(days=62), now - timedelta(days=60), paid_after=21)]
    await _work(pool, now, [entry(300 + n, today - timedelta(days=48 + n), HELD, "DE") for n in range(6)])
    invoices.append(await _invoice(pool, today - timedelta(days=45), now - timedelta(days=44), paid_after=None))
    fresh = [entry(400 + n, today - timedelta(days=20 + n), DEAL, "US", worker="anna") for n in range(9)]
    japan = [entry(500 + n, today - timedelta(days=35 + n), DEAL, "JP") for n in range(5)]
    german = [entry(600 + n, today - timedelta(days=3 + n), HELD, "DE", worker=ATTACK) for n in range(4)]
    other = [entry(700 + n, today - timedelta(days=12 + n), "DEA-K0", "US") for n in range(6)]
    await _work(pool, now, [*fresh, *japan, *german, *other])
    ids = await _proposals(pool, now, today)
    await _work(pool, now, [entry(800 + n, today - timedelta(days=n), DEAL, "US", worker="dora") for n in range(8)])
    late = [entry(1000 + n, today - timedelta(days=40 + 35 * n), "DEA-K0", "US", worker="finn") for n in range(4)]
    await _work(pool, now, late)
    lost = entry(900, today - timedelta(days=2), "DEA-K0", "US", worker="eve")
    await _work(pool, now, [lost])
    await _break(pool, now)
    async with pool.connection() as db:
        row = await (await db.execute("SELECT net FROM proposal WHERE id = %s", [ids["draft"]])).fetchone()
    assert row is not None
    return FinanceFirm(ids["draft"], row[0], ids["held"], ids["approved"], tuple(invoices), "WRK-900")


async def _work(pool: Pool, now: datetime, entries: list[WorkEntry]) -> None:
    async with transaction(pool) as db:
        await take(db, entries, (), source="timesheets")
    await rate_waiting(pool, now)


async def _invoice(pool: Pool, up_to: date, at: datetime, *, paid_after: int | None) -> str:
    """Propose, approve and issue all the work up to a day, post it, and pay it some days after."""
    async with transaction(pool) as db:
        await propose(db, up_to, at=at - timedelta(days=2))
        row = await (await db.execute("SELECT id FROM proposal WHERE status = 'draft'")).fetchone()
        assert row is not None
        found = await approving.approve(db, row[0], by="carla", at=at - timedelta(hours=20))
        net = found.net
        post = move_document(
            f"bill {row[0]}", row[0], net, out_of=Disposition.DRAFT, into=Disposition.BILLED, cause="invoice.issued",
            at=at.isoformat(),
        )  # fmt: skip
        await write(db, [(post.entry, post.items, post.postings)])
        issued = at.date()
        invoice = Invoice(
            id=row[0], customer_id=found.customer_id, legal_entity=found.legal_entity, currency=found.currency,
            lines=tuple(InvoiceLine(f"{row[0]}-{n}", line.text, line.net, Money.zero(found.currency))
                for n, line in enumerate(found.lines, 1)),
            net=net, tax=Money.zero(found.currency), gross=net, origin="work", engagement_id=found.engagement_id,
            deal_id=found.engagement_id, issued_on=issued, due_on=issued + timedelta(days=30),
            number=f"ACC-1{len(found.lines)}{issued.day:02}", status="open", paid=Money.zero(found.currency),
        )  # fmt: skip
        await Records(write).keep(db, [Kept("invoice", invoice.id, to_plain(invoice), found.engagement_id)], at)
        posting = {"id": invoice.id, "engagement_id": found.engagement_id, "erp_id": "9901"}
        at += timedelta(hours=1)
        await Records(write).keep(db, [Kept("invoice_posting", invoice.id, posting, found.engagement_id)], at)
        if paid_after is not None:
            whole = replace(invoice, status="paid", paid=net)
            await Records(write).keep(
                db, [Kept("invoice", invoice.id, to_plain(whole), found.engagement_id)], at + timedelta(days=paid_after)
            )
            collect = move_document(
                f"collect {row[0]}", row[0], net, out_of=Disposition.BILLED, into=Disposition.COLLECTED, cause="paid",
                at=at.isoformat(),
            )  # fmt: skip
            await write(db, [(collect.entry, collect.items, collect.postings)])
        await approving.note_issued(db)
    return str(row[0])


async def _proposals(pool: Pool, now: datetime, today: date) -> dict[str, str]:
    """Four drafts of what lies in WIP: one stays, one is held, one is approved, one loses a line."""
    async with transaction(pool) as db:
        await propose(db, today - timedelta(days=1), at=now - timedelta(days=1, hours=3))
        drafts = "SELECT engagement, currency, id FROM proposal WHERE status = 'draft'"
        rows = await (await db.execute(drafts)).fetchall()
        ids = {(engagement, currency): id for engagement, currency, id in rows}
        await approving.hold(db, ids[DEAL, "JPY"], reason="The customer asks for a new order number", by="fatima (f1)")
        await approving.approve(db, ids["DEA-K0", "USD"], by="carla", at=now - timedelta(hours=5))
        await approving.set_aside(
            db, ids[HELD, "EUR"], 1, reason="Travel time is disputed", by="fatima (f1)", at=now - timedelta(hours=4)
        )
    return {"draft": ids[DEAL, "USD"], "held": ids[DEAL, "JPY"], "approved": ids["DEA-K0", "USD"]}


async def _break(pool: Pool, now: datetime) -> None:
    """Damage what the database itself would refuse: a lost item, a wrong quantity; then look for them."""
    async with transaction(pool) as db:
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute(
            """WITH gone AS (DELETE FROM item_part WHERE item_id = 'BIL-900-1' RETURNING *)
            UPDATE ledger_total t
            SET amount = t.amount - g.amount, parts = t.parts - 1, quantity = t.quantity - g.quantity
            FROM gone g WHERE (t.engagement, t.legal_entity, t.currency, t.disposition, t.month)
                = (g.engagement, g.legal_entity, g.currency, g.disposition, date_trunc('month', g.worked_on)::date)"""
        )
        await db.execute("DELETE FROM billable_item WHERE id = 'BIL-900-1'")
        await db.execute("UPDATE billable_item SET quantity = 7 WHERE id = 'BIL-601-1'")
        await db.execute("UPDATE work_entry SET recorded_at = recorded_at - interval '1 hour'")
        await db.execute("UPDATE billable_item SET recorded_at = recorded_at - interval '1 hour'")
    async with transaction(pool) as db:
        await check(db, now)
        await reconcile(db, now, [matches.TIME_TO_LEDGER])
