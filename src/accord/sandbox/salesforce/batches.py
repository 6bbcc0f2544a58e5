"""`composite/sobjects`: up to 200 records a call, one result each (vendors.md 1.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from accord.sandbox.salesforce.call import Call, Reply, listed
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.org import Org
from accord.sandbox.salesforce.records import Records
from accord.sandbox.salesforce.refusals import Refused, method_not_allowed, not_found, unreadable
from accord.sandbox.salesforce.resources import Resources
from accord.sandbox.salesforce.schema import SObject

Json = dict[str, Any]
T = TypeVar("T")
MOST = 200
_MOST_READ = 2000

ROLLED_BACK = Refused(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
    [],
)

_BUSY = Refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records", [])


class Collections:
    """Create, update, upsert, delete and read many records in one call."""

    def __init__(self, org: Org, records: Records, resources: Resources) -> None:
        self.org = org
        self.records = records
        self.resources = resources
        self.every_second_fails = False  # set for one call by the fault `partial_batch`

    def answer(self, call: Call) -> Reply:
        rest = call.parts[2:]
        match call.method, rest:
            case "POST", ():
                return self._written(call, self._create)
            case "PATCH", ():
                return self._written(call, self._update)
            case "PATCH", (name, key):
                sobject = self.org.schema.resource(name)
                field = self.records.key_field(sobject, key)
                return self._written(call, lambda each, one: self._upsert(sobject, field.name, each, one))
            case "DELETE", ():
                return self._deleted(call)
            case ("GET", (name,)):
                return self._read(call, self.org.schema.resource(name), _comma_list(call.query, "ids"), call.query)
            case ("POST", (name,)):
                body = call.record()
                fields = {"fields": ",".join(map(str, body.get("fields") or ()))}
                ids = [str(each) for each in body.get("ids") or ()]
                return self._read(call, self.org.schema.resource(name), ids, fields)
        raise not_found() if len(rest) > 2 else method_not_allowed(call.method, ["POST", "PATCH", "DELETE"])

    def _create(self, given: Json, call: Call) -> Json:
        new_id = self.records.create(self._type(given), given, call.writer)
        return {"id": new_id, "success": True, "errors": []}

    def _update(self, given: Json, call: Call) -> Json:
        sobject = self._type(given)
        rest = {name: value for name, value in given.items() if name.lower() != "id"}
        text = next((value for name, value in given.items() if name.lower() == "id"), None)
        if not isinstance(text, str):
            raise Refused("MISSING_ARGUMENT", "Id not specified in an update call", [])
        row_id = normal_id(text)
        if row_id is None or row_id[:3] != sobject.prefix:
            raise Refused("MALFORMED_ID", f"{sobject.label} ID: id value of incorrect type: {text}", ["Id"])
        self.records.update(sobject, row_id, rest, call.writer)
        return {"id": row_id, "success": True, "errors": []}

    def _upsert(self, sobject: SObject, key: str, given: Json, call: Call) -> Json:
        if self._type(given) is not sobject:
            raise Refused("INVALID_TYPE", "The record type does not match the type in the URL")
        value = next((each for name, each in given.items() if name.lower() == key.lower()), None)
        if value is None or value == "":
            raise Refused("MISSING_ARGUMENT", f"{key} not specified", [key])
        rest = {name: each for name, each in given.items() if name.lower() != key.lower()}
        row_id, created = self.records.upsert(sobject, key, value, rest, call.writer)
        return {"id": row_id, "success": True, "errors": [], "created": created}

    def _written(self, call: Call, write: Callable[[Json, Call], Json]) -> Reply:
        body = call.record()
        records = listed(body, "records", MOST)
        all_or_none = bool(body.get("allOrNone"))
        met: set[str] = set()

        def write_once(each: Json) -> Json:
            """A record that is in the call twice is refused the second time ([K]: code and words of the SOAP API)."""
            result = write(each, call)
            if result["id"] in met:
                raise Refused("DUPLICATE_VALUE", f"Duplicate id specified: {result['id']}", [])
            met.add(result["id"])
            return result

        return Reply(200, self._together(records, write_once, all_or_none=all_or_none))

    def _deleted(self, call: Call) -> Reply:
        ids = _comma_list(call.query, "ids")
        if not ids or len(ids) > MOST:
            raise Refused("INVALID_INPUT", f"The maximum number of ids allowed in one call is {MOST}")

        def delete(text: str) -> Json:
            row_id = normal_id(text)
            found = self.org.find(row_id) if row_id else None
            if row_id is None or found is None:
                raise Refused("MALFORMED_ID" if row_id is None else "INVALID_CROSS_REFERENCE_KEY",
                              f"bad id {text}" if row_id is None else "invalid cross reference id", [])  # fmt: skip
            self.records.delete(found[0], row_id, call.writer)
            return {"id": row_id, "success": True, "errors": []}

        return Reply(200, self._together(ids, delete, all_or_none=call.query.get("allOrNone", "").lower() == "true"))

    def _together(self, items: Sequence[T], write: Callable[[T], Json], *, all_or_none: bool) -> list[Json]:
        """One result each. With allOrNone one failure undoes them all."""
        mark = self.org.mark()
        results: list[Json] = []
        failing, self.every_second_fails = self.every_second_fails, False
        for number, each in enumerate(items):
            before = self.org.mark()
            try:
                results.append(_failed(_BUSY) if failing and number % 2 else write(each))
            except Refused as refused:
                self.org.rollback(before)
                results.append(_failed(refused))
        if all_or_none and not all(each["success"] for each in results):
            self.org.rollback(mark)
            results = [_failed(ROLLED_BACK) if each["success"] else each for each in results]
        return results

    def _read(self, call: Call, sobject: SObject, ids: list[str], query: Any) -> Reply:
        """Records by id, null for those that are not there."""
        if len(ids) > _MOST_READ:
            raise Refused("INVALID_INPUT", f"The maximum number of ids allowed in one call is {_MOST_READ}")
        asked = Call(call.method, call.version, call.parts, query, call.headers, call.writer)
        table = self.org.table(sobject.name)
        rows = [table.get(normal_id(each) or "") for each in ids]
        live = [row if row is not None and not row["IsDeleted"] else None for row in rows]
        return Reply(200, [None if row is None else self.resources.record(asked, sobject, row) for row in live])

    def _type(self, given: Any) -> SObject:
        name = given.get("attributes", {}).get("type") if isinstance(given, dict) else None
        if not isinstance(name, str):
            raise unreadable("The record has no attributes.type")
        sobject = self.org.schema.find(name)
        if sobject is None:
            raise Refused("INVALID_TYPE", f"sObject type '{name}' is not supported.")
        return sobject


def _failed(refused: Refused) -> Json:
    return {"success": False, "errors": [refused.member()]}


def _comma_list(query: Any, name: str) -> list[str]:
    return [each.strip() for each in query.get(name, "").split(",") if each.strip()]
