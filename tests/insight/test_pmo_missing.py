"""Missing time: by week and person, at the rates the terms give, seen by those who may."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from unittest.mock import sentinel

import psycopg
import pytest

from accord.db.pool import Pool, transaction
from accord.errors import UsageError
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_missing import MissingTime, missing_time, open_entries, page_of, weeks_of
from accord.ledger.people import Declared, declare
from accord.model.money import Money
from accord.model.people import Calendar, Person, Staffing, TimeOff
from accord.model.work import WorkStatus
from tests.staffing import STAFFING, TODAY, entry, month, person, staff, usd

WEEKS = Weeks.until(TODAY, 4)


async def found(pool: Pool, entities: list[str] | None = None, manager: str | None = None) -> MissingTime:
    async with pool.connection() as db:
        return await missing_time(db, WEEKS, entities=entities, manager=manager)


async def say(pool: Pool, staffing: Staffing) -> Declared:
    async with transaction(pool) as db:
        return await declare(db, staffing, by="hana")


def test_the_weeks_looked_at_are_over() -> None:
    assert (WEEKS.first_day, WEEKS.last_day) == (date(2026, 10, 26), date(2026, 11, 22))
    assert Weeks.until(date(2026, 11, 23), 1) == Weeks(date(2026, 11, 16), date(2026, 11, 22))
    assert Weeks.until(date(2026, 11, 22), 1) == Weeks(date(2026, 11, 9), date(2026, 11, 15))


async def test_what_was_expected_and_not_told_is_missing_and_what_was_told_waits(pool: Pool) -> None:
    await staff(pool)
    all_of_them = await found(pool)
    told = {each.worker: (each.expected, each.approved, each.submitted, each.lacking) for each in all_of_them.people}
    assert told == {
        # 4 weeks of 40 hours less two days off and a holiday
        "anna": (Decimal(136), Decimal(96), Decimal(40), Decimal(0)),
        # 50 hours in each of two weeks make up for no hour of the two others: 32 with the holiday, and 40
        "ben": (Decimal(152), Decimal(100), Decimal(0), Decimal(72)),
        "dora": (Decimal(76), Decimal(0), Decimal(0), Decimal(76)),
    }
    assert all_of_them.sources[0][0] == "time"


async def test_what_is_at_stake_is_hours_at_the_rates_the_terms_give(pool: Pool) -> None:
    await staff(pool)
    by_worker = {each.worker: each for each in (await found(pool)).people}
    # 37 hours at 200.00; the 3 hours of travel nobody pays for
    assert by_worker["anna"].unapproved == (usd("7400.00"),)
    # 72 hours at what Ben's hours brought: 250.00
    assert by_worker["ben"].untold == (usd("18000.00"),)
    # Of Dora nothing is known: that is said, and is not zero.
    assert by_worker["dora"].untold is None


async def test_managers_see_their_own_and_nobody_s_people_are_not_lost(pool: Pool) -> None:
    await staff(pool)
    managers = {each.manager: each for each in (await found(pool)).managers}
    assert [(each, managers[each].name, managers[each].people) for each in managers] == [
        ("petra", "Petra", 2), ("", "nobody", 1),
    ]  # fmt: skip
    assert managers["petra"].at_stake == (usd("25400.00"),)
    assert managers[""].not_valued == 1
    assert [each.worker for each in (await found(pool, manager="petra")).people] == ["anna", "ben"]
    assert [each.worker for each in (await found(pool, manager="")).people] == ["dora"]


async def test_another_legal_entity_s_people_and_prices_are_not_told(pool: Pool) -> None:
    german = entry("anna", date(2026, 11, 21), "6", legal_entity="DE", status=WorkStatus.SUBMITTED)
    abroad = entry("ben", date(2026, 10, 31), legal_entity="DE")
    late = entry("clara", date(2026, 11, 21), status=WorkStatus.SUBMITTED)
    await staff(pool, entries=[*month(), german, abroad, late])
    assert [each.worker for each in (await found(pool, ["US"])).people] == ["dora", "anna", "ben"]
    assert [each.worker for each in (await found(pool, ["DE"])).people] == ["clara"]
    anna = next(each for each in (await found(pool, ["US"])).people if each.worker == "anna")
    assert (anna.submitted, anna.unapproved, anna.unpriced) == (Decimal(46), (usd("7400.00"),), Decimal(6))
    # Of his 108 hours 8 were for Germany: what they brought is told to those who may see it.
    both = {
        name: next(each.untold for each in (await found(pool, entities)).people if each.worker == "ben")
        for name, entities in (("US", ["US"]), ("all", None))
    }
    assert both == {"US": (usd("16666.67"),), "all": (Money.of("960.00", "EUR"), usd("16666.67"))}
    whole = next(each for each in (await found(pool)).people if each.worker == "anna")
    assert (whole.unapproved, whole.unpriced) == ((Money.of("1080.00", "EUR"), usd("7400.00")), Decimal(0))
    async with pool.connection() as db:
        rows = await open_entries(db, "anna", WEEKS, ["US"])
        assert await weeks_of(db, "anna", WEEKS, ["DE"]) == []
    masked = [each for each in rows if each.engagement is None]
    assert [(each.hours, each.engagement_name) for each in masked] == [(Decimal(6), "work for another legal entity")]


async def test_rejected_and_recalled_time_is_missing_until_it_is_submitted_again(pool: Pool) -> None:
    back = entry("anna", date(2026, 11, 16), status=WorkStatus.REJECTED)
    await staff(pool, entries=[*month(), back])
    anna = next(each for each in (await found(pool)).people if each.worker == "anna")
    assert (anna.submitted, anna.returned, anna.lacking) == (Decimal(32), Decimal(8), Decimal(8))


async def test_another_spell_expects_other_hours_from_its_day_on(pool: Pool) -> None:
    half = person("anna", valid_from=date(2026, 11, 9), hours_per_week=Decimal(20), manager="paul")
    # A day off on a holiday is off once.
    off = TimeOff("anna", date(2026, 11, 11), date(2026, 11, 11))
    await staff(pool, replace(STAFFING, people=(*STAFFING.people, half), time_off=(*STAFFING.time_off, off)))
    anna = next(each for each in (await found(pool)).people if each.worker == "anna")
    # 40 and 24 in the two weeks before; 16 (a holiday) and 20 after
    assert (anna.expected, anna.manager) == (Decimal(100), "paul")
    async with pool.connection() as db:
        weeks = await weeks_of(db, "anna", WEEKS, None)
    assert [each.expected for each in weeks] == [Decimal(40), Decimal(24), Decimal(16), Decimal(20)]


async def test_who_has_left_or_has_told_time_unknown_is_not_asked_for_more(pool: Pool) -> None:
    gone = replace(STAFFING.people[1], valid_to=date(2026, 11, 8))
    await staff(pool, Staffing(people=(gone,)))
    everyone = await found(pool)
    assert [each.worker for each in everyone.people] == []
    assert everyone.undeclared == 2, "Anna and Clara told time, and the firm has not said who they are"
    assert (await found(pool, ["US"])).undeclared == 0


async def test_pages_go_by_cursor(pool: Pool) -> None:
    await staff(pool)
    everyone = await found(pool)
    first = page_of(everyone, None, 2)
    second = page_of(everyone, first.next, 2)
    assert [each.worker for each in (*first.people, *second.people)] == ["dora", "anna", "ben"]
    assert second.next is None


async def test_declaring_the_same_again_changes_nothing_and_no_cost_is_in_the_audit(pool: Pool) -> None:
    whole = replace(STAFFING, calendars=(Calendar("BY", "DE", 2026, 2027, "BY"),))
    first = await say(pool, whole)
    assert (first.people, first.days_off) == (5, 2)
    assert first.holidays > 20
    assert await say(pool, whole) == Declared(0, 0, 0)
    assert await say(pool, Staffing(time_off=(TimeOff("anna", date(2026, 11, 3), date(2026, 11, 3), Decimal(0)),))) == (
        Declared(0, 1, 0)
    )
    async with pool.connection() as db:
        audited = await (await db.execute("SELECT string_agg(detail::text, ' ') FROM audit_entry")).fetchone()
    assert audited is not None
    assert "80" not in audited[0]
    assert "80.00" not in repr(STAFFING.people[0])


WRONG = [
    (Staffing(people=(person("anna", hours_per_week=Decimal(200)),)), "do not fit a week"),
    (Staffing(people=(person("anna", workdays=(0,)),)), "workdays"),
    (Staffing(people=(person("anna", valid_to=date(2025, 1, 1)),)), "before valid_from"),
    (Staffing(people=(person("anna", cost_per_hour=Money(Decimal("81.234"), "USD")),)), "cost_per_hour"),
    (Staffing(people=(person(" "),)), "worker"),
    (Staffing(time_off=(TimeOff("anna", date(2026, 2, 1), date(2026, 1, 1)),)), "no span"),
    (Staffing(calendars=(Calendar("X", "XX", 2026, 2026),)), "not known"),
    (Staffing(calendars=(Calendar("X", "DE", 2026, 9999),)), "years"),
]


@pytest.mark.parametrize(("staffing", "why"), WRONG, ids=[why for _, why in WRONG])
async def test_what_cannot_be_is_refused_before_anything_is_written(staffing: Staffing, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        await declare(sentinel.no_database, staffing, by="hana")
    assert "81.234" not in str(refused.value)


async def test_the_database_itself_refuses_a_week_without_workdays(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        async with transaction(pool) as db:
            await db.execute(
                "INSERT INTO person_spell (worker, valid_from, name, legal_entity, workdays, hours_per_week,"
                " declared_by) VALUES ('x', '2026-01-01', 'X', 'US', '{}', 40, 'hana')"
            )


def test_costs_are_not_in_the_plain_form_by_accident() -> None:
    assert "cost" not in repr(Person("a", "A", "US", Decimal(1), date(2026, 1, 1), cost_per_hour=usd("1.00")))
