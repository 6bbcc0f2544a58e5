"""The `q` of a collection: body fields only, no joins (vendors.md 2.1).

companyName CONTAIN "Ltd" AND isInactive IS false
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.refusals import Refused, bad_parameter
from accord.sandbox.netsuite.schema import RecordType

_TERM = re.compile(r'\s*(\w+)\s+([A-Z_]+)(?:\s+("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s"]+))?\s*', re.IGNORECASE)
_JOIN = re.compile(r"(AND|OR)\b", re.IGNORECASE)
Test = Callable[[Row], bool]


def matcher(kind: RecordType, q: str) -> Test:
    """A test for rows; terms are joined from left to right. Raises Refused (INVALID_PARAMETER)."""
    term = _TERM.match(q)
    if term is None:
        raise _unreadable(q)
    test = _test(kind, *term.groups())
    rest = q[term.end() :]
    while rest:
        join = _JOIN.match(rest)
        term = _TERM.match(rest, join.end()) if join else None
        if join is None or term is None:
            raise _unreadable(q)
        test = _joined(join[1].upper(), test, _test(kind, *term.groups()))
        rest = rest[term.end() :]
    return test


def _joined(word: str, left: Test, right: Test) -> Test:
    if word == "AND":
        return lambda row: left(row) and right(row)
    return lambda row: left(row) or right(row)


def _test(kind: RecordType, name: str, operator: str, given: str | None) -> Test:
    operator = operator.upper()
    if name not in kind.fields and name not in ("id", "externalId"):
        raise bad_parameter("q", f"Invalid search query. The field '{name}' does not exist on {kind.name}.")
    if operator in ("EMPTY", "EMPTY_NOT"):
        return lambda row: (row.get(name) in (None, "")) is (operator == "EMPTY")
    compare = _OPERATORS.get(operator)
    if compare is None or given is None:
        raise _unreadable(f"{name} {operator}")
    values = (
        [each.strip().strip('"') for each in given.strip("[]").split(",")] if given[0] == "[" else [given.strip('"')]
    )
    return lambda row: row.get(name) is not None and compare(_plain(row[name]), values)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise bad_parameter("q", f"Invalid search query. '{value}' is not a number.") from None


_OPERATORS: Mapping[str, Callable[[str, list[str]], bool]] = {
    "IS": lambda held, given: held.lower() == given[0].lower(),
    "IS_NOT": lambda held, given: held.lower() != given[0].lower(),
    "CONTAIN": lambda held, given: given[0].lower() in held.lower(),
    "START_WITH": lambda held, given: held.lower().startswith(given[0].lower()),
    "ANY_OF": lambda held, given: held in given,
    "EQUAL": lambda held, given: _number(held) == _number(given[0]),
    "GREATER": lambda held, given: _number(held) > _number(given[0]),
    "LESS": lambda held, given: _number(held) < _number(given[0]),
    "ON": lambda held, given: held[:10] == given[0],
    "AFTER": lambda held, given: held[:10] > given[0],
    "BEFORE": lambda held, given: held[:10] < given[0],
}


def _unreadable(q: str) -> Refused:
    return bad_parameter("q", f"Invalid search query. Could not parse '{q}'.")
