"""`accord status`, `trace`, `doctor`, `replay` and `cases` on a firm in the middle of its work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from accord.db.pool import open_pool, transaction
from tests.seeding import CAUSE_OF_ALIKE, Seeded, seed

from .conftest import Accord


@pytest.fixture
def firm(database_url: str) -> Seeded:
    async def write() -> Seeded:
        pool = await open_pool(database_url, max_size=2)
        try:
            async with transaction(pool) as db:
                return await seed(db, datetime.now(UTC))
        finally:
            await pool.close()

    return asyncio.run(write())


def test_status_of_an_empty_house(accord: Accord) -> None:
    said = accord("status", "--json").json
    assert set(said) == {"counts", "connections", "ledger"}
    assert set(said["counts"].values()) == {0}
    assert accord("cases", "list").out == "No open cases.\n"
    assert accord("cases", "list", "--json").json == []


def test_status_counts_what_is_stuck(accord: Accord, firm: Seeded) -> None:
    said = accord("status", "--json").json
    assert said["counts"]["open_cases"] == 8
    assert said["counts"]["waiting_effects"] == 1
    assert {each["connection"] for each in said["connections"]} >= {"salesforce", "netsuite", "stripe"}
    assert all(each["unexplained"] for each in said["ledger"])
    for word in ("open_cases", "netsuite", "unexplained"):
        assert word in accord("status").out


def test_an_engagement_is_found_by_id(accord: Accord, firm: Seeded) -> None:
    steps = accord("trace", firm.deal, "--json").json
    assert len(steps) > 5
    assert all(set(step) == {"at", "system", "what", "actor", "money", "latency_ms", "ref"} for step in steps)
    assert steps[0]["what"] in accord("trace", firm.deal).out


def test_the_doctor_says_what_is_set_but_no_secret(accord: Accord, database_url: str) -> None:
    findings = {each["check"]: each for each in accord("doctor", "--json").json}
    assert set(findings) == {"database", "migrations", "audit chain", "ledger", "vault", "settings"}
    assert all(each["holds"] for each in findings.values())
    assert "ACCORD_DATABASE_URL=*****" in findings["settings"]["finding"]
    assert database_url not in str(findings)


def test_a_paused_connection_and_money_nobody_explains_make_the_doctor_fail(accord: Accord, firm: Seeded) -> None:
    said = accord("doctor", "--json")
    assert said.code == 1
    failing = [each["check"] for each in said.json if not each["holds"]]
    assert "connection netsuite" in failing
    assert said.err == f"accord: these need a look: {', '.join(failing)}\n"


def test_a_push_that_is_not_there_is_not_translated(accord: Accord) -> None:
    assert accord("replay", "--inbox", "7", "--json").json == {"translated_again": []}


def test_amounts_are_whole_on_a_narrow_terminal(accord: Accord, firm: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "12500000 JPY" in accord("cases", "list").out


def test_cases_are_listed_by_filter_and_cause(accord: Accord, firm: Seeded) -> None:
    assert len(accord("cases", "list", "--json").json) == 8
    assert len(accord("cases", "list", "--json", "--limit", "3").json) == 3
    assert {each["id"] for each in accord("cases", "list", "--json", "--owner", "finance").json} == {firm.refused_case}
    assert {each["id"] for each in accord("cases", "list", "--json", "--reason", "decision").json} == {
        firm.question_case
    }
    assert firm.gate_case in {each["id"] for each in accord("cases", "list", "--json", "--engagement", firm.held).json}
    causes = accord("cases", "list", "--clusters", "--json").json
    assert {each["signature"]: each["cases"] for each in causes}[CAUSE_OF_ALIKE] == 4
    for table in (accord("cases", "list"), accord("cases", "list", "--clusters")):
        assert table.code == 0
        assert "12500000 JPY" in table.out


def test_a_case_shows_its_problems(accord: Accord, firm: Seeded) -> None:
    shown = accord("cases", "show", str(firm.gate_case), "--json").out
    assert "Philipines" in shown
    assert "Philipines" in accord("cases", "show", str(firm.gate_case)).out.replace("\n", "")


def test_a_country_is_declared_and_its_cases_are_tried_again(accord: Accord, firm: Seeded) -> None:
    said = accord("cases", "correct", "--list", "country", "--given", "Korea", "--meaning", "KR")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("'Korea' in country means 'KR' now; ")


def test_a_cause_is_tried_again_at_once(accord: Accord, firm: Seeded) -> None:
    assert accord("cases", "retry", "--signature", CAUSE_OF_ALIKE).out == "4 cases are tried again\n"
    assert accord("cases", "retry", str(firm.refused_case)).out == "1 cases are tried again\n"


def test_a_question_is_answered_once_and_only_as_offered(accord: Accord, firm: Seeded) -> None:
    case = str(firm.question_case)
    wrong = accord("cases", "resolve", case, "--answer", "maybe")
    assert (wrong.code, wrong.sentence) == (2, "'maybe' is not one of the options: bill on, stop billing")
    assert accord("cases", "resolve", case, "--answer", "bill on").out == f"case {case}: answer\n"
    again = accord("cases", "resolve", case, "--answer", "bill on")
    assert again.code == 5
    assert f"case {case} is resolved already" in again.sentence


def test_a_refused_write_is_skipped_with_a_reason(accord: Accord, firm: Seeded) -> None:
    case = str(firm.refused_case)
    assert accord("cases", "resolve", case, "--skip", "posted by hand").code == 0
    assert firm.refused_case not in {each["id"] for each in accord("cases", "list", "--json").json}
