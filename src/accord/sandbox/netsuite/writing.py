"""From a request body to a changed record: references, enumerations, sublists, null clears."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Field, Row, read_scalar
from accord.sandbox.netsuite.refusals import already_exists, invalid, missing, unknown_field
from accord.sandbox.netsuite.rules import settle_row
from accord.sandbox.netsuite.schema import RecordType, Sublist

_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_IDENTITY = frozenset({"id", "externalId", "links", "refName"})


@dataclass(frozen=True, slots=True)
class Write:
    """How a body is applied. `replace` names the sublists whose request lines are the whole truth; `strict` refuses
    unknown fields (X-NetSuite-PropertyNameValidation: Error), otherwise they are dropped without a word."""

    replace: Collection[str] = ()
    strict: bool = False


def save(account: Account, kind: RecordType, before: Row | None, body: Mapping[str, Any], write: Write) -> Row:
    """Create (`before` is None) or change one record by all its rules. Raises Refused; nothing is changed then."""
    row: Row = _copied(kind, before) if before is not None else {"id": "", "externalId": None}
    if before is None and "isInactive" in kind.fields:
        row["isInactive"] = False
    for name, value in body.items():
        if name in kind.sublists:
            row[name] = _lines(account, kind.sublists[name], row.get(name, []), value, name, write)
        elif name in kind.fields:
            _set(account, row, name, kind.fields[name], value, name)
        elif name == "externalId":
            row["externalId"] = _external_id(value)
        elif name not in _IDENTITY and write.strict:
            raise unknown_field(name)
    _complete(account, kind, before, row)
    return row


def _complete(account: Account, kind: RecordType, before: Row | None, row: Row) -> None:
    lacking = [name for name, each in kind.fields.items() if each.required and row.get(name) in (None, "")]
    if lacking:
        raise missing(*lacking)
    _refuse_duplicates(account, kind, row)
    if before is None:
        row["id"] = account.new_id(kind)
    after = settle_row(account, kind, before, row)
    if kind.unique and row.get(kind.unique) and account.name_taken(kind, row[kind.unique], row["id"]):
        raise already_exists(f"This {'entity' if kind.family == 'entity' else kind.label.lower()}")
    account.keep(kind, before, row)
    for do in after:
        do()


def _refuse_duplicates(account: Account, kind: RecordType, row: Row) -> None:
    if row["externalId"]:
        holder = account.table(kind.name).by_external_id(row["externalId"])
        if holder is not None and holder["id"] != row["id"]:
            what = f"A {kind.label.lower()} with the external ID '{row['externalId']}'"
            raise already_exists(what, "DUP_RCRD")


def _copied(kind: RecordType, before: Row) -> Row:
    row = dict(before)
    for name in kind.sublists:
        if name in row:
            row[name] = [dict(line) for line in row[name]]
    return row


def _external_id(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _EXTERNAL_ID.fullmatch(value):
        raise invalid("externalId", "External IDs are made of letters, digits, underscores and hyphens.")
    return value


def _set(account: Account, row: Row, name: str, spec: Field, value: Any, path: str) -> None:
    if spec.computed:
        return  # read-only fields are ignored, as in the user interface
    if value is None:
        row[name] = None
    elif spec.kind == "ref":
        row[name] = _reference(account, spec.target, value, path)
    elif spec.kind == "choice":
        row[name] = _option(spec, value, path)
    else:
        row[name] = read_scalar(spec.kind, value, path)


def _reference(account: Account, targets: str, value: Any, path: str) -> str:
    """The internal id of another record, of any of the types a field may point to. Raises Refused."""
    for target in targets.split("|"):
        table = account.table(target)
        if isinstance(value, Mapping) and value.get("id") is not None:
            found = table.get(str(value["id"]))
        elif isinstance(value, Mapping) and isinstance(value.get("externalId"), str):
            found = table.by_external_id(value["externalId"])
        elif isinstance(value, str | int) and not isinstance(value, bool):
            found = table.get(str(value))
        else:
            raise invalid(path)
        if found is not None:
            return str(found["id"])
    raise invalid(path, f"Invalid reference key for {targets}.")


def _option(spec: Field, value: Any, path: str) -> str:
    chosen = value.get("id") if isinstance(value, Mapping) else value
    if str(chosen) not in spec.options:
        raise invalid(path)
    return str(chosen)


def _lines(account: Account, spec: Sublist, old: list[Row], value: Any, path: str, write: Write) -> list[Row]:
    """Lines merge on the sublist's key; lines without a key, and sublists without one, are appended (vendors.md 2.1).

    With `replace` the request is the whole list: keyed lines that match are updated, all others are dropped.
    """
    if value is None:
        return []
    items = value.get("items") if isinstance(value, Mapping) else None
    if not isinstance(items, list):
        raise invalid(f"{path}.items")
    known = {line.get(spec.key): line for line in old} if spec.key else {}
    result: list[Row] = [] if path in write.replace else list(old)
    for number, item in enumerate(items):
        place = f"{path}.items[{number}]"
        if not isinstance(item, Mapping):
            raise invalid(place)
        line = _line(account, spec, item, place, write)
        match = known.get(line.get(spec.key)) if spec.key and line.get(spec.key) is not None else None
        if match is None:
            result.append(line)
            continue
        match.update(line)
        if path in write.replace:
            result.append(match)
    _number_lines(spec, result)
    return result


def _line(account: Account, spec: Sublist, item: Mapping[str, Any], place: str, write: Write) -> Row:
    line: Row = {}
    for name, value in item.items():
        if name in spec.fields:
            _set(account, line, name, spec.fields[name], value, f"{place}.{name}")
        elif name not in _IDENTITY and write.strict:
            raise unknown_field(f"{place}.{name}")
    return line


def _number_lines(spec: Sublist, lines: list[Row]) -> None:
    if spec.key != "line":
        return
    highest = max((line["line"] for line in lines if line.get("line") is not None), default=0)
    for line in lines:
        if line.get("line") is None:
            highest += 1
            line["line"] = highest
