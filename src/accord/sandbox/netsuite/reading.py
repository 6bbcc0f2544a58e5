"""Records as NetSuite shows them: links, references with names, enumerations, sublists folded or expanded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Field, Row, show_scalar
from accord.sandbox.netsuite.schema import TYPES, RecordType, Sublist

RECORD_PATH = "/services/rest/record/v1"


def shown(
    account: Account,
    kind: RecordType,
    row: Row,
    base: str,
    *,
    fields: Collection[str] = (),
    expand: bool = False,
    simple: bool = False,
) -> dict[str, Any]:
    """The representation of one record. Fields without a value are left out; `fields` narrows it to some."""
    here = f"{base}{RECORD_PATH}/{kind.name}/{row['id']}"
    result: dict[str, Any] = {"links": [{"rel": "self", "href": here}], "id": row["id"]}
    if row.get("externalId") and (not fields or "externalId" in fields):
        result["externalId"] = row["externalId"]
    for name, spec in kind.fields.items():
        if fields and name not in fields:
            continue
        value = _computed(account, kind, name, row) if spec.computed else row.get(name)
        if value is not None:
            result[name] = _value(account, spec, value, base, simple=simple)
    for name in ("createdDate", "lastModifiedDate"):
        if not fields or name in fields:
            result[name] = instant(row[name])
    for name, sublist in kind.sublists.items():
        if not fields or name in fields:
            url = f"{here}/{name}"
            result[name] = lines(account, sublist, row, name, url, base) if expand else {"links": [_self(url)]}
    return result


def lines(account: Account, sublist: Sublist, row: Row, name: str, url: str, base: str) -> dict[str, Any]:
    """A sublist as a collection of whole lines."""
    items = [
        {"links": [_self(f"{url}/{position}")]}
        | {
            each: _value(account, spec, line[each], base)
            for each, spec in sublist.fields.items()
            if line.get(each) is not None
        }
        for position, line in enumerate(row.get(name) or [], start=1)
    ]
    return {"links": [_self(url)], "items": items, "totalResults": len(items)}


def instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def page(url: str, items: list[Any], *, offset: int, limit: int, total: int, query: str = "") -> dict[str, Any]:
    """The envelope of a page, with the links to its neighbours."""
    more = offset + len(items) < total
    links = [_self(f"{url}?limit={limit}&offset={offset}{query}")]
    if more:
        links.append({"rel": "next", "href": f"{url}?limit={limit}&offset={offset + limit}{query}"})
    if offset:
        links.append({"rel": "previous", "href": f"{url}?limit={limit}&offset={max(0, offset - limit)}{query}"})
    return {
        "links": links,
        "count": len(items),
        "hasMore": more,
        "items": items,
        "offset": offset,
        "totalResults": total,
    }


def catalog(kind: RecordType) -> dict[str, Any]:
    """The JSON Schema of a record, as the metadata catalogue gives it."""
    types: Mapping[str, dict[str, Any]] = {
        "text": {"type": "string"}, "whole": {"type": "integer", "format": "int64"},
        "number": {"type": "number", "format": "double"}, "money": {"type": "number", "format": "double"},
        "flag": {"type": "boolean"}, "day": {"type": "string", "format": "date"},
        "instant": {"type": "string", "format": "date-time"}, "ref": {"type": "object"}, "choice": {"type": "object"},
        "duration": {"type": "string"},
    }  # fmt: skip
    properties: dict[str, Any] = {"id": {"type": "string"}, "externalId": {"type": "string"}}
    properties |= {name: {"title": name, **types[spec.kind]} for name, spec in kind.fields.items()}
    properties |= {name: {"type": "object", "properties": {"items": {"type": "array"}}} for name in kind.sublists}
    return {"type": "object", "properties": properties}


def _self(url: str) -> dict[str, str]:
    return {"rel": "self", "href": url}


def _value(account: Account, spec: Field, value: Any, base: str, *, simple: bool = False) -> Any:
    if spec.kind == "choice":
        return value if simple else {"id": value, "refName": spec.options[value]}
    if spec.kind != "ref":
        return show_scalar(spec.kind, value)
    kind, target = account.pointed_to(spec.target, value)
    result = {"links": [_self(f"{base}{RECORD_PATH}/{kind}/{value}")], "id": value}
    result["refName"] = account.named(spec.target, value)
    if target is not None and target.get("externalId"):
        result["externalId"] = target["externalId"]
    return result


def _computed(account: Account, kind: RecordType, name: str, row: Row) -> Any:
    compute = _COMPUTED.get((kind.name, name))
    return compute(account, row) if compute else row.get(name)


def _open_invoices(account: Account, row: Row) -> Iterable[Row]:
    return (each for each in account.table("invoice").by("entity", row["id"]) if each["amountRemaining"])


def _balance(account: Account, row: Row) -> Decimal:
    """What the customer owes, in the account's base currency."""
    owed = sum((each["amountRemaining"] * each["exchangeRate"] for each in _open_invoices(account, row)), Decimal(0))
    return Decimal(owed).quantize(Decimal("0.01"))


def _overdue(account: Account, row: Row) -> Decimal:
    today = account.today()
    late = (each for each in _open_invoices(account, row) if date.fromisoformat(each["dueDate"]) < today)
    return Decimal(sum((each["amountRemaining"] * each["exchangeRate"] for each in late), Decimal(0))).quantize(
        Decimal("0.01")
    )


_COMPUTED: Mapping[tuple[str, str], Callable[[Account, Row], Any]] = {
    ("customer", "balance"): _balance,
    ("customer", "overdueBalance"): _overdue,
}

assert all(name in TYPES for name, _ in _COMPUTED)
