"""The law of every mapping: what is written and read back is what it was, and nothing a vendor sends makes it raise.

For tests: it needs Hypothesis. `hold(mapping)` runs the laws over one mapping.
"""

from __future__ import annotations

from collections.abc import Mapping as Record
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import singledispatch
from typing import Any

from babel.numbers import get_currency_precision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.connect.mapping import Mapping, Reading, Row
from accord.connect.mapping.amounts import MoneyRow
from accord.connect.mapping.relations import Const, Link, Nested, merge
from accord.connect.mapping.row import MISSING, Scalar, dig, plant
from accord.connect.mapping.scalars import (
    Choice,
    Coded,
    Day,
    DecimalNumber,
    Flag,
    Instant,
    Number,
    Text,
    plain_decimal,
)

Body = dict[str, Any]

# Two, none and three decimals: the currencies of the demo firm and the one that breaks "two decimals" thinking.
CURRENCIES = ("USD", "EUR", "JPY", "KWD")
_LETTERS = st.characters(categories=("L", "M", "N", "P", "S", "Z", "Cc", "Cf", "Co", "Cn"), exclude_characters="\x00")
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def hold(mapping: Mapping, *, examples: int = 100) -> None:
    """Try the laws on a mapping; AssertionError with the smallest body that breaks one."""
    relaxed = settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )

    @relaxed
    @given(bodies(mapping))
    def written_and_read_back(body: Body) -> None:
        read_back(mapping, body)

    @relaxed
    @given(records(mapping))
    def anything_is_read(record: Body) -> None:
        assert isinstance(mapping.read(record), Reading)

    @relaxed
    @given(st.dictionaries(st.sampled_from(_names(mapping)), _ANYTHING))
    def anything_is_written(body: Body) -> None:
        mapping.write(body, {})

    if _round_rows(mapping.rows):
        written_and_read_back()
    anything_is_read()
    anything_is_written()


def read_back(mapping: Mapping, body: Body) -> None:
    """Write one body and read it again: the same values, the same links, no problem."""
    vendor_ids = {canonical: f"9{index}" for index, canonical in enumerate(sorted(_canonical_ids(mapping.rows, body)))}
    written = mapping.write(body, vendor_ids)
    assert not written.problems, f"{body} cannot be written: {[*map(str, written.problems)]}"
    record = _complete(mapping.rows, written.fields)
    reading = mapping.read(record)
    assert not reading.problems, f"{record} cannot be read: {[*map(str, reading.problems)]}"
    expected, links = _without_links(mapping.rows, body, "")
    assert reading.body == expected, f"{body} came back as {reading.body}"
    assert {name: vendor for name, (_, vendor) in reading.links.items()} == {
        name: vendor_ids[canonical] for name, canonical in links.items()
    }
    carried = mapping.canonical_id(record)
    assert carried in (None, body.get("id")), f"{body.get('id')} came back as {carried}"


def bodies(mapping: Mapping) -> st.SearchStrategy[Body]:
    """Canonical bodies with every field a mapping both reads and writes, or without, where it may be missing."""
    inside = _bodies(_round_rows(mapping.rows), None)
    return st.builds(
        lambda ours, body: {"id": ours, **body}, st.from_regex(r"[A-Z]{3}-[A-Z2-7]{16}", fullmatch=True), inside
    )


def records(mapping: Mapping) -> st.SearchStrategy[Body]:
    """Vendor records with anything at all in the fields a mapping reads."""
    paths = st.sampled_from([path for path in mapping.fields() if path] or ["x"])

    def build(values: list[tuple[str, Any]]) -> Body:
        record: Body = {}
        for path, value in values:
            one: Body = {}
            plant(one, path, value)
            merge(record, one)
        return record

    return st.lists(st.tuples(paths, _ANYTHING), max_size=8).map(build)


def _bodies(rows: tuple[Row, ...], outer_currency: str | None) -> st.SearchStrategy[Body]:
    """One currency for the whole object: its amounts often share a field for it."""

    @st.composite
    def build(draw: st.DrawFn) -> Body:
        fixed = next((row.currency for row in rows if isinstance(row, MoneyRow) and row.currency), None)
        currency = outer_currency or fixed or draw(st.sampled_from(_currencies(rows)))
        body: Body = {}
        for row in rows:
            if _always_there(row) or draw(st.booleans()):
                body[row.field] = draw(_values(row, currency))
        for row in rows:
            if isinstance(row, MoneyRow) and row.currency_from in {each.field for each in rows}:
                body[row.currency_from or ""] = currency
        return body

    return build()


def _always_there(row: Row) -> bool:
    many = isinstance(row, Nested) and row.many
    return row.required or many or (isinstance(row, Scalar) and row.default is not None)


def _currencies(rows: tuple[Row, ...]) -> tuple[str, ...]:
    """The currencies a mapping can say at all: a choice row may know only some."""
    sources = {row.currency_from for row in rows if isinstance(row, MoneyRow) and row.currency_from}
    for row in rows:
        if isinstance(row, Choice) and row.field in sources:
            return tuple(dict.fromkeys(row.choices.values()))
    return CURRENCIES


