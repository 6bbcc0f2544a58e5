"""The timeline of an engagement: every step in order, the pauses named, what is not over at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from accord.db.pool import Pool, transaction
from accord.insight import finding, timeline
from accord.insight.timeline import Entry, with_gaps
from accord.insight.words import WORDS, money_of, words_of
from accord.model import events
from accord.model.money import Money
from accord.processes import PROCESSES
from tests.seeding import DEAL, Seeded, event, seed

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


def entry(minutes: float, what: str = "x") -> Entry:
    return Entry(AT + timedelta(minutes=minutes), "fact", "accord", "accord", what, "accord")


async def test_a_trace_has_every_step_in_order_with_exactly_these_fields(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        rows = await timeline.trace(db, "0061")
    assert {tuple(row) for row in rows} == {("at", "system", "what", "actor", "money", "latency_ms", "ref")}
    story = [row["what"] for row in rows]
    assert story[0] == "Opportunity won"
    assert story.index("Create project P-0061-US") < story.index("Engagement active: projects P-0061-US, P-0061-DE")
    assert story.index("Milestone approved by Dana Delivery") < story.index("Invoice ACC-0001 issued")
    told = next(row for row in rows if row["what"] == "Issue the invoice for US blueprint accepted")
    assert (told["system"], told["ref"], told["latency_ms"]) == ("stripe", "in_10", 640)
    assert told["money"] == {"amount": "120000.00", "currency": "USD"}
    assert rows[0]["system"] == "salesforce", "a fact names the system it was seen in"
    assert rows[0]["ref"] == "006Xx0000012"


async def test_entries_never_go_back_in_time(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = await timeline.timeline(db, DEAL)
    times = [each.at for each in found.entries]
    assert times == sorted(times)
    assert {each.lane for each in found.entries} == {"crm", "accord", "erp", "billing"}


async def test_what_is_not_over_is_listed_with_its_case_or_its_reason(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = await timeline.timeline(db, DEAL)
    assert [each.case for each in found.open] == [seeded.refused_case, seeded.question_case, None]
    assert found.open[2].what == "Waits: Post invoice ACC-0004 in the ERP (the connection is paused)"


async def test_a_long_history_is_cut_at_its_newest_entries(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = await timeline.timeline(db, DEAL, limit=3)
    assert found.cut
    assert found.entries[-1].at == max(each.at for each in found.entries)


def test_a_pause_of_an_hour_is_named_by_what_ended_it() -> None:
    found = with_gaps([entry(0), entry(10), entry(90, "Invoice issued")])
    assert [each.kind for each in found] == ["fact", "fact", "gap", "fact"]
    assert (found[2].seconds, found[2].what) == (4800, "Nothing happened until: Invoice issued")


def test_a_pause_that_a_case_covers_is_in_the_hands_of_its_owner() -> None:
    held = [(AT, AT + timedelta(hours=5), "The contract is not signed", "sales operations")]
    found = with_gaps([entry(1), entry(200)], held)
    assert found[1].what == "In the hands of sales operations: The contract is not signed"


async def test_a_case_settled_by_a_person_appears_once(pool: Pool, seeded: Seeded) -> None:
    from accord.workbench import cases

    async with transaction(pool) as db:
        await cases.answer(db, seeded.question_case, "bill on", by="Ada")
        found = await timeline.timeline(db, DEAL)
    settled = [each for each in found.entries if each.case == seeded.question_case and each.type != "case.opened"]
    assert [(each.actor, each.what) for each in settled] == [("Ada", f"Case {seeded.question_case}: answered: bill on")]


@pytest.mark.parametrize(
    ("text", "id"),
    [
        (DEAL, DEAL),
        ("0061", DEAL),
        ("northwind GLOBAL transformation", DEAL),
        ("north trans", DEAL),
        ("ACC-0002", DEAL),
        ("INV-US1", DEAL),
    ],
)
async def test_an_engagement_is_found_by_what_people_have_in_hand(
    pool: Pool, seeded: Seeded, text: str, id: str
) -> None:
    async with pool.connection() as db:
        assert (await finding.find_engagement(db, text)).id == id


async def test_a_name_that_fits_several_or_none_says_so(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        with pytest.raises(finding.SeveralEngagements, match="use a number"):
            await finding.find_engagement(db, "hanbit rollout")
        for nothing in ("nobody", "", "'; DROP TABLE record; --", "&|!():*"):
            with pytest.raises(finding.NoSuchEngagement):
                await finding.find_engagement(db, nothing)
        with pytest.raises(finding.NoSuchEngagement):
            await finding.find_engagement(db, seeded.held, ["US"])


def test_every_fact_that_starts_a_process_has_its_words() -> None:
    types = {type for process in PROCESSES.values() for type in process.starts_on}
    assert types | {events.PROJECT_ACTIVATED} <= WORDS.keys()


@pytest.mark.parametrize(
    ("type", "payload", "words"),
    [
        ("payment.failed", {"reason": "card_declined"}, "Payment failed: card_declined"),
        ("payment.failed", {}, "Payment failed"),
        ("milestone.approved", {}, "Milestone approved"),
        ("invoice.issued", {}, "Invoice issued"),
        ("deal.reopened", {"stage": "Negotiation"}, "Opportunity re-opened (stage Negotiation)"),
        ("deal.reopened", {}, "Opportunity re-opened"),
        ("effect.committed", {"what": "Braces {in} a name"}, "Braces {in} a name"),
        ("something.unheard_of", {}, "Something unheard of"),
        ("process.finished", {"what": "A story", "cancelled": True}, "Cancelled: A story"),
    ],
)
def test_words_of_a_fact_leave_out_what_it_does_not_say(type: str, payload: dict[str, object], words: str) -> None:
    assert words_of(type, payload) == words


def test_the_amount_of_a_fact_survives_zero_and_refuses_nonsense() -> None:
    assert money_of({"amount": {"amount": "0", "currency": "JPY"}}) == Money.of(0, "JPY")
    assert money_of({"gross": {"amount": "1.234", "currency": "EUR"}}) is None
    assert money_of({"gross": {"amount": "1", "currency": "???"}}) is None
    assert money_of({"amount": "12"}) is None


async def test_the_timeline_reads_by_the_index_of_the_engagement(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO event (type, subject, schema_version, occurred_at, actor, correlation, payload) "
            "SELECT 'deal.won', 's', 1, now(), 'a', 'DEA-' || n, '{}' FROM generate_series(1, 20000) n"
        )
        await event(db, datetime.now(UTC), "deal.won", DEAL, {})
        await db.execute("ANALYZE event")
        plan = await (await db.execute("EXPLAIN " + timeline.EVENTS, {"engagement": DEAL, "limit": None})).fetchall()
        lines = [row[0] for row in plan]
        for table in [line.split(" on ")[1].split()[0] for line in lines if "Seq Scan" in line]:
            # A month that fits into a few pages is looked at as it is; the one that holds many is read by the index.
            held = await (await db.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))).fetchone()
            assert held is not None
            assert held[0] < 100, lines
    assert any("correlation" in line and "Index" in line for line in lines), lines
