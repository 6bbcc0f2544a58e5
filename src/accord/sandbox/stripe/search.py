"""Stripe's search endpoints: a small query language over an index that lags behind writes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from accord.sandbox.kit.simulator import Clock
from accord.sandbox.stripe.refusals import invalid
from accord.sandbox.stripe.shelf import Json

# The fields docs.stripe.com/search lists for each kind, beside `metadata["key"]` and `created`.
SEARCHABLE: dict[str, frozenset[str]] = {
    "customer": frozenset({"email", "name", "phone"}),
    "invoice": frozenset({"currency", "customer", "number", "receipt_number", "status", "subscription", "total"}),
    "product": frozenset({"active", "description", "name", "shippable", "url"}),
    "price": frozenset({"active", "currency", "lookup_key", "product", "type"}),
    "subscription": frozenset({"canceled_at", "status"}),
    "payment_intent": frozenset({"amount", "currency", "customer", "status"}),
    "charge": frozenset({"amount", "currency", "customer", "disputed", "refunded", "status"}),
}
_CLAUSE = re.compile(
    r"""\s*(?P<minus>-?)(?P<field>[a-z_]+)(?:\[(?P<quote>["'])(?P<key>[^"']+)(?P=quote)\])?
        \s*(?P<sign>[:~]|>=|<=|>|<)\s*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s"']+))\s*""",
    re.VERBOSE,
)
_JOINT = re.compile(r"\s*(AND|OR)\b", re.IGNORECASE)
Test = Callable[[Json], bool]


class SearchIndex:
    """Searchable objects as they were `delay_seconds` ago (wall clock: an index lags whatever the business
    date)."""

    def __init__(self, wall: Clock, delay_seconds: float) -> None:
        self._wall = wall
        self._delay = timedelta(seconds=delay_seconds)
        self._coming: deque[tuple[datetime, str, str, Json | None]] = deque()
        self._seen: dict[str, dict[str, Json]] = {kind: {} for kind in SEARCHABLE}
        self._by_metadata: dict[tuple[str, str, str], dict[str, None]] = {}

    def changed(self, row: Json) -> None:
        if row["object"] in SEARCHABLE:
            self._coming.append((self._wall.now() + self._delay, row["object"], row["id"], dict(row)))
            self._catch_up()

    def removed(self, row: Json) -> None:
        if row["object"] in SEARCHABLE:
            self._coming.append((self._wall.now() + self._delay, row["object"], row["id"], None))

    def find(self, kind: str, query: str) -> list[Json]:
        """Every object of the kind the query matches, newest first. Raises Refused for a query Stripe
        refuses."""
        self._catch_up()
        tests, joined, keyed = _parsed(kind, query)
        rows = self._candidates(kind, keyed if joined is all else None)
        found = [row for row in rows if joined(test(row) for test in tests)]
        return sorted(found, key=lambda row: row["created"], reverse=True)

    def _candidates(self, kind: str, keyed: tuple[str, str] | None) -> list[Json]:
        seen = self._seen[kind]
        if keyed is None:
            return list(seen.values())
        return [seen[each] for each in self._by_metadata.get((kind, *keyed), ()) if each in seen]

    def _catch_up(self) -> None:
        now = self._wall.now()
        while self._coming and self._coming[0][0] <= now:
            _, kind, object_id, row = self._coming.popleft()
            before = self._seen[kind].pop(object_id, None)
            for item in (before or {}).get("metadata", {}).items():
                self._by_metadata[kind, *item].pop(object_id, None)
            if row is not None:
                self._seen[kind][object_id] = row
                for item in row["metadata"].items():
                    self._by_metadata.setdefault((kind, *item), {})[object_id] = None


def _parsed(kind: str, query: str) -> tuple[list[Test], Callable[[Any], bool], tuple[str, str] | None]:
    tests: list[Test] = []
    joints: set[str] = set()
    keyed: tuple[str, str] | None = None
    at = 0
    while True:
        match = _CLAUSE.match(query, at)
        if match is None:
            raise invalid("We were unable to parse your search query.", "query")
        tests.append(_test(kind, match))
        if match["key"] and match["sign"] == ":" and not match["minus"] and _value(match) is not None:
            keyed = keyed or (match["key"], str(_value(match)))
        at = match.end()
        joint = _JOINT.match(query, at)
        if joint is None:
            break
        joints.add(joint[1].upper())
        at = joint.end()
    if at < len(query) or len(joints) > 1:
        raise invalid("We were unable to parse your search query: AND and OR cannot be combined.", "query")
    return tests, any if joints == {"OR"} else all, keyed


def _value(match: re.Match[str]) -> str | None:
    for name in ("double", "single"):
        if match[name] is not None:
            return re.sub(r"\\(.)", r"\1", match[name])
    return None if match["bare"] == "null" else match["bare"]


def _test(kind: str, match: re.Match[str]) -> Test:
    field, key, sign, value = match["field"], match["key"], match["sign"], _value(match)
    if key is None and field != "created" and field not in SEARCHABLE[kind]:
        raise invalid(f"Field `{field}` is an unsupported search field for resource `{kind}s`.", "query")
    if key is not None and field != "metadata":
        raise invalid(f"Field `{field}` cannot be searched by key.", "query")

    def found(row: Json) -> Any:
        return row["metadata"].get(key) if key is not None else _field(row, field)

    test = _compared(sign, found, value)
    return (lambda row: not test(row)) if match["minus"] else test


def _field(row: Json, field: str) -> Any:
    if field == "subscription":
        return ((row.get("parent") or {}).get("subscription_details") or {}).get("subscription")
    return row.get(field)


def _compared(sign: str, found: Callable[[Json], Any], value: str | None) -> Test:
    if value is None:
        return lambda row: found(row) is None
    if sign == ":":
        return lambda row: _text(found(row)) == value.lower()
    if sign == "~":
        if len(value) < 3:
            raise invalid("A substring query must have at least 3 characters.", "query")
        return lambda row: value.lower() in _text(found(row))
    if not re.fullmatch(r"-?\d+", value):
        raise invalid(f"`{value}` is not a number.", "query")
    bound = int(value)
    orders: dict[str, Test] = {
        ">": lambda row: (found(row) or 0) > bound,
        "<": lambda row: (found(row) or 0) < bound,
        ">=": lambda row: (found(row) or 0) >= bound,
        "<=": lambda row: (found(row) or 0) <= bound,
    }
    return orders[sign]


def _text(value: Any) -> str:
    return str(value).lower() if value is not None else ""
