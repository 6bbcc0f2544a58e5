"""From approved work to the invoice line and back: priced, placed, taken back, proposed, approved, explained."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from accord.db.pool import Pool, transaction
from accord.errors import Conflict, UsageError
from accord.ledger import approving
from accord.ledger.dispositions import Disposition, move_document
from accord.ledger.explaining import ItemExplained, LineExplained, disagreements, explain
from accord.ledger.postings import standing, write
from accord.ledger.proposing import propose
from accord.ledger.rating import RatingReport, rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.ledger.writing_down import preview
from accord.model.money import Money
from accord.model.terms import BillingTerms, Cap, CapLevel, FixedFee, RateRow
from accord.model.work import WorkEntry, WorkKind, WorkStatus

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
END = date(2026, 11, 30)
TERMS = BillingTerms(
    "DEA-1", "US", 1, "USD", "CUS-1", clause="SOW 4.1",
    rates=(RateRow("R", Money.of("200.00", "USD"), clause="Annex B 2"),),
)  # fmt: skip
CAP = Cap("PO", CapLevel.PURCHASE_ORDER, Money.of("1000.00", "USD"), clause="PO 4711")


def entry(n: int, hours: str = "4", **changes: Any) -> WorkEntry:
    base = WorkEntry(
        id=f"WRK-{n}", revision=1, kind=WorkKind.TIME, source="time", source_key=str(n), status=WorkStatus.APPROVED,
        worked_on=date(2026, 11, n), quantity=Decimal(hours), engagement_id="DEA-1", legal_entity="US", worker="anna",
        approver="paul", approved_at=f"2026-11-{n:02}T18:00:00+00:00", recorded_as=f"week.csv line {n}",
    )  # fmt: skip
    return replace(base, **changes)


@asynccontextmanager
async def database(pool: Pool) -> AsyncIterator[Any]:
    async with transaction(pool) as db:
        yield db


async def work(pool: Pool, *entries: WorkEntry) -> RatingReport:
    async with database(pool) as db:
        await take(db, entries, (), source="time")
    return await rate_waiting(pool, NOW)


async def agree(pool: Pool, terms: BillingTerms = TERMS) -> None:
    async with database(pool) as db:
        await declare(db, [terms], by="fatima")


async def lies(pool: Pool) -> dict[str, str]:
    async with pool.connection() as db:
        found = await standing(db)
    for each in found:
        assert each.unexplained == 0
    return {name: str(value) for each in found for name, value in each.dispositions.items()}


async def proposal(pool: Pool, up_to: date = END) -> str:
    async with database(pool) as db:
        await propose(db, up_to, at=NOW)
        row = await (await db.execute("SELECT id FROM proposal WHERE status = 'draft'")).fetchone()
    assert row is not None
    return str(row[0])


async def bill(pool: Pool, id: str) -> None:
    """Approved, and issued as its story would."""
    async with database(pool) as db:
        found = await approving.approve(db, id, by="fatima", at=NOW)
        post = move_document(
            f"bill {id}",
            id,
            found.net,
            out_of=Disposition.DRAFT,
            into=Disposition.BILLED,
            cause="t",
            at=NOW.isoformat(),
        )
        await write(db, [(post.entry, post.items, post.postings)])


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as db:
        return await (await db.execute(query)).fetchall()


async def test_approved_work_has_its_price_and_lies_in_wip(pool: Pool) -> None:
    await agree(pool)
    report = await work(pool, entry(2), entry(3, "1.5"), entry(4, status=WorkStatus.SUBMITTED))
    assert (report.rated, report.problems) == (2, 0)
    assert await lies(pool) == {"wip": "1100.00"}
    assert (await work(pool)).rated == 0


async def test_work_without_terms_waits_as_a_case_and_is_priced_when_they_are_declared(pool: Pool) -> None:
    assert (await work(pool, entry(2), entry(3))).problems == 2
    cases = "SELECT reason, title, state FROM business_case"
    assert await rows(pool, cases) == [
        ("terms_missing", "2 approved records of DEA-1 in US have no price (8 h): terms_missing", "open")
    ]
    await agree(pool)
    assert (await rate_waiting(pool, NOW)).rated == 2
    assert [row[2] for row in await rows(pool, cases)] == ["resolved"]
    assert await lies(pool) == {"wip": "1600.00"}


async def test_a_recall_before_invoicing_takes_the_item_back_and_a_correction_prices_it_anew(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3))
    assert (await work(pool, entry(2, status=WorkStatus.RECALLED))).reversed == 1
    assert await lies(pool) == {"wip": "800.00"}
    await work(pool, entry(2, "3"), entry(3, status=WorkStatus.DELETED))
    assert await lies(pool) == {"wip": "600.00"}


async def test_a_revision_that_changes_no_price_leaves_its_item_alone(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    await work(pool, entry(2, approver="petra"))
    assert await rows(pool, "SELECT id FROM billable_item") == [("BIL-2-1",)]


async def test_a_cap_splits_and_a_correction_gives_its_room_back(pool: Pool) -> None:
    await agree(pool, replace(TERMS, caps=(CAP,)))
    await work(pool, entry(2), entry(3))
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "600.00"}
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    assert await lies(pool) == {"wip": "200.00", "over_cap": "600.00"}
    assert await rows(pool, "SELECT used FROM billing_counter") == [(Decimal("200.00"),)]
    await work(pool, entry(4))
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "600.00"}


async def test_engagements_of_a_customer_that_are_rated_at_once_use_one_cap_together(pool: Pool) -> None:
    frame = replace(TERMS, caps=(replace(CAP, level=CapLevel.CUSTOMER),))
    await agree(pool, frame)
    await agree(pool, replace(frame, engagement_id="DEA-2"))
    await work(pool, entry(2), entry(3, engagement_id="DEA-2"), entry(4, engagement_id="DEA-2"))
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "1400.00"}
    assert await rows(pool, "SELECT used FROM billing_counter") == [(Decimal("1000.00"),)]


async def test_what_is_proposed_is_approved_by_somebody_else_and_becomes_the_invoice(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3, worker="ben"), entry(9, "1", worked_on=date(2026, 12, 1)))
    id = await proposal(pool)
    assert await lies(pool) == {"draft": "1600.00", "wip": "200.00"}
    async with database(pool) as db:
        await approving.write_down(db, id, Decimal("100.01"), line=1, reason="goodwill", by="fatima", at=NOW)
    with pytest.raises(Conflict, match="somebody else"):
        async with database(pool) as db:
            await approving.approve(db, id, by="fatima", at=NOW)
    async with database(pool) as db:
        found = await approving.approve(db, id, by="carla", at=NOW)
    assert [(each.text, str(each.net)) for each in found.lines] == [("anna", "699.99 USD"), ("ben", "800.00 USD")]
    assert str(found.net) == "1499.99 USD"
    assert await lies(pool) == {"draft": "1499.99", "wip": "200.00", "written_off": "100.01"}
    async with pool.connection() as db:
        assert [each async for each in disagreements(db)] == [], "what was written down is on no line"
    told = await rows(pool, "SELECT type, subject, correlation FROM event WHERE type = 'proposal.approved'")
    assert told == [("proposal.approved", id, "DEA-1")]
    with pytest.raises(Conflict, match="the proposal is approved"):
        async with database(pool) as db:
            await approving.withdraw(db, id, reason="late", by="carla", at=NOW)


async def test_held_proposals_are_not_approved_and_withdrawn_work_is_proposed_again(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3, worker="ben"))
    id = await proposal(pool)
    async with database(pool) as db:
        await approving.hold(db, id, reason="the customer asked to wait", by="fatima")
    with pytest.raises(Conflict):
        async with database(pool) as db:
            await approving.approve(db, id, by="carla", at=NOW)
    async with database(pool) as db:
        await approving.release(db, id, by="fatima")
        await approving.set_aside(db, id, 2, reason="unclear", by="fatima", at=NOW)
    assert await lies(pool) == {"draft": "800.00", "held": "800.00"}
    async with database(pool) as db:
        await approving.withdraw(db, id, reason="again, please", by="fatima", at=NOW)
    assert await lies(pool) == {"held": "800.00", "wip": "800.00"}
    assert await proposal(pool) != id


async def test_no_more_is_written_down_than_is_there(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    id = await proposal(pool)
    with pytest.raises(UsageError, match="between 0 and 800"):
        async with database(pool) as db:
            await approving.write_down(db, id, Decimal("800.01"), line=1, reason="x", by="a", at=NOW)


async def test_nobody_who_changed_an_amount_approves_it_whoever_changed_it_last(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3, worker="ben"), entry(4, worker="cleo"))
    id = await proposal(pool)
    async with database(pool) as db:
        await approving.write_down(db, id, Decimal(10), line=1, reason="goodwill", by="fatima", at=NOW)
        await approving.set_aside(db, id, 2, reason="unclear", by="gus", at=NOW)
        await approving.hold(db, id, reason="ask the customer", by="hana")
        await approving.write_down(db, id, Decimal(5), line=1, reason="goodwill", by="ivo", at=NOW)
    assert await rows(pool, "SELECT status, reason, changers FROM proposal") == [
        ("held", "ask the customer", ["fatima", "gus", "ivo"])
    ]
    async with database(pool) as db:
        await approving.release(db, id, by="hana")
    for changer in ("fatima", "gus", "ivo"):
        with pytest.raises(Conflict, match="somebody else"):
            async with database(pool) as db:
                await approving.approve(db, id, by=changer, at=NOW)
    async with database(pool) as db:
        await approving.approve(db, id, by="hana", at=NOW)
    assert await rows(pool, "SELECT work_approved_at::date FROM proposal") == [(date(2026, 11, 4),)]


async def test_a_proposal_that_is_written_off_whole_is_withdrawn(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    id = await proposal(pool)
    async with database(pool) as db:
        await approving.write_down(db, id, Decimal(800), line=None, reason="goodwill", by="fatima", at=NOW)
    assert await rows(pool, "SELECT status, net, lines FROM proposal") == [("withdrawn", Decimal(0), 0)]
    assert await lies(pool) == {"written_off": "800.00"}


async def test_a_write_down_takes_nothing_from_another_draft_of_the_same_item(pool: Pool) -> None:
    """A cap split the item; raised, it left the rest for a second proposal."""
    await agree(pool, replace(TERMS, caps=(CAP,)))
    await work(pool, entry(2), entry(3))
    first = await proposal(pool)
    async with database(pool) as db:
        await db.execute(
            "UPDATE item_part SET disposition = 'wip', entry = 'cap raised', cause = 't' WHERE disposition = 'over_cap'"
        )
        await propose(db, END, at=NOW)
    second = (await rows(pool, f"SELECT id FROM proposal WHERE id <> '{first}'"))[0][0]
    async with database(pool) as db:
        before = await preview(db, second, Decimal("100.01"), line=1, by="fatima")
        await approving.write_down(db, second, Decimal("100.01"), line=1, reason="goodwill", by="fatima", at=NOW)
    assert (before.lines, str(before.after)) == ({1: (Decimal("600.00"), Decimal("499.99"))}, "499.99 USD")
    assert await rows(pool, "SELECT id, net FROM proposal ORDER BY net") == [
        (second, Decimal("499.99")), (first, Decimal("1000.00"))
    ]  # fmt: skip
    assert await lies(pool) == {"draft": "1499.99", "written_off": "100.01"}
    async with pool.connection() as db:
        line = await explain(db, f"{second}/1")
        assert [each async for each in disagreements(db)] == []
    assert isinstance(line, LineExplained)
    assert (line.net, line.agrees) == (Decimal("499.99"), True)
    assert await rows(pool, "SELECT sum(quantity) FROM item_part") == [(Decimal(8),)]


async def test_edge_02_a_correction_after_invoicing_lessens_the_next_invoice(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    await bill(pool, await proposal(pool))
    await work(pool, entry(2, "3"), entry(3))
    assert await lies(pool) == {"billed": "800.00", "wip": "600.00"}
    await bill(pool, await proposal(pool))
    assert await lies(pool) == {"billed": "1400.00"}


async def test_two_runs_that_propose_at_once_share_the_work_and_neither_waits_nor_bills_twice(pool: Pool) -> None:
    other = replace(TERMS, engagement_id="DEA-2")
    await agree(pool)
    await agree(pool, other)
    await work(pool, entry(2), entry(3, engagement_id="DEA-2"))
    async with database(pool) as first:
        await propose(first, END, at=NOW, engagement="DEA-1")
        async with database(pool) as second:
            await second.execute("SET LOCAL lock_timeout = '1s'")
            assert (await propose(second, END, at=NOW)).proposals == 1  # of the other engagement
    async with database(pool) as third:
        assert (await propose(third, END, at=NOW)).proposals == 0
    assert await lies(pool) == {"draft": "1600.00"}


async def test_edge_02_a_correction_greater_than_what_is_new_waits_for_more(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    await bill(pool, await proposal(pool))
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    async with database(pool) as db:
        assert (await propose(db, END, at=NOW)).proposals == 0
    assert await lies(pool) == {"billed": "800.00", "wip": "-800.00"}


async def test_edge_03_an_approval_withdrawn_from_a_draft_leaves_it_and_a_locked_draft_stays(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3, "1"))
    id = await proposal(pool)
    await work(pool, entry(3, "1", status=WorkStatus.RECALLED))
    assert await lies(pool) == {"draft": "800.00"}
    assert await rows(pool, "SELECT net, lines FROM proposal") == [(Decimal("800.00"), 1)]
    async with database(pool) as db:
        await approving.approve(db, id, by="carla", at=NOW)
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    assert await lies(pool) == {"draft": "800.00", "wip": "-800.00"}
    assert await rows(pool, "SELECT net, status FROM proposal") == [(Decimal("800.00"), "approved")]


async def test_edge_03_a_draft_that_loses_all_its_work_is_withdrawn(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    await proposal(pool)
    await work(pool, entry(2, status=WorkStatus.RECALLED))
    assert await rows(pool, "SELECT net, lines, status FROM proposal") == [(Decimal(0), 0, "withdrawn")]


async def test_edge_01_one_timesheet_of_several_engagements_entities_and_currencies(pool: Pool) -> None:
    german = replace(
        TERMS, engagement_id="DEA-2", legal_entity="DE", currency="EUR", customer_id="CUS-2",
        rates=(RateRow("R", Money.of("150.00", "EUR")),),
    )  # fmt: skip
    async with database(pool) as db:
        await declare(db, [TERMS, german], by="fatima")
    await work(pool, entry(2), entry(3, engagement_id="DEA-2", legal_entity="DE"))
    async with pool.connection() as db:
        found = {(each.legal_entity, each.currency): each.dispositions for each in await standing(db)}
    assert found == {("US", "USD"): {"wip": Decimal("800.00")}, ("DE", "EUR"): {"wip": Decimal("600.00")}}


async def test_edge_12_work_for_another_entity_is_charged_between_them(pool: Pool) -> None:
    await agree(pool, replace(TERMS, intercompany_percentage=Decimal(80)))
    await work(pool, entry(2, worker_entity="DE"))
    found = await rows(pool, "SELECT legal_entity, disposition, amount FROM item_part ORDER BY 1")
    assert found == [("DE", "intercompany", Decimal("640.00")), ("US", "wip", Decimal("800.00"))]
    await work(pool, entry(2, worker_entity="DE", status=WorkStatus.RECALLED))
    assert await lies(pool) == {}


async def test_a_line_explains_itself_to_clause_rate_and_source_and_recomputes(pool: Pool) -> None:
    await agree(pool, replace(TERMS, caps=(CAP,)))
    await work(pool, entry(2), entry(3))
    id = await proposal(pool)
    await bill(pool, id)
    async with pool.connection() as db:
        line = await explain(db, f"{id}/1")
        assert isinstance(line, LineExplained)
        assert [each async for each in disagreements(db)] == []
    assert (line.net, line.agrees) == (Decimal("1000.00"), True)
    split = line.items[1]
    assert (split.amount, split.recomputed) == (Decimal("800.00"), Decimal("800.00"))
    assert [(each.disposition, each.amount, each.cause) for each in split.parts] == [
        ("billed", Decimal("200.00"), "t"),
        ("over_cap", Decimal("600.00"), "cap PO"),
    ]
    assert split.counters == (("cap DEA-1 US PO", Decimal("200.00"), Decimal("1000.00")),)
    assert split.rate_row is not None
    assert (split.clause, split.rate_row.clause, split.terms_version) == ("SOW 4.1", "Annex B 2", 1)
    assert split.entry is not None
    assert (split.entry.approver, split.entry.source_key) == ("paul", "3")


async def test_a_line_that_was_written_down_comes_to_what_is_left_of_it(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3))
    id = await proposal(pool)
    async with database(pool) as db:
        await approving.write_down(db, id, Decimal("100.01"), line=1, reason="goodwill", by="carla", at=NOW)
    await bill(pool, id)
    async with pool.connection() as db:
        line = await explain(db, f"{id}/1")
        assert isinstance(line, LineExplained)
        assert (line.net, line.agrees) == (Decimal("1499.99"), True)
        assert [each async for each in disagreements(db)] == []


async def test_progress_of_a_fixed_fee_is_billed_corrected_and_explains_itself(pool: Pool) -> None:
    await agree(pool, replace(TERMS, fixed_fees=(FixedFee("Design", Money.of("100.01", "USD"), "SOW 3"),)))

    def reached(n: int, percent: str) -> WorkEntry:
        return entry(n, percent, kind=WorkKind.USAGE, unit="percent", task="Design")

    await work(pool, reached(2, "40"), reached(3, "35"))
    assert await lies(pool) == {"wip": "75.01"}
    await bill(pool, await proposal(pool))
    await work(pool, reached(2, "30"), reached(4, "35"))
    assert await lies(pool) == {"billed": "75.01", "wip": "25.00"}
    await proposal(pool)
    assert (await work(pool, reached(5, "0.5"))).problems == 1
    async with pool.connection() as db:
        assert [each async for each in disagreements(db)] == []
        assert await rows(pool, "SELECT reason FROM work_unpriced") == [("progress_beyond_fee",)]


async def test_an_amount_that_is_not_the_price_is_seen(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    id = await proposal(pool)
    async with database(pool) as db:
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute("UPDATE billable_item SET amount = 900")
        await db.execute("UPDATE item_part SET amount = 900")
        await db.execute("UPDATE proposal_line SET net = 900")
    async with pool.connection() as db:
        item = await explain(db, "BIL-2-1")
        assert isinstance(item, ItemExplained)
        assert (item.recomputed, item.agrees) == (Decimal("800.00"), False)
        assert [(each.document, each.line) async for each in disagreements(db)] == [(id, 1)]


async def test_terms_that_say_the_same_are_no_new_version_and_old_ones_stay(pool: Pool) -> None:
    await agree(pool)
    await agree(pool)
    await agree(pool, replace(TERMS, discount=Decimal(10)))
    await work(pool, entry(2))
    assert await rows(pool, "SELECT version FROM billing_terms ORDER BY 1") == [(1,), (2,)]
    assert await lies(pool) == {"wip": "720.00"}
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        async with database(pool) as db:
            await db.execute("DELETE FROM billing_terms")
