"""One table for both directions between a vendor's record and a canonical object.

    CUSTOMER = Mapping("salesforce.customer", "customer", "Account", of=Customer, rows=(
        key("Id"), version("SystemModstamp"), own("Accord_Customer__c"),
        text("legal_name", "Name", required=True, max_length=255),
        link("parent_id", "ParentId", kind="customer"),
        number("payment_terms_days", "Payment_Terms_Days__c", minimum=0),
    ))
    body, links, problems = CUSTOMER.read(record)
    fields, problems = CUSTOMER.write(body, vendor_ids)

A row's canonical field comes first, the vendor's dotted path second. Pure: no driver, no HTTP client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from accord.connect.mapping.amounts import MoneyRow
from accord.connect.mapping.drift import Schema, SchemaField, drift
from accord.connect.mapping.relations import Const, Key, Link, Nested, Own, Version
from accord.connect.mapping.row import Problem, Row, Unfit
from accord.connect.mapping.scalars import Choice, Coded, Day, DecimalNumber, Flag, Instant, Number, Text
from accord.connect.mapping.table import (
    DictionaryRow,
    Mapping,
    MappingHistory,
    MappingInvalid,
    MappingVersion,
    Reading,
    Writing,
)

__all__ = [
    "DictionaryRow",
    "Mapping",
    "MappingHistory",
    "MappingInvalid",
    "MappingVersion",
    "Problem",
    "Reading",
    "Row",
    "Schema",
    "SchemaField",
    "Unfit",
    "Writing",
    "choice",
    "coded",
    "const",
    "day",
    "decimal",
    "drift",
    "flag",
    "instant",
    "key",
    "link",
    "money",
    "nested",
    "number",
    "own",
    "text",
    "version",
]


def key(vendor: str, **row: Any) -> Row:
    """The vendor's own id."""
    return Key(vendor=vendor, **row)


def version(vendor: str, **row: Any) -> Row:
    """What orders observations: modification time or counter."""
    return Version(vendor=vendor, **row)


def own(vendor: str, **row: Any) -> Row:
    """Our canonical id as the vendor's object carries it; absent until we wrote it."""
    return Own(vendor=vendor, **{"sparse": True, **row})


def link(field: str, vendor: str, kind: str, **row: Any) -> Row:
    """Another object, by the vendor's id there and our id here."""
    return Link(field=field, vendor=vendor, kind=kind, **row)


def text(field: str, vendor: str, **row: Any) -> Row:
    """Options: max_length, cut, default."""
    return Text(field=field, vendor=vendor, **row)


def number(field: str, vendor: str, **row: Any) -> Row:
    """A whole number. Options: minimum, maximum, as_text, default."""
    return Number(field=field, vendor=vendor, **row)


def decimal(field: str, vendor: str, **row: Any) -> Row:
    """An exact number, canonically text. Options: places, as_text, default."""
    return DecimalNumber(field=field, vendor=vendor, **row)


def money(field: str, vendor: str, **row: Any) -> Row:
    """An amount. One of currency_at, currency_from, currency; options: minor, minor_decimals, lower, as_text."""
    return MoneyRow(field=field, vendor=vendor, **row)


def day(field: str, vendor: str, form: str = "iso", **row: Any) -> Row:
    """A calendar day: iso, unix, instant or a strptime pattern. Options: zone, default."""
    return Day(field=field, vendor=vendor, form=form, **row)


def instant(field: str, vendor: str, form: str = "iso", **row: Any) -> Row:
    """A moment: iso or unix. Options: zone, default."""
    return Instant(field=field, vendor=vendor, form=form, **row)  # type: ignore[arg-type]  # checked by the table


def choice(field: str, vendor: str, choices: dict[Any, str], **row: Any) -> Row:
    """One of few words, {vendor word: canonical word}. Options: otherwise, default."""
    return Choice(field=field, vendor=vendor, choices=choices, **row)


def flag(field: str, vendor: str, **row: Any) -> Row:
    """Yes or no. Options: style (json, T/F, true/false), default."""
    return Flag(field=field, vendor=vendor, **row)


def coded(
    field: str,
    vendor: str,
    decode: Callable[[Any], Any],
    encode: Callable[[Any], Any],
    examples: tuple[Any, ...],
    **row: Any,
) -> Row:
    """A value of the vendor's own kind; the functions raise Unfit, `examples` are canonical values for the law."""
    return Coded(field=field, vendor=vendor, decoder=decode, encoder=encode, examples=examples, **row)


def const(vendor: str, value: Any, **row: Any) -> Row:
    """A value the vendor always gets. Option: checked."""
    return Const(vendor=vendor, value=value, **row)


def nested(field: str, vendor: str, rows: Iterable[Row] | Mapping, **row: Any) -> Row:
    """An object inside (`vendor` "" = in the same record), with `many=True` a list of them."""
    inside = rows.rows if isinstance(rows, Mapping) else tuple(rows)
    return Nested(field=field, vendor=vendor, rows=inside, **row)