def _values(row: Row, currency: str) -> st.SearchStrategy[Any]:
    if isinstance(row, MoneyRow):
        return _amounts(row.currency or currency, row.minor_decimals)
    if isinstance(row, Nested):
        one = _bodies(_round_rows(row.rows), currency)
        return st.lists(one, max_size=3) if row.many else one.filter(bool)
    return _scalars(row)


@singledispatch
def _scalars(row: Row) -> st.SearchStrategy[Any]:
    raise NotImplementedError(f"no strategy for a {row.type} row")


@_scalars.register
def _(row: Text) -> st.SearchStrategy[str]:
    return st.text(_LETTERS, min_size=1, max_size=min(row.max_length or 40, 40))


@_scalars.register
def _(row: Number) -> st.SearchStrategy[int]:
    low = row.minimum if row.minimum is not None else -(10**9)
    return st.integers(low, row.maximum if row.maximum is not None else max(low, 10**9))


@_scalars.register
def _(row: DecimalNumber) -> st.SearchStrategy[str]:
    return st.decimals(-(10**9), 10**9, places=row.places, allow_nan=False).map(plain_decimal)


@_scalars.register
def _(_row: Flag) -> st.SearchStrategy[bool]:
    return st.booleans()


@_scalars.register
def _(row: Choice) -> st.SearchStrategy[str]:
    return st.sampled_from(tuple(dict.fromkeys(row.choices.values())))


@_scalars.register
def _(_row: Day) -> st.SearchStrategy[str]:
    return st.dates(date(1971, 1, 1), date(2199, 12, 31)).map(date.isoformat)


@_scalars.register
def _(_row: Instant) -> st.SearchStrategy[str]:
    moments = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
    # Salesforce keeps milliseconds, Stripe seconds; a whole second is what every vendor gives back.
    return moments.map(lambda at: at.replace(microsecond=0).isoformat())


@_scalars.register
def _(row: Coded) -> st.SearchStrategy[Any]:
    return st.sampled_from(row.examples)


@_scalars.register
def _(_row: Link) -> st.SearchStrategy[str]:
    return st.from_regex(r"[A-Z]{3}-[A-Z2-7]{16}", fullmatch=True)


def _amounts(currency: str, minor_decimals: Record[str, int]) -> st.SearchStrategy[Body]:
    places = min(get_currency_precision(currency), minor_decimals.get(currency, 9))
    amounts = st.integers(-(10**11), 10**11) | st.just(0)
    written = amounts.map(lambda units: Decimal(units).scaleb(-places))
    exact = Decimal(1).scaleb(-get_currency_precision(currency))
    return written.map(lambda amount: {"amount": str(amount.quantize(exact)), "currency": currency})


def _round_rows(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows the law is about: read and written, with a canonical field."""
    return tuple(row for row in rows if row.reads and row.writes and row.field and not isinstance(row, Const))


def _names(mapping: Mapping) -> list[str]:
    return ["id", *(row.field for row in mapping.rows if row.field)]


def _complete(rows: tuple[Row, ...], written: Body) -> Body:
    """What the vendor would answer after the write: the fields it was not given are there, and empty."""
    record: Body = {}
    for row in rows:
        _blank(row, record, "")
        if row.type in ("key", "version"):
            plant(record, row.vendor, "1")
    merge(record, written)
    for row in rows:
        items = dig(record, row.vendor) if isinstance(row, Nested) and row.many else None
        if isinstance(row, Nested) and isinstance(items, list):
            plant(record, row.vendor, [_complete(row.rows, item) for item in items])
    return record


def _blank(row: Row, record: Body, outer: str) -> None:
    if isinstance(row, Nested) and not row.many:
        for each in row.rows:
            _blank(each, record, f"{outer}{row.vendor}." if row.vendor else outer)
        return
    for path in [row.vendor] if isinstance(row, Nested) else row.read_paths():
        if dig(record, f"{outer}{path}") is MISSING:
            plant(record, f"{outer}{path}", None)


def _canonical_ids(rows: tuple[Row, ...], body: Record[str, Any]) -> set[str]:
    return set(_without_links(rows, body, "")[1].values())


def _without_links(rows: tuple[Row, ...], body: Record[str, Any], prefix: str) -> tuple[Body, dict[str, str]]:
    """A body as reading gives it: own id and links apart, nested ones too."""
    plain: Body = {}
    links: dict[str, str] = {}
    for row in rows:
        value = body.get(row.field) if row.field else None
        if value is None:
            continue
        if isinstance(row, Link):
            links[f"{prefix}{row.field}"] = value
        elif isinstance(row, Nested):
            _nested_without_links(row, value, prefix, plain, links)
        else:
            plain[row.field] = value
    return plain, links


def _nested_without_links(row: Nested, value: Any, prefix: str, plain: Body, links: dict[str, str]) -> None:
    items = []
    for index, item in enumerate(value if row.many else [value]):
        place = f"[{index}]" if row.many else ""
        inner, inner_links = _without_links(row.rows, item, f"{prefix}{row.field}{place}.")
        items.append(inner)
        links |= inner_links
    if row.many:
        plain[row.field] = items
    elif items[0]:
        plain[row.field] = items[0]
