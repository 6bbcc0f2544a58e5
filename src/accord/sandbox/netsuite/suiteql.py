"""`POST /services/rest/query/v1/suiteql`: a query, answered page by page with the real one's habits (vendors.md 2.3).

Keys are lower-case, numbers are text, NULL is left out, flags are T and F, a date is in the account's format unless the
query formats it. Without ORDER BY two pages may overlap.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from accord.sandbox.kit.simulator import Request
from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.mirror import Mirror
from accord.sandbox.netsuite.oracle import ordered, rewritten
from accord.sandbox.netsuite.reading import page
from accord.sandbox.netsuite.refusals import Refused, bad_header, bad_parameter, invalid

PATH = "/services/rest/query/v1/suiteql"
MOST_ROWS_A_PAGE = 1000
MOST_ROWS = 100_000  # more needs SuiteAnalytics Connect
MOST_STEPS = 100_000_000  # of SQLite's machine, a second or two; the real one gives up on long queries too
_SELECT = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_NO_COLUMN = re.compile(r"no such column: (?:\w+\.)?\"?(\w+)")
_NO_TABLE = re.compile(r"no such table: (\S+)")
_PREFIX = "Invalid search query. Detailed unprocessed description follows. Search error occurred: "


class SuiteQl:
    """Runs queries on the mirror."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.mirror = Mirror(account)

    def answer(self, request: Request, body: Mapping[str, Any], base: str) -> dict[str, Any]:
        """One page. Raises Refused."""
        if "transient" not in request.headers.get("prefer", "").lower():
            raise bad_header("Prefer", "The required request header 'Prefer' is missing or is not 'transient'.")
        limit, offset = paging(request, MOST_ROWS_A_PAGE)
        if offset + limit > MOST_ROWS:
            raise bad_parameter("offset", f"A query returns at most {MOST_ROWS} rows.")
        query = body.get("q")
        if not isinstance(query, str) or not _SELECT.match(query):
            raise invalid("q", "The query must be a SELECT statement.")
        names, rows, total = self._run(query, limit, offset)
        items = [_item(names, row) for row in rows]
        return page(f"{base}{PATH}", items, offset=offset, limit=limit, total=total)

    def _run(self, query: str, limit: int, offset: int) -> tuple[list[str], list[tuple[Any, ...]], int]:
        self.mirror.refresh()
        self.mirror.allow_steps(MOST_STEPS)
        code = rewritten(query)
        connection = self.mirror.connection
        try:
            total = 0
            if offset or limit < MOST_ROWS_A_PAGE:
                total = connection.execute(f"SELECT COUNT(*) FROM ({code})").fetchone()[0]
            cursor = connection.execute(f"SELECT * FROM ({code}) LIMIT ? OFFSET ?", (limit, offset))
            rows = cursor.fetchall()
            if not total:
                full = len(rows) == limit
                total = connection.execute(f"SELECT COUNT(*) FROM ({code})").fetchone()[0] if full else len(rows)
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            raise _refusal(error) from None
        if total > limit and not ordered(query):
            self._account.random.shuffle(rows)
        return [each[0].lower() for each in cursor.description], rows, total


def paging(request: Request, most: int) -> tuple[int, int]:
    """`limit` and `offset` of the query string. Raises Refused (INVALID_PARAMETER)."""
    given = dict(request.query)
    numbers = []
    for name, default, least, top in (("limit", most, 1, most), ("offset", 0, 0, None)):
        text = given.get(name, str(default))
        if not text.isdigit() or int(text) < least or (top is not None and int(text) > top):
            what = f"from {least} to {top}" if top is not None else "of 0 or more"
            raise bad_parameter(name, f"Provide a valid value for {name}: a whole number {what}.")
        numbers.append(int(text))
    if numbers[1] % numbers[0]:
        raise bad_parameter("offset", f"The offset must be divisible by the limit, {numbers[0]}.")
    return numbers[0], numbers[1]


def _item(names: list[str], row: tuple[Any, ...]) -> dict[str, Any]:
    item: dict[str, Any] = {"links": []}
    for name, value in zip(names, row, strict=True):
        if value is not None:
            item[name] = _text(value)
    return item


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _refusal(error: Exception) -> Refused:
    words = str(error)
    if column := _NO_COLUMN.search(words):
        words = f"Unknown identifier '{column[1]}'. Available identifiers are those of the record's analytics schema."
    elif table := _NO_TABLE.search(words):
        words = f"Record '{table[1].strip(chr(34))}' was not found."
    return Refused(400, "INVALID_PARAMETER", f"{_PREFIX}{words}")
