"""SuiteQL: the answers that break naive mappers, and the refusals."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from accord.sandbox.netsuite import oracle
from tests.sandbox.netsuite.conftest import Caller


def test_keys_are_lower_case_numbers_are_text_and_null_is_left_out(caller: Caller) -> None:
    caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"}, creditLimit=1000.50)
    (row,) = caller.query("SELECT companyName AS CName, creditLimit, email, isInactive, 1 + 1 AS two FROM customer")
    assert row == {"cname": "Acme", "creditlimit": "1000.5", "isinactive": "F", "two": "2"}


def test_a_date_is_in_the_accounts_form_unless_the_query_formats_it(caller: Caller) -> None:
    caller.firm()
    caller.invoice(tranDate="2026-02-03")
    (row,) = caller.query(
        "SELECT tranDate, TO_CHAR(tranDate, 'YYYY-MM-DD') AS iso, lastModifiedDate, "
        "TO_CHAR(lastModifiedDate, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS at FROM transaction"
    )
    assert row == {
        "trandate": "2/3/2026", "iso": "2026-02-03", "lastmodifieddate": "11/23/2026", "at": "2026-11-23T09:00:00",
    }  # fmt: skip


def test_what_changed_since_is_found_by_the_accounts_own_time(caller: Caller) -> None:
    caller.firm()
    caller.clock.at += timedelta(seconds=90)
    caller.put("projectTask", "T", title="T", project={"externalId": "PRJ-1"})
    since = "TO_TIMESTAMP('{}', 'YYYY-MM-DD HH24:MI:SS')"
    query = "SELECT externalid FROM projecttask WHERE lastmodifieddate > " + since
    assert caller.query(query.format("2026-11-23 09:01:29")) == [{"externalid": "T"}]
    assert caller.query(query.format("2026-11-23 09:01:30")) == []
    assert caller.query("SELECT id FROM job WHERE lastmodifieddate < TO_DATE('11/24/2026', 'MM/DD/YYYY')")


def test_transactions_have_codes_and_their_subsidiary_on_the_lines(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.put("customerPayment", "PAY-1", **caller.payment("PAY-1", 190, 190))
    rows = caller.query("SELECT type, foreigntotal, foreignamountunpaid, status FROM transaction ORDER BY id")
    assert rows == [
        {"type": "CustInvc", "foreigntotal": "1190", "foreignamountunpaid": "1000", "status": "A"},
        {"type": "CustPymt", "foreigntotal": "190", "status": "C"},
    ]
    lines = caller.query(
        "SELECT t.tranid, l.mainline, l.subsidiary, l.foreignamount FROM transaction t "
        "JOIN transactionline l ON l.transaction = t.id WHERE t.type = 'CustInvc' ORDER BY l.id"
    )
    assert [(each["mainline"], each["subsidiary"], each["foreignamount"]) for each in lines] == [
        ("T", "3", "1190"), ("F", "3", "-1000"),
    ]  # fmt: skip
    assert "Unknown identifier 'subsidiary'" in _refused(caller, "SELECT subsidiary FROM transaction")


def _refused(caller: Caller, sql: Any, **query: int) -> str:
    return str(caller.refused("POST", "query/v1/suiteql", {"q": sql}, query, prefer="transient")["detail"])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT balance FROM customer", "Unknown identifier 'balance'"),
        ("SELECT * FROM nowhere", "Record 'nowhere' was not found"),
        ("SELECT FROM WHERE", "syntax error"),
        ("SELECT id FROM customer; DELETE FROM customer", "Search error occurred"),
        ("DELETE FROM customer", "must be a SELECT"),
        ("PRAGMA table_info(customer)", "must be a SELECT"),
        ("WITH x AS (SELECT 1) DELETE FROM customer", "Search error occurred"),
        ("SELECT load_extension('x')", "Search error occurred"),
        ("SELECT * FROM pragma_table_info('customer')", "Search error occurred"),
        ("SELECT name FROM sqlite_master", "Search error occurred"),
        ("SELECT TO_DATE('x', 'YYYY-MM-DD')", "Search error occurred"),
        ("SELECT '\ud800' FROM customer", "Search error occurred"),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n", "interrupted"),
        ("", "must be a SELECT"),
        (None, "must be a SELECT"),
    ],
)
def test_what_is_no_query_is_refused(caller: Caller, sql: Any, said: str) -> None:
    assert said in _refused(caller, sql)
    assert caller.query("SELECT COUNT(*) AS n FROM subsidiary") == [{"n": "4"}]


def test_prefer_transient_is_required(caller: Caller) -> None:
    refused = caller.refused("POST", "query/v1/suiteql", {"q": "SELECT 1"})
    assert refused["o:errorHeader"] == "Prefer"


@pytest.mark.parametrize(
    "paging", [{"limit": 1001}, {"limit": 0}, {"limit": 10, "offset": 5}, {"limit": 1000, "offset": 100_000}]
)
def test_paging_has_limits(caller: Caller, paging: dict[str, int]) -> None:
    assert _refused(caller, "SELECT id FROM subsidiary ORDER BY id", **paging)


def test_without_an_order_pages_cannot_be_relied_on(caller: Caller) -> None:
    query = "SELECT id FROM accountingperiod"
    ids = [row["id"] for row in caller.query(query, limit=100)]
    assert ids != [row["id"] for row in caller.query(query, limit=100)]
    stable = [row["id"] for row in caller.query(f"{query} ORDER BY id", limit=100, offset=100)]
    assert stable == [str(n) for n in range(101, 201)]


def test_names_of_references_by_builtin_df(caller: Caller) -> None:
    caller.firm()
    (row,) = caller.query("SELECT BUILTIN.DF(j.parent) AS who, NVL(j.enddate, 'open') AS ends FROM job j")
    assert (row["who"].startswith("CUST"), row["ends"]) == (True, "open")
    assert caller.query("SELECT symbol FROM currency ORDER BY symbol FETCH FIRST 2 ROWS ONLY") == [
        {"symbol": "EUR"}, {"symbol": "GBP"},
    ]  # fmt: skip


def test_text_in_quotes_is_left_alone() -> None:
    assert oracle.rewritten("SELECT 'a transaction SYSDATE', 'it''s' FROM transaction") == (
        "SELECT 'a transaction SYSDATE', 'it''s' FROM \"transaction\""
    )
    assert not oracle.ordered("SELECT 'order by'")


def test_like_sees_the_difference_of_letters(caller: Caller) -> None:
    caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"})
    assert caller.query("SELECT id FROM customer WHERE companyname LIKE 'acm%'") == []
    assert caller.query("SELECT id FROM customer WHERE UPPER(companyname) LIKE 'ACM%'")


def test_polling_stays_quick_with_ten_thousand_tasks(caller: Caller) -> None:
    """One change is taken over, not ten thousand: no query afterwards may cost what the first one did."""
    caller.firm()
    for n in range(10_000):
        caller.put("projectTask", f"T-{n}", title="T", project={"externalId": "PRJ-1"})
    since = "TO_TIMESTAMP('2026-11-23 09:00:30', 'YYYY-MM-DD HH24:MI:SS')"
    poll = f"SELECT id FROM projecttask WHERE lastmodifieddate > {since} ORDER BY id"
    started = time.perf_counter()
    assert caller.query(poll) == []
    first = time.perf_counter() - started
    caller.clock.at += timedelta(minutes=1)
    started = time.perf_counter()
    for n in range(20):
        caller.patch("projectTask", f"T-{n}", {"title": "changed"})
        assert len(caller.query(poll)) == n + 1
    assert (time.perf_counter() - started) / 20 < first / 4
