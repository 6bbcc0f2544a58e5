"""SOQL: what it finds, in which order, and what it refuses."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.sandbox.salesforce.refusals import Refused
from accord.sandbox.salesforce.soql.parser import parse
from tests.sandbox.salesforce.conftest import Caller


@pytest.fixture
def sales(caller: Caller) -> Caller:
    acme = caller.account(Name="Acme", Legacy_Id__c="A-1", Industry="Retail")
    other = caller.account(Name="O'Brien & Söhne")
    for number, (account, stage, amount) in enumerate(
        [(acme, "Closed Won", 100), (acme, "Closed Lost", 50), (other, "Closed Won", None), (None, "Prospecting", 7)]
    ):
        caller.later(hours=1)
        caller.opportunity(
            Name=f"Deal {number}", StageName=stage, AccountId=account, CloseDate=f"2026-11-{20 + number}",
            **({"Amount": amount} if amount is not None else {}),
        )  # fmt: skip
    return caller


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("IsWon = true", "02"),
        ("NOT IsWon = true", "13"),
        ("IsWon = true AND Amount > 10", "0"),
        ("(IsWon = true AND Amount = null) OR StageName LIKE 'prosp%'", "23"),
        ("Amount != 100", "123"),
        ("Amount <> null", "013"),
        ("Amount < 100", "13"),
        ("Amount <= 100.00", "013"),
        ("StageName IN ('closed won', 'Prospecting')", "023"),
        ("StageName NOT IN ('Closed Won')", "13"),
        ("Account.Name = 'acme'", "01"),
        ("Account.Name = 'O\\'Brien & Söhne'", "2"),
        ("Account.Owner.IsActive = true", "012"),
        ("AccountId = null", "3"),
        ("CloseDate >= 2026-11-22", "23"),
        ("CloseDate = TODAY", "3"),
        ("CloseDate = LAST_N_DAYS:1", "23"),
        ("CreatedDate > 2026-11-23T11:00:00Z", "23"),
        ("CreatedDate >= 2026-11-23T12:00:00+01:00", "123"),
        ("SystemModstamp >= 2026-11-23T12:00:00.000Z", "23"),
        ("Name LIKE '%_2'", "2"),
        ("Id IN (SELECT Id FROM Opportunity WHERE Amount > 60)", "0"),
        ("AccountId IN (SELECT Id FROM Account WHERE Industry = 'Retail') AND IsWon = false", "1"),
    ],
)
def test_conditions(sales: Caller, where: str, found: str) -> None:
    rows = sales.records(f"SELECT Name FROM Opportunity WHERE {where} ORDER BY Name")
    assert "".join(row["Name"][-1] for row in rows) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("Amount", "2310"),
        ("Amount DESC", "2013"),
        ("Amount NULLS LAST", "3102"),
        ("Amount DESC NULLS LAST", "0132"),
        ("Account.Name DESC, Name DESC", "3210"),
        ("SystemModstamp, Id", "0123"),
        ("Name LIMIT 2", "01"),
        ("Name LIMIT 2 OFFSET 1", "12"),
    ],
)
def test_order(sales: Caller, order: str, found: str) -> None:
    rows = sales.records(f"SELECT Name FROM Opportunity ORDER BY {order}")
    assert "".join(row["Name"][-1] for row in rows) == found


def test_parents_children_and_counts(sales: Caller) -> None:
    account = sales.query(
        "SELECT Name, Owner.Name, (SELECT Name, Account.Legacy_Id__c FROM Opportunities WHERE IsWon = true) "
        "FROM Account WHERE Legacy_Id__c = 'a-1'"
    )["records"][0]
    assert list(account) == ["attributes", "Name", "Owner", "Opportunities"]
    assert account["Owner"]["Name"] == "Accord Integration"
    (deal,) = account["Opportunities"]["records"]
    assert (deal["Name"], deal["Account"]["Legacy_Id__c"]) == ("Deal 0", "A-1")
    assert sales.query("SELECT Account.Name FROM Opportunity WHERE AccountId = null")["records"][0]["Account"] is None
    empty = "SELECT (SELECT Id FROM Opportunities WHERE Amount = 9) FROM Account"
    assert sales.query(empty)["records"][0]["Opportunities"] is None
    assert sales.query("SELECT COUNT() FROM Opportunity WHERE Amount > 1") == {
        "totalSize": 3, "done": True, "records": [],
    }  # fmt: skip
    groups = sales.records("SELECT StageName, COUNT(Id) deals, SUM(Amount) FROM Opportunity GROUP BY StageName")
    assert groups[1] == {"StageName": "Closed Won", "deals": 2, "expr0": 100.0}


def test_pages_and_lost_cursors(caller: Caller) -> None:
    caller.simulator.queries.smallest_page = 2
    for number in range(5):
        caller.account(Name=f"A{number}")
    first = caller.query("SELECT Name FROM Account ORDER BY Name", sforce_query_options="batchSize=2")
    assert (first["totalSize"], first["done"], len(first["records"])) == (5, False, 2)
    second = caller.ask("GET", first["nextRecordsUrl"])
    third = caller.ask("GET", second["nextRecordsUrl"])
    assert (third["done"], third["records"][0]["Name"], "nextRecordsUrl" in third) == (True, "A4", False)
    assert caller.ask("GET", first["nextRecordsUrl"])["records"] == second["records"]
    for _ in range(10):
        caller.query("SELECT Name FROM Account", sforce_query_options="batchSize=2")
    assert caller.refused("GET", first["nextRecordsUrl"])[0] == "INVALID_QUERY_LOCATOR"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Id != null OR Name = 'b'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account; DELETE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id, (SELECT Id FROM Nothings) FROM Account", "INVALID_TYPE"),
        ("SELECT Nothing FROM Account", "INVALID_FIELD"),
        ("SELECT Nobody.Name FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE Amount = '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Account", "MALFORMED_QUERY"),
    ],
)
def test_what_is_no_query_is_refused(caller: Caller, text: str, code: str) -> None:
    (error,) = caller.query(text, 400)
    assert error["errorCode"] == code


def test_an_incremental_pull_costs_what_it_returns(caller: Caller) -> None:
    """Of 20,000 accounts the three that changed are found without looking at the others."""
    for start in range(0, 20_000, 200):
        records = [{"attributes": {"type": "Account"}, "Name": f"A{start + n}"} for n in range(200)]
        caller.ask("POST", "composite/sobjects", {"records": records})
    caller.later(hours=1)
    changed = [caller.account() for _ in range(3)]
    text = "SELECT Id FROM Account WHERE SystemModstamp >= 2026-11-23T10:00:00Z ORDER BY SystemModstamp, Id"
    assert [row["Id"] for row in caller.records(text)] == sorted(changed)
    everything = _seconds(caller, "SELECT Id FROM Account WHERE Industry = 'none'")
    assert _seconds(caller, text) < everything / 10
    by_key = "SELECT Id FROM Account WHERE Legacy_Id__c IN ('1', '2')"
    assert _seconds(caller, by_key) < everything / 10


def _seconds(caller: Caller, text: str) -> float:
    best = 9.0
    for _ in range(5):
        started = time.perf_counter()
        caller.query(text)
        best = min(best, time.perf_counter() - started)
    return best


def test_a_rollback_leaves_the_order_of_changes_whole(caller: Caller) -> None:
    first = caller.account(Name="First")
    caller.later(hours=1)
    second = caller.account(Name="Second")
    bad: list[Any] = [
        {"attributes": {"type": "Account"}, "Id": first, "Name": "x"},
        {"attributes": {"type": "Nothing"}},
    ]
    caller.ask("PATCH", "composite/sobjects", {"allOrNone": True, "records": bad})
    since = "SELECT Id FROM Account WHERE SystemModstamp >= {} ORDER BY SystemModstamp, Id"
    assert [row["Id"] for row in caller.records(since.format("2026-11-23T10:00:00Z"))] == [second]
    assert [row["Id"] for row in caller.records(since.format("2026-11-23T09:00:00Z"))] == [first, second]


_WORDS = st.sampled_from(
    ["SELECT", "Id", "FROM", "Account", "WHERE", "AND", "OR", "NOT", "(", ")", "=", "<", "IN", "LIKE", "'a'", "1",
     "null", "2026-01-01", ",", "COUNT(", "ORDER BY", "LIMIT", "Name", "GROUP BY", "Owner.Name", "TODAY",
     "2026-99-99T00:00:00Z"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=14).map(" ".join) | st.text(max_size=20))
def test_whatever_is_written_is_parsed_or_refused(text: str) -> None:
    with suppress(Refused):
        parse(text)
