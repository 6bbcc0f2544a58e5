"""A contract change: its impact is read from the books, applied as one plan by another person, and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from accord.db.pool import Pool, transaction
from accord.errors import Conflict, UsageError
from accord.ledger.changes import planning
from accord.ledger.changes.planning import EngagementMoved, PlanFile
from accord.ledger.changes.reading import Looked, look
from accord.model.billing import ScheduledMilestone
from accord.model.plain import to_plain
from accord.model.terms import BillingTerms, Cap, CapLevel, RateRow, Retainer
from accord.rules.change_impact.change import Area, IssuedInvoices
from accord.rules.change_impact.order import ChangeOrder
from accord.rules.change_impact.plan import ImpactHasProblems
from tests.ledger.worked import TERMS, agree, bill, entry, lies, proposal, rows, usd, work

NOW = datetime(2026, 12, 3, 9, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)


def rated(rate: str, cap: str | None = None, **changes: Any) -> BillingTerms:
    caps = () if cap is None else (Cap("PO", CapLevel.PURCHASE_ORDER, usd(cap)),)
    return replace(TERMS, rates=(RateRow("R", usd(rate)),), caps=caps, **changes)


def order(terms: BillingTerms | None = None, **changes: Any) -> ChangeOrder:
    return replace(ChangeOrder("CO-1", "DEA-1", "US", NOVEMBER, "change order 1", terms=terms), **changes)


async def shown(pool: Pool, about: ChangeOrder) -> Looked:
    async with transaction(pool) as db:
        return await look(db, about, NOW.date())


def figures(found: Looked, area: Area) -> list[tuple[str, str, str]]:
    return [(each.subject, str(each.before.amount), str(each.after.amount)) for each in found.impact.of(area)]


async def propose(pool: Pool, about: ChangeOrder) -> None:
    async with transaction(pool) as db:
        await planning.propose(db, about, by="petra", now=NOW)


async def apply(pool: Pool, id: str = "CO-1", by: str = "fatima") -> PlanFile:
    async with transaction(pool) as db:
        return await planning.apply(db, id, by=by, now=NOW)


async def take_back(pool: Pool, id: str = "CO-1", by: str = "carla") -> PlanFile:
    async with transaction(pool) as db:
        return await planning.take_back(db, id, by=by, now=NOW)


def journal(found: PlanFile) -> list[tuple[str, str, str, str]]:
    return [(each.verb, each.subject, each.before, each.after) for each in found.steps]


@pytest.fixture
async def firm(pool: Pool) -> Pool:
    """Under a cap of 2,000.00: 800.00 invoiced, 800.00 in a draft, 400.00 in WIP, and 1,200.00 above the cap."""
    await agree(pool, rated("200", "2000"))
    await work(pool, entry(2))
    await bill(pool, await proposal(pool))
    await work(pool, entry(3))
    await proposal(pool)
    await work(pool, entry(4), entry(5))
    assert await lies(pool) == {"billed": "800.00", "draft": "800.00", "wip": "400.00", "over_cap": "1200.00"}
    return pool


async def test_the_impact_is_read_from_the_books(firm: Pool) -> None:
    found = await shown(firm, order(rated("210", "2500")))
    draft = (await rows(firm, "SELECT id FROM proposal WHERE status = 'draft'"))[0][0]
    assert figures(found, Area.WIP) == [("unbilled work", "400.00", "420.00")]
    assert figures(found, Area.DRAFTS) == [(draft, "800.00", "840.00")]
    assert figures(found, Area.ISSUED_INVOICES) == []
    assert [each.code for each in found.impact.problems] == ["invoice_left"]
    assert figures(found, Area.OVER_CAP) == [("purchase order cap PO", "1200.00", "760.00")]
    assert found.impact.applicable
    rebilled = await shown(firm, order(rated("210", "2500"), issued=IssuedInvoices.CREDIT_AND_REBILL))
    assert [each[1:] for each in figures(rebilled, Area.ISSUED_INVOICES)] == [("800.00", "840.00")]


async def test_nothing_changes_when_nothing_changes(firm: Pool) -> None:
    found = await shown(firm, order(rated("200", "2000")))
    assert (found.impact.effects, found.impact.problems) == ((), ())


async def test_a_raised_cap_is_applied_by_another_person_and_taken_back(firm: Pool) -> None:
    before = await lies(firm)
    await propose(firm, order(rated("200", "2500")))
    with pytest.raises(Conflict, match="somebody else must apply it"):
        await apply(firm, by="petra")
    done = await apply(firm)
    assert journal(done) == [
        ("use_terms", "DEA-1", "1", "2"), ("set_over_cap", "purchase order cap PO", "1200.00 USD", "700.00 USD"),
    ]  # fmt: skip
    assert [each.outcome for each in done.steps] == ["version 2", "500.00 USD set free, 0.00 USD taken above"]
    assert await lies(firm) == {"billed": "800.00", "draft": "800.00", "wip": "900.00", "over_cap": "700.00"}
    with pytest.raises(Conflict, match="somebody else must take it back"):
        await take_back(firm, by="fatima")
    back = await take_back(firm)
    assert journal(back)[2:] == [
        ("set_over_cap", "purchase order cap PO", "700.00 USD", "1200.00 USD"), ("use_terms", "DEA-1", "2", "1"),
    ]  # fmt: skip
    assert [each.undoes for each in back.steps] == [False, False, True, True]
    assert await lies(firm) == before
    assert await rows(firm, "SELECT used FROM billing_counter") == [(Decimal("2000.00"),)]
    told = await rows(firm, "SELECT actor, action FROM audit_entry WHERE action LIKE 'contract change %' ORDER BY id")
    assert told == [
        ("petra", "contract change proposed"), ("fatima", "contract change applied"),
        ("carla", "contract change taken back"),
    ]  # fmt: skip


async def test_a_rate_reprices_wip_and_drafts_and_leaves_invoices(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    await bill(pool, await proposal(pool))
    await work(pool, entry(3))
    await proposal(pool)
    await work(pool, entry(4))
    before = await lies(pool)
    await propose(pool, order(rated("210")))
    done = await apply(pool)
    assert [each.verb for each in done.steps] == ["use_terms", "reprice_wip", "replace_draft"]
    found = await lies(pool)
    assert (found["billed"], found["draft"]) == ("800.00", "1680.00")
    assert sum(Decimal(each) for each in found.values()) == Decimal("2480.00")
    await take_back(pool)
    found = await lies(pool)
    assert found["billed"] == before["billed"]
    assert Decimal(found.get("draft", 0)) + Decimal(found.get("wip", 0)) == Decimal("1600.00")


async def test_credit_and_rebill_asks_for_the_credit_of_the_invoice(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2))
    id = await proposal(pool)
    await bill(pool, id)
    await issued(pool, id)
    await propose(pool, order(rated("210"), issued=IssuedInvoices.CREDIT_AND_REBILL))
    done = await apply(pool)
    [credit] = [each for each in done.steps if each.verb == "credit_and_rebill"]
    assert (credit.subject, credit.before, credit.after) == ("ACC-1", "800.00 USD", "840.00 USD")
    [(asked, amount, by)] = await rows(pool, "SELECT id, amount, requested_by FROM adjustment")
    assert credit.outcome == f"asked for, to be approved: {asked}"
    assert (amount, by) == (Decimal("800.00"), "fatima")


async def issued(pool: Pool, id: str) -> None:
    """The invoice as billing issued it."""
    money = {"amount": "800.00", "currency": "USD"}
    nothing = {"amount": "0.00", "currency": "USD"}
    line = {"item_id": f"{id}-1", "text": "anna", "net": money, "tax": nothing}
    body = {
        "id": id, "customer_id": "CUS-1", "legal_entity": "US", "currency": "USD", "lines": [line], "net": money,
        "tax": nothing, "gross": money, "origin": "work", "engagement_id": "DEA-1", "issued_on": "2026-12-01",
        "number": "ACC-1", "status": "open",
    }  # fmt: skip
    await keep(pool, "invoice", id, body)


async def keep(pool: Pool, kind: str, id: str, body: dict[str, Any]) -> None:
    async with transaction(pool) as db:
        await db.execute(
            """
            INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, correlation,
                changed_at, observed_at) VALUES (%s, %s, 1, %s, '', '{}', 'stripe', '1', 'DEA-1', now(), now())
            """,
            [kind, id, Jsonb(body)],
        )


async def test_milestones_are_shown_and_handed_to_their_story(pool: Pool) -> None:
    await agree(pool)
    go_live = ScheduledMilestone("MIL-1", "DEA-1", "CUS-1", "US", "Go-live", usd("20000"))
    await keep(pool, "scheduled_milestone", "MIL-1", to_plain(go_live))
    more = replace(go_live, id="MIL-2", name="Hypercare", amount=usd("8000"))
    about = order(milestones=(replace(go_live, amount=usd("24000")), more))
    found = await shown(pool, about)
    assert figures(found, Area.MILESTONES) == [("Go-live", "20000.00", "24000.00"), ("Hypercare", "0.00", "8000.00")]
    await propose(pool, about)
    await apply(pool)
    facts = "SELECT subject, payload -> 'milestones' FROM event WHERE type = 'contract_plan.applied' ORDER BY seq"
    [(subject, told)] = await rows(pool, facts)
    assert (subject, [each["id"] for each in told]) == ("DEA-1", ["MIL-1", "MIL-2"])
    await take_back(pool)
    back = (await rows(pool, facts))[1][1]
    assert [(each["id"], each["amount"]["amount"], each["status"]) for each in back] == [
        ("MIL-1", "20000.00", "scheduled"), ("MIL-2", "8000.00", "cancelled"),
    ]  # fmt: skip


async def test_a_retainer_that_ends_with_money_left_cannot_be_applied(pool: Pool) -> None:
    retainer = Retainer("RET", usd("1000"), date(2026, 11, 1), months=3, rollover_months=1)
    await agree(pool, replace(TERMS, retainer=retainer))
    await work(pool, entry(2))
    found = await shown(pool, order(TERMS))
    # November has 200.00 left and December, paid on its first day, 1,000.00; January is still to come.
    assert figures(found, Area.RETAINER) == [("retainer RET", "2200.00", "1200.00")]
    await propose(pool, order(TERMS))
    with pytest.raises(ImpactHasProblems, match=r"ends with 1200\.00 USD not worked off"):
        await apply(pool)


async def test_what_has_moved_since_it_was_shown_is_shown_again(firm: Pool) -> None:
    await propose(firm, order(rated("210", "2000")))
    await work(firm, entry(6))
    with pytest.raises(EngagementMoved):
        await apply(firm)
    await propose(firm, order(rated("210", "2000")))
    assert (await apply(firm)).state == "applied"
    with pytest.raises(Conflict, match="is applied"):
        await apply(firm)
    with pytest.raises(Conflict, match="under a new id"):
        await propose(firm, order(rated("210", "2000")))


async def test_a_change_of_another_engagement_and_an_undeclared_promise_are_refused(firm: Pool) -> None:
    with pytest.raises(UsageError, match="The terms are of DEA-9 in US"):
        await shown(firm, order(rated("200", engagement_id="DEA-9")))


async def test_a_dropped_change_is_not_applied(firm: Pool) -> None:
    await propose(firm, order(rated("210", "2000")))
    async with transaction(firm) as db:
        await planning.drop(db, "CO-1", by="petra")
    with pytest.raises(Conflict, match="is dropped"):
        await apply(firm)
