"""Cases are ranked by money and age, gathered by cause, and settled by verbs that leave a trail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.db.keyset import CursorNotUnderstood
from accord.db.pool import Pool, transaction
from accord.engine.states import EffectState, ProcessState
from accord.errors import Conflict, UsageError
from accord.workbench import cases
from tests.seeding import CAUSE_OF_ALIKE, Seeded, seed

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


async def value(pool: Pool, statement: str, *parameters: object) -> object:
    async with pool.connection() as db:
        row = await (await db.execute(statement, parameters)).fetchone()
        return None if row is None else row[0]


async def test_the_dearest_and_oldest_case_comes_first_and_yen_count_as_yen(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        page = await cases.list_cases(db)
    ids = [case.id for case in page.cases]
    assert ids[:3] == [seeded.refused_case, seeded.question_case, seeded.gate_case]
    assert ids[-1] == seeded.paused_case, "what has no amount comes last"
    assert page.next is None


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(pool: Pool, seeded: Seeded) -> None:
    found: list[int] = []
    cursor = None
    async with pool.connection() as db:
        for _ in range(10):
            page = await cases.list_cases(db, limit=3, cursor=cursor)
            found += [case.id for case in page.cases]
            cursor = page.next
            if cursor is None:
                break
        whole = await cases.list_cases(db)
        assert found == [case.id for case in whole.cases]
        for broken in ("x", "WzFd", "W10", "eyJhIjoxfQ"):
            with pytest.raises(CursorNotUnderstood):
                await cases.list_cases(db, cursor=broken)


async def test_filters_narrow_the_list(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        by_owner = await cases.list_cases(db, cases.Filter(owner="finance"))
        by_reason = await cases.list_cases(db, cases.Filter(reason="country_unknown"))
        by_engagement = await cases.list_cases(db, cases.Filter(engagement=seeded.held))
        in_scope = await cases.list_cases(db, cases.Filter(entities=["DE"]))
        with pytest.raises(UsageError, match="open or resolved"):
            await cases.list_cases(db, cases.Filter(state="gone"))
    assert [case.id for case in by_owner.cases] == [seeded.refused_case]
    assert len(by_reason.cases) == 4
    assert [case.id for case in by_engagement.cases] == [seeded.gate_case]
    assert {case.id for case in in_scope.cases} == {seeded.refused_case, seeded.question_case, seeded.gate_case} - {
        seeded.refused_case,
        seeded.question_case,
    }


async def test_cases_of_one_cause_are_one_cluster_with_their_money(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = await cases.clusters(db)
    alike = next(each for each in found if each.signature == CAUSE_OF_ALIKE)
    assert (alike.cases, [str(each) for each in alike.money]) == (4, ["4006.00 USD"])
    assert cases.plain(alike)["amount"] == "4006.00 USD"


async def test_a_case_file_shows_the_write_its_attempts_and_what_cancelling_takes_back(
    pool: Pool, seeded: Seeded
) -> None:
    async with pool.connection() as db:
        refused = await cases.show(db, seeded.refused_case)
        paused = await cases.show(db, seeded.paused_case)
        with pytest.raises(cases.NoSuchCase):
            await cases.show(db, 77)
        with pytest.raises(cases.NoSuchCase):
            await cases.show(db, seeded.gate_case, ["US"])
    assert refused.effect is not None
    assert (refused.effect.state, len(refused.attempts)) == ("rejected", 1)
    assert refused.verbs == ("retry", "skip", "supply", "cancel")
    assert [(each.what, each.count, str(each.money)) for each in paused.behind] == [
        ("writes waiting for netsuite", 1, "7500.00 USD")
    ]


async def test_the_gate_offers_a_cure_for_each_problem_that_has_one_here(pool: Pool, seeded: Seeded) -> None:
    async with pool.connection() as db:
        found = (await cases.show(db, seeded.gate_case)).remedies
    assert [(each.how, each.name, each.given) for each in found] == [
        ("reference", "country", "Philipines"),
        ("reference", "product", "GTXPro X"),
        ("field", "deal.delivery_region", ""),
    ]
    assert "PH" in found[0].choices
    assert found[2].choices == ("AMER", "EMEA", "APAC")


async def test_retry_asks_for_a_refused_write_again_and_forgets_what_was_read(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO journal VALUES (%s, 'read:deal:x', '{}'), (%s, 'tell:x', 'null')",
            [seeded.parked, seeded.parked],
        )
        await cases.retry(db, seeded.refused_case, by="Ada")
    assert await value(pool, "SELECT state FROM effect WHERE id = %s", seeded.refused_effect) == EffectState.ASKED_AGAIN
    assert (
        await value(pool, "SELECT state FROM open_process WHERE process_id = %s", seeded.parked) == ProcessState.READY
    )
    assert (
        await value(pool, "SELECT string_agg(key, ',') FROM journal WHERE process_id = %s", seeded.parked) == "tell:x"
    )
    assert await value(pool, "SELECT state FROM business_case WHERE id = %s", seeded.refused_case) == "open"
    told = "SELECT actor || ' ' || correlation FROM event WHERE type = 'case.retried' AND subject = %s"
    assert await value(pool, told, f"case-{seeded.refused_case}") == f"Ada {seeded.deal}"
    assert await value(pool, "SELECT actor FROM audit_entry WHERE action = 'case.retried'") == "Ada"


async def test_a_whole_cause_is_tried_again_and_nothing_else(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        assert await cases.retry_cluster(db, CAUSE_OF_ALIKE, by="Ada") == 4
        assert await cases.retry_cluster(db, CAUSE_OF_ALIKE, by="Ada", entities=["JP"]) == 0
    ready = "SELECT array_agg(process_id ORDER BY 1) FROM open_process WHERE state = 0"
    assert await value(pool, ready) == [200, 201, 202, 203]


async def test_skipping_goes_on_without_the_write_and_needs_a_reason(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        with pytest.raises(UsageError, match="say why"):
            await cases.skip(db, seeded.refused_case, "  ", by="Ada")
        await cases.skip(db, seeded.refused_case, "posted by hand last week", by="Ada")
    assert await value(pool, "SELECT state FROM effect WHERE id = %s", seeded.refused_effect) == EffectState.SKIPPED
    async with pool.connection() as db:
        case = await cases.one(db, seeded.refused_case)
        with pytest.raises(cases.CaseIsSettled, match="resolved already"):
            await cases.skip(db, seeded.refused_case, "again", by="Bob")
    assert (case.state, case.resolution, case.resolved_by) == ("resolved", "skipped: posted by hand last week", "Ada")


async def test_supplying_links_the_object_that_was_made_by_hand(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        await cases.supply(db, seeded.refused_case, "9009", {"number": "X"}, by="Ada")
    linked = "SELECT vendor_id FROM crosswalk WHERE connection = 'netsuite' AND canonical_id = 'INV-JP1'"
    assert await value(pool, linked) == "9009"
    details = "SELECT outcome -> 'details' ->> 'number' FROM effect WHERE id = %s"
    assert await value(pool, details, seeded.refused_effect) == "X"


async def test_a_question_takes_one_of_its_options_and_no_retry(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        with pytest.raises(UsageError, match="bill on, stop billing"):
            await cases.answer(db, seeded.question_case, "perhaps", by="Ada")
        with pytest.raises(Conflict, match="is a question"):
            await cases.retry(db, seeded.question_case, by="Ada")
        await cases.answer(db, seeded.question_case, "bill on", by="Ada")
    answered = "SELECT value #>> '{}' FROM journal WHERE process_id = 104 AND key = 'decision:reopened'"
    assert await value(pool, answered) == "bill on"
    assert await value(pool, "SELECT state FROM open_process WHERE process_id = 104") == ProcessState.READY


async def test_cancelling_journals_who_and_why(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        await cases.cancel(db, seeded.gate_case, "the customer went elsewhere", by="Ada")
    written = "SELECT value ->> 'reason' FROM journal WHERE process_id = 102 AND key = 'cancel'"
    assert await value(pool, written) == "the customer went elsewhere"


async def test_a_paused_connection_is_resumed_by_retrying_its_case(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        with pytest.raises(Conflict, match="cannot be settled by skip"):
            await cases.skip(db, seeded.paused_case, "no", by="Ada")
        await cases.retry(db, seeded.paused_case, by="Ada")
    assert await value(pool, "SELECT state FROM connection WHERE name = 'netsuite'") == "active"
    assert (
        await value(pool, "SELECT resolution FROM business_case WHERE id = %s", seeded.paused_case)
        == "connection resumed"
    )


async def test_a_push_that_could_not_be_read_is_translated_again(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        row = await (
            await db.execute(
                "INSERT INTO inbox (connection, vendor_event_id, body_digest, headers, body, state) "
                "VALUES ('stripe', 'e', 'd', '{}', 'b', 3) RETURNING id"
            )
        ).fetchone()
        assert row is not None
        await db.execute(
            "INSERT INTO business_case (id, reason, title, problems, signature, owner, inbox_id) "
            "VALUES (990, 'push_unreadable', 't', '[]', 's', 'o', %s)",
            [row[0]],
        )
        await cases.retry(db, 990, by="Ada")
    assert await value(pool, "SELECT state FROM inbox") == 0
    assert await value(pool, "SELECT state FROM business_case WHERE id = 990") == "resolved"


async def test_saying_what_a_country_means_tries_every_case_that_this_cures(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        with pytest.raises(UsageError, match="ISO 3166"):
            await cases.correct_reference(db, "country", "Korea", "Korea", by="Ada")
        with pytest.raises(UsageError, match="no reference list"):
            await cases.correct_reference(db, "colour", "x", "y", by="Ada")
        assert await cases.correct_reference(db, "country", "Korea", "KR", by="Ada") == 4
    assert await value(pool, "SELECT meaning FROM reference WHERE list = 'country' AND given = 'Korea'") == "KR"
    states = "SELECT array_agg(DISTINCT state) FROM open_process WHERE process_id BETWEEN 200 AND 203"
    assert await value(pool, states) == [0]
    assert await value(pool, "SELECT state FROM open_process WHERE process_id = 102") == ProcessState.PARKED
    assert await value(pool, "SELECT detail ->> 'after' FROM audit_entry WHERE action = 'reference.declared'") == "KR"


async def test_a_field_corrected_here_is_audited_told_and_tried(pool: Pool, seeded: Seeded) -> None:
    async with transaction(pool) as db:
        for name, wrong in (("deal.delivery_region", "MOON"), ("deal.name", "x"), ("customer.tax_registration", "DE1")):
            with pytest.raises((UsageError, Conflict)):
                await cases.correct_field(db, seeded.gate_case, name, wrong, by="Ada", now=NOW)
        await cases.correct_field(db, seeded.gate_case, "deal.delivery_region", "EMEA", by="Ada", now=NOW)
    deal = "SELECT body ->> 'delivery_region' FROM record WHERE kind = 'deal' AND id = %s"
    assert await value(pool, deal, seeded.held) == "EMEA"
    assert await value(pool, "SELECT version FROM record WHERE kind = 'deal' AND id = %s", seeded.held) == 2
    source = "SELECT provenance ->> 'delivery_region' FROM record WHERE kind = 'deal' AND id = %s"
    assert await value(pool, source, seeded.held) == "accord: corrected by Ada"
    assert await value(pool, "SELECT subject FROM event WHERE type = 'deal.corrected'") == seeded.held
    detail = (
        "SELECT detail ->> 'before' || '>' || (detail ->> 'after') FROM audit_entry WHERE action = 'field.corrected'"
    )
    assert await value(pool, detail) is None, "there was no value before"
    assert await value(pool, "SELECT state FROM open_process WHERE process_id = 102") == ProcessState.READY


async def test_a_verb_that_fails_leaves_nothing_behind(pool: Pool, seeded: Seeded) -> None:
    """The story is gone: the case cannot be settled, and no trail says that it was."""
    async with transaction(pool) as db:
        await db.execute("DELETE FROM open_process WHERE process_id = 102")
    with pytest.raises(Exception, match="not open"):
        async with transaction(pool) as db:
            await cases.cancel(db, seeded.gate_case, "why", by="Ada")
    assert await value(pool, "SELECT count(*) FROM audit_entry") == 0
    assert await value(pool, "SELECT state FROM business_case WHERE id = %s", seeded.gate_case) == "open"


async def test_the_list_of_open_cases_reads_by_its_index(pool: Pool, seeded: Seeded) -> None:
    """Resolved cases, of which there are ever more, are never looked at."""
    async with transaction(pool) as db:
        await db.execute(
            "INSERT INTO business_case (id, reason, title, problems, signature, owner, state, resolved_at) "
            "SELECT 10000 + n, 'r', 't', '[]', 's', 'o', 'resolved', now() FROM generate_series(1, 20000) n"
        )
        await db.execute("ANALYZE business_case")
        plan = await (await db.execute("EXPLAIN SELECT id FROM business_case c WHERE c.state = 'open'")).fetchall()
    assert "Seq Scan" not in str(plan)
