"""The record API: one record or a collection, read or written, now or as a job (vendors.md 2.1, 2.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from accord.sandbox.kit.simulator import Request, Response
from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.filters import matcher
from accord.sandbox.netsuite.jobs import Jobs, Work
from accord.sandbox.netsuite.reading import RECORD_PATH, catalog, lines, page, shown
from accord.sandbox.netsuite.refusals import Refused, bad_header, bad_parameter, invalid, not_there
from accord.sandbox.netsuite.rules import delete_row
from accord.sandbox.netsuite.schema import SETUP, TYPES, RecordType
from accord.sandbox.netsuite.suiteql import paging
from accord.sandbox.netsuite.writing import Write, save

MOST_IN_A_BATCH = 100
_SINGULAR = {"content-type": "application/vnd.oracle.resource+json; type=singular"}


@dataclass(slots=True)
class RecordApi:
    """`batch_id_field` is where an item of a batch carries its external id: `externalId` as Oracle's batch article
    says, or `id` with `eid:` in front. `locate_upserts` says whether PUT answers with a Location."""

    account: Account
    jobs: Jobs
    batch_id_field: str = "externalId"
    locate_upserts: bool = True
    renamed: dict[tuple[str, str], str] = field(default_factory=dict)  # (record, field) -> its name by schema drift
    failing: bool = False  # every second record of the next batch fails

    def answer(self, request: Request, base: str) -> Response:
        """Answer one request below /services/rest/record/v1. Raises Refused."""
        parts = request.path[len(RECORD_PATH) :].strip("/").split("/")
        if parts[0] == "metadata-catalog":
            return self._catalog(parts)
        kind = TYPES.get(parts[0])
        if kind is None:
            raise Refused(
                404, "NOT_FOUND", f"Record type '{parts[0]}' does not exist.", request.path, place="o:errorUrl"
            )
        if kind.name in SETUP and request.method != "GET":
            raise Refused(403, "INSUFFICIENT_PERMISSION", f"The role has no permission to change {kind.label} records.")
        if "respond-async" in request.headers.get("prefer", "").lower():
            return self._queue(request, kind, parts, base)
        if len(parts) == 1 and (request.method in ("PUT", "PATCH", "DELETE") or _is_collection(request)):
            raise bad_header("Prefer", "A batch operation requires the header 'Prefer: respond-async'.")
        return self._now(request, kind, parts, base)

    def _now(self, request: Request, kind: RecordType, parts: list[str], base: str) -> Response:
        match request.method, len(parts):
            case "GET", 1:
                return self._list(request, kind, base)
            case "GET", 2:
                return self._read(request, kind, parts[1], base)
            case "GET", 3 if parts[2] in kind.sublists:
                return self._sublist(kind, parts, base)
            case "POST", 1:
                return self._create(kind, read_body(request), self._manner(request), base)
            case "PATCH", 2:
                return self._change(kind, parts[1], read_body(request), self._manner(request), base)
            case "PUT", 2:
                return self._upsert(kind, parts[1], read_body(request), self._manner(request), base)
            case "DELETE", 2:
                return self._delete(kind, parts[1])
            case "POST", 4 if parts[2] == "!transform" and (kind.name, parts[3]) == ("job", "invoice"):
                return self._transform(parts[1], read_body(request), self._manner(request), base)
        raise Refused(405, "METHOD_NOT_ALLOWED", f"{request.method} is not supported by {request.path}.")

    def _manner(self, request: Request) -> Write:
        header = request.headers.get("x-netsuite-propertynamevalidation", "warning").lower()
        if header not in ("error", "warning", "ignore"):
            raise bad_header("X-NetSuite-PropertyNameValidation", "The value must be Error, Warning or Ignore.")
        given = dict(request.query).get("replace", "")
        return Write(replace=frozenset(name for name in given.split(",") if name), strict=header == "error")

    # one record

    def _read(self, request: Request, kind: RecordType, address: str, base: str) -> Response:
        given = dict(request.query)
        fields = {name for name in given.get("fields", "").split(",") if name}
        fields = {self._held_name(kind, name) for name in fields}
        for name in fields:
            if (
                name not in kind.fields
                and name not in kind.sublists
                and name not in ("id", "externalId", "lastModifiedDate", "createdDate")
            ):
                raise bad_parameter("fields", f"The field '{name}' does not exist on {kind.name}.")
        record = shown(
            self.account, kind, self.account.find(kind.name, address), base, fields=fields,
            expand=given.get("expandSubResources") == "true", simple=given.get("simpleEnumFormat") == "true",
        )  # fmt: skip
        return Response(200, orjson.dumps(self._drifted(kind, record)), _SINGULAR)

    def _sublist(self, kind: RecordType, parts: list[str], base: str) -> Response:
        row = self.account.find(kind.name, parts[1])
        url = f"{base}{RECORD_PATH}/{'/'.join(parts)}"
        return Response(
            200, orjson.dumps(lines(self.account, kind.sublists[parts[2]], row, parts[2], url, base)), _SINGULAR
        )

    def _create(self, kind: RecordType, body: Mapping[str, Any], manner: Write, base: str) -> Response:
        row = save(self.account, kind, None, self._held(kind, body, strict=manner.strict), manner)
        return Response(204, b"", {"location": f"{base}{RECORD_PATH}/{kind.name}/{row['id']}"})

    def _change(self, kind: RecordType, address: str, body: Mapping[str, Any], manner: Write, base: str) -> Response:
        before = self.account.find(kind.name, address)
        row = save(self.account, kind, before, self._held(kind, body, strict=manner.strict), manner)
        return Response(204, b"", {"location": f"{base}{RECORD_PATH}/{kind.name}/{row['id']}"})

    def _upsert(self, kind: RecordType, address: str, body: Mapping[str, Any], manner: Write, base: str) -> Response:
        """204 whether it was there or not (vendors.md 2.1)."""
        if not address.startswith("eid:"):
            raise Refused(400, "INVALID_REQUEST", "The PUT operation is supported only with an external ID (eid:).")
        before = self.account.table(kind.name).by_external_id(address[4:])
        given = {**self._held(kind, body, strict=manner.strict), "externalId": address[4:]}
        row = save(self.account, kind, before, given, manner)
        place = f"{base}{RECORD_PATH}/{kind.name}/{row['id']}"
        return Response(204, b"", {"location": place} if self.locate_upserts else {})

    def _delete(self, kind: RecordType, address: str) -> Response:
        row = self.account.find(kind.name, address)
        delete_row(self.account, kind, row)
        return Response(204)

    def _transform(self, address: str, body: Mapping[str, Any], manner: Write, base: str) -> Response:
        """`job/{id}/!transform/invoice`: an invoice with the project's customer, currency and subsidiary."""
        job = self.account.find("job", address)
        start = {
            "entity": job["parent"],
            "job": job["id"],
            "subsidiary": job["subsidiary"],
            "currency": job["currency"],
        }
        return self._create(TYPES["invoice"], {**start, **body}, manner, base)

    # collections

    def _list(self, request: Request, kind: RecordType, base: str) -> Response:
        """Ids and links only (vendors.md 2.1)."""
        given = dict(request.query)
        limit, offset = paging(request, 1000)
        table = self.account.table(kind.name)
        ids = table.ids()
        if given.get("q"):
            test = matcher(kind, given["q"])
            ids = [row["id"] for row in table.all() if test(row)]
        url = f"{base}{RECORD_PATH}/{kind.name}"
        items = [
            {"links": [{"rel": "self", "href": f"{url}/{each}"}], "id": each} for each in ids[offset : offset + limit]
        ]
        body = page(url, items, offset=offset, limit=limit, total=len(ids))
        return Response(
            200, orjson.dumps(body), {"content-type": "application/vnd.oracle.resource+json; type=collection"}
        )

    def _queue(self, request: Request, kind: RecordType, parts: list[str], base: str) -> Response:
        key = request.headers.get("x-netsuite-idempotency-key")
        if len(parts) > 1 or (request.method in ("GET", "POST") and not _is_collection(request)):
            work: list[Work] = [_safely(lambda: self._now(request, kind, parts, base))]
            return self.jobs.submit(work, batch=False, key=key, base=base)
        work = self._batch(request, kind, base)
        if self.failing:
            self.failing = False
            work[1::2] = [_changed_by_another] * len(work[1::2])
        return self.jobs.submit(work, batch=True, key=key, base=base)

    def _batch(self, request: Request, kind: RecordType, base: str) -> list[Work]:
        if request.method == "DELETE":
            addresses = [each for each in dict(request.query).get("ids", "").split(",") if each]
            _check_size(len(addresses))
            return [_safely(lambda each=each: self._delete(kind, each)) for each in addresses]  # type: ignore[misc]
        if not _is_collection(request):
            raise bad_header("Content-Type", "A batch is 'application/vnd.oracle.resource+json; type=collection'.")
        items = read_body(request).get("items")
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise invalid("items")
        _check_size(len(items))
        manner = self._manner(request)
        return [_safely(self._member(request.method, kind, each, manner, base)) for each in items]

    def _member(self, method: str, kind: RecordType, item: Mapping[str, Any], manner: Write, base: str) -> Work:
        """The internal id wins over the external id; PUT takes the external id only (Oracle, Batch Operations)."""
        if method == "POST":
            return lambda: self._create(kind, item, manner, base)
        given = item.get(self.batch_id_field)
        external = f"eid:{str(given).removeprefix('eid:')}" if given is not None else None
        if method == "PUT":
            return lambda: self._upsert(kind, external or "", item, manner, base)
        internal = item.get("id")
        address = str(internal) if internal is not None else external
        return lambda: self._change(kind, address or "", item, manner, base)

    def _catalog(self, parts: list[str]) -> Response:
        if len(parts) == 1:
            items = [{"name": name} for name in TYPES]
            return Response(200, orjson.dumps({"items": items}), _SINGULAR)
        if parts[1] not in TYPES:
            raise not_there(f"{RECORD_PATH}/{'/'.join(parts)}")
        return Response(
            200, orjson.dumps(self._drifted_schema(TYPES[parts[1]])), {"content-type": "application/schema+json"}
        )

    # schema drift

    def _held_name(self, kind: RecordType, name: str) -> str:
        return next((old for (record, old), new in self.renamed.items() if (record, new) == (kind.name, name)), name)

    def _held(self, kind: RecordType, body: Mapping[str, Any], *, strict: bool) -> Mapping[str, Any]:
        """The body in the names the account began with; a name that is gone is unknown."""
        if not any(record == kind.name for record, _ in self.renamed):
            return body
        held: dict[str, Any] = {}
        for name, value in body.items():
            if (kind.name, name) in self.renamed:
                if strict:
                    raise Refused(400, "NONEXISTENT_FIELD", f"Unknown reference or field '{name}'.", name)
                continue
            held[self._held_name(kind, name)] = value
        return held

    def _drifted(self, kind: RecordType, record: Row) -> Row:
        if not self.renamed:
            return record
        return {self.renamed.get((kind.name, name), name): value for name, value in record.items()}

    def _drifted_schema(self, kind: RecordType) -> dict[str, Any]:
        schema = catalog(kind)
        schema["properties"] = self._drifted(kind, schema["properties"])
        return schema


def read_body(request: Request) -> Mapping[str, Any]:
    """The JSON object of the body, amounts as Decimal. Raises Refused (INVALID_CONTENT)."""
    try:
        value = json.loads(request.body or b"{}", parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "INVALID_CONTENT", "Invalid content in the request body: it is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "INVALID_CONTENT", "Invalid content in the request body: an object is expected.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _is_collection(request: Request) -> bool:
    return "type=collection" in request.headers.get("content-type", "").replace(" ", "").lower()


def _check_size(count: int) -> None:
    if not 0 < count <= MOST_IN_A_BATCH:
        raise Refused(400, "INVALID_CONTENT", f"A batch holds 1 to {MOST_IN_A_BATCH} records, not {count}.", "items")


def _safely(work: Work) -> Work:
    def run() -> Response:
        try:
            return work()
        except Refused as refusal:
            return refusal.response()

    return run


def _changed_by_another() -> Response:
    return Refused(400, "RCRD_HAS_BEEN_CHANGED", "Record has been changed by another user.").response()
