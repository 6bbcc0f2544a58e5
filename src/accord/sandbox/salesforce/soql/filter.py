"""Conditions as functions of a row, and the smallest set of rows that can meet them.

Text is compared without case, ids with; `!=` and NOT IN hold for a missing value, other comparisons do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accord.sandbox.salesforce.fields import NUMBER_TYPES, TEXT_TYPES, Field
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.refusals import Refused, malformed
from accord.sandbox.salesforce.schema import Row, SObject
from accord.sandbox.salesforce.soql.tree import All, Among, AnyOf, Compare, Condition, Literal, Not, Path, Query

if TYPE_CHECKING:
    from accord.sandbox.salesforce.org import Org

Getter = Callable[[Row], Any]
Test = Callable[[Row], bool]
Find = Callable[[Query], Iterable[Any]]


def resolve(org: Org, sobject: SObject, path: Path) -> tuple[Getter, Field]:
    """How to read a field, or a field of a parent up to five steps away, and what it is. Raises Refused."""
    steps: list[Field] = []
    for name in path[:-1]:
        reference = sobject.parents.get(name.lower())
        if reference is None:
            raise Refused("INVALID_FIELD", f"Didn't understand relationship '{name}' in field path. If you are "
                          "attempting to use a custom relationship, be sure to append the '__r' after the custom "
                          "relationship name.")  # fmt: skip
        steps.append(reference)
        sobject = org.schema.objects[reference.refers_to[0]]
    field = sobject.find(path[-1])
    if field is None:
        raise Refused("INVALID_FIELD", f"No such column '{path[-1]}' on entity '{sobject.name}'. If you are attempting "
                      "to use a custom field, be sure to append the '__c' after the custom field name. Please "
                      "reference your WSDL or the describe call for the appropriate names.")  # fmt: skip
    return _getter(org, steps, field.name), field


def parent_row(org: Org, reference: Field, row: Row) -> Row | None:
    """The row a reference points to."""
    value = row.get(reference.name)
    found = org.find(value) if value else None
    return found[1] if found else None


def _getter(org: Org, steps: list[Field], name: str) -> Getter:
    if not steps:
        return lambda row: row.get(name)

    def get(row: Row) -> Any:
        for step in steps:
            above = parent_row(org, step, row)
            if above is None:
                return None
            row = above
        return row.get(name)

    return get


def compiled(org: Org, sobject: SObject, condition: Condition, find: Find) -> Test:
    """The condition as a test of one row. `find` gives the values of a semi-join's query. Raises Refused."""
    match condition:
        case All(parts):
            tests = [compiled(org, sobject, part, find) for part in parts]
            return lambda row: all(test(row) for test in tests)
        case AnyOf(parts):
            tests = [compiled(org, sobject, part, find) for part in parts]
            return lambda row: any(test(row) for test in tests)
        case Not(inner):
            test = compiled(org, sobject, inner, find)
            return lambda row: not test(row)
        case Among():
            return _among(org, sobject, condition, find)
        case Compare():
            return _compare(org, sobject, condition)


def _among(org: Org, sobject: SObject, condition: Among, find: Find) -> Test:
    get, field = resolve(org, sobject, condition.path)
    if isinstance(condition.values, Query):
        wanted = set(find(condition.values))
    else:
        wanted = {_value(field, each, condition.path) for each in condition.values}
    key, negated = field.key, condition.negated
    return lambda row: (key(get(row)) in wanted) != negated


def _compare(org: Org, sobject: SObject, condition: Compare) -> Test:
    get, field = resolve(org, sobject, condition.path)
    if condition.operator == "LIKE":
        return _like(get, field, condition)
    if condition.value.kind == "period":
        return _period(org, get, field, condition)
    value = _value(field, condition.value, condition.path)
    key = field.key
    match condition.operator:
        case "=":
            return lambda row: bool(key(get(row)) == value)
        case "!=":
            return lambda row: bool(key(get(row)) != value)
    if value is None or field.type == "boolean":
        raise malformed(f"invalid operator on {condition.path[-1]}")
    return _ordered(lambda row: key(get(row)), condition.operator, value)


def _ordered(get: Getter, operator: str, value: Any) -> Test:
    def test(row: Row) -> bool:
        found = get(row)
        if found is None:
            return False
        match operator:
            case "<":
                return bool(found < value)
            case ">":
                return bool(found > value)
            case "<=":
                return bool(found <= value)
            case _:
                return bool(found >= value)

    return test


def _like(get: Getter, field: Field, condition: Compare) -> Test:
    if condition.value.kind != "text" or field.type in NUMBER_TYPES:
        raise Refused("INVALID_FIELD", f"invalid operator on {field.name}: LIKE")
    signs = {"%": ".*", "_": "."}
    text = str(condition.value.value)
    pattern = "".join(signs.get(letter) or re.escape(letter) for letter in text)
    match = re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch
    return lambda row: (found := get(row)) is not None and match(found) is not None


def _period(org: Org, get: Getter, field: Field, condition: Compare) -> Test:
    """TODAY, LAST_N_DAYS:3 and their like, as the half-open range of days they mean."""
    first, end = _days(str(condition.value.value), date.fromisoformat(org.moment()[:10]))
    tail = "T00:00:00.000+0000" if field.type == "datetime" else ""
    if field.type not in ("date", "datetime"):
        raise _wrong_type(condition.path, field.type)
    low, high = f"{first.isoformat()}{tail}", f"{end.isoformat()}{tail}"
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda at: low <= at < high,
        "!=": lambda at: not low <= at < high,
        "<": lambda at: at < low,
        ">": lambda at: at >= high,
        "<=": lambda at: at < high,
        ">=": lambda at: at >= low,
    }
    test = tests[condition.operator]
    return lambda row: (found := get(row)) is not None and test(found)


def _days(word: str, today: date) -> tuple[date, date]:
    day = timedelta(days=1)
    name, _, number = word.partition(":")
    fixed = {"today": (0, 1), "yesterday": (-1, 0), "tomorrow": (1, 2)}
    if name in fixed and not number:
        return today + fixed[name][0] * day, today + fixed[name][1] * day
    if name == "last_n_days" and number:
        return today - int(number) * day, today + day
    if name == "next_n_days" and number:
        return today + day, today + (int(number) + 1) * day
    raise malformed(f"unexpected token: '{word}'")


def _wrong_type(path: Path, kind: str) -> Refused:
    quoted = "should be enclosed in quotes" if kind in TEXT_TYPES else "should not be enclosed in quotes"
    name = ".".join(path)
    return Refused("INVALID_FIELD", f"value of filter criterion for field '{name}' must be of type {kind} and {quoted}")


def _value(field: Field, literal: Literal, path: Path) -> Any:
    """The value to compare stored values with. Raises Refused when the literal does not fit the field."""
    value = literal.value
    if literal.kind == "null":
        return None
    if field.type in NUMBER_TYPES:
        fits = literal.kind == "number"
    elif field.type == "boolean":
        fits = literal.kind == "boolean"
    elif field.type in ("date", "datetime"):
        fits = literal.kind == field.type
    else:
        fits = literal.kind == "text"
    if not fits:
        raise _wrong_type(path, field.type)
    if field.type in ("id", "reference"):
        return normal_id(str(value)) or value
    return int(value) if field.type == "int" and value == int(value or 0) else field.key(value)


def candidates(org: Org, sobject: SObject, condition: Condition | None, find: Find) -> Iterable[Row]:
    """A superset of the rows that meet the condition, by the most selective index one of its ANDed parts offers."""
    table = org.table(sobject.name)
    parts = condition.parts if isinstance(condition, All) else (condition,) if condition else ()
    moments: list[str] = []
    for part in parts:
        if isinstance(part, Compare) and len(part.path) == 1 and part.operator in (">", ">=", "="):
            field = sobject.find(part.path[0])
            if field and field.name == "SystemModstamp" and part.value.kind == "datetime":
                moments.append(str(part.value.value))
        keys = _keys(org, sobject, part, find)
        if keys is not None:
            return keys
    return table.since(max(moments)) if moments else list(table.rows.values())


def _keys(org: Org, sobject: SObject, part: Condition, find: Find) -> Iterable[Row] | None:
    """The rows a part finds through an index: `Id =`, `Legacy_Id__c IN (...)`; None when there is none."""
    if not isinstance(part, Compare | Among) or len(part.path) != 1:
        return None
    field = sobject.find(part.path[0])
    table = org.table(sobject.name)
    if field is None or not (field.name == "Id" or table.is_keyed(field.name)):
        return None
    if isinstance(part, Compare):
        if part.operator != "=" or part.value.kind != "text":
            return None
        wanted: list[Any] = [_value(field, part.value, part.path)]
    elif part.negated:
        return None
    elif isinstance(part.values, Query):
        wanted = list(dict.fromkeys(find(part.values)))
    else:
        wanted = list(dict.fromkeys(_value(field, each, part.path) for each in part.values))
    if None in wanted:
        return None
    if field.name == "Id":
        return [row for each in wanted if (row := table.get(each)) is not None]
    return [row for each in wanted for row in table.by(field.name, each)]


def sort_key(value: Any, *, nulls_last: bool) -> tuple[bool, Any]:
    """A missing value comes first unless asked otherwise, whichever way the rest is sorted."""
    missing = value is None
    first = missing == nulls_last
    return (first, Decimal(0) if missing else value)
