"""`sobjects`: describe, create, read, update, delete, upsert by external id (vendors.md 1.3)."""

from __future__ import annotations

from typing import Any

from accord.sandbox.salesforce.call import Call, Reply
from accord.sandbox.salesforce.describe import described, described_globally
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.org import Org
from accord.sandbox.salesforce.records import Records
from accord.sandbox.salesforce.refusals import Refused, method_not_allowed, no_such_column, not_found
from accord.sandbox.salesforce.schema import Row, SObject

_UPSERT_TELLS_SINCE = 46.0  # an update by upsert answers 200 with a body since this version, 204 before


class Resources:
    """The handlers behind `/sobjects`."""

    def __init__(self, org: Org, records: Records) -> None:
        self.org = org
        self.records = records

    def answer(self, call: Call) -> Reply:
        parts = call.parts[1:]
        if not parts:
            return self._get(call, lambda: described_globally(self.org.schema, call.prefix))
        sobject = self.org.schema.resource(parts[0])
        match parts[1:]:
            case ():
                return self._collection(call, sobject)
            case ("describe",):
                return self._get(call, lambda: described(self.org.schema, sobject, call.prefix))
            case ("updated" | "deleted",):
                return self._get(call, lambda: self._since(call, sobject, parts[1]))
            case (row_id,):
                return self._by_id(call, sobject, row_id)
            case (key, *rest):
                return self._by_key(call, sobject, key, "/".join(rest))
        raise not_found()

    def record(self, call: Call, sobject: SObject, row: Row) -> dict[str, Any]:
        """A record with every field, or those of `?fields=`."""
        names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
        fields = [self._known(sobject, name) for name in names] or list(sobject.fields)
        url = f"{call.prefix}/sobjects/{sobject.name}/{row['Id']}"
        attributes = {"type": sobject.name, "url": url}
        ends = ["Id"] if "Id" not in fields else []
        return {"attributes": attributes, **{name: row.get(name) for name in [*fields, *ends]}}

    def _known(self, sobject: SObject, name: str) -> str:
        field = sobject.find(name)
        if field is None:
            raise no_such_column(name, sobject.name)
        return field.name

    @staticmethod
    def _get(call: Call, body: Any) -> Reply:
        if call.method not in ("GET", "HEAD"):
            raise method_not_allowed(call.method, ["GET"])
        return Reply(200, body())

    def _collection(self, call: Call, sobject: SObject) -> Reply:
        if call.method == "POST":
            new_id = self.records.create(sobject, call.record(), call.writer)
            location = {"location": f"{call.prefix}/sobjects/{sobject.name}/{new_id}"}
            return Reply(201, {"id": new_id, "success": True, "errors": []}, location)
        if call.method not in ("GET", "HEAD"):
            raise method_not_allowed(call.method, ["GET", "POST"])
        brief = described(self.org.schema, sobject, call.prefix)
        del brief["fields"], brief["childRelationships"], brief["recordTypeInfos"]
        return Reply(200, {"objectDescribe": brief, "recentItems": []})

    def _by_id(self, call: Call, sobject: SObject, text: str) -> Reply:
        row_id = normal_id(text)
        if row_id is None or row_id[:3] != sobject.prefix:
            words = f"Provided external ID field does not exist or is not accessible: {text}"
            raise Refused("NOT_FOUND", words, status=404)
        match call.method:
            case "GET" | "HEAD":
                return Reply(200, self.record(call, sobject, self.org.existing(sobject, row_id)))
            case "PATCH":
                self.records.update(sobject, row_id, call.record(), call.writer)
                return Reply(204)
            case "DELETE":
                self.records.delete(sobject, row_id, call.writer)
                return Reply(204)
        raise method_not_allowed(call.method, ["GET", "PATCH", "DELETE"])

    def _by_key(self, call: Call, sobject: SObject, key: str, value: str) -> Reply:
        if call.method == "PATCH":
            return self._upsert(call, sobject, key, value)
        if call.method == "POST" and key == "Id" and not value:
            return self._collection(call, sobject)
        if call.method not in ("GET", "HEAD", "DELETE"):
            raise method_not_allowed(call.method, ["GET", "PATCH", "DELETE"])
        try:
            row = self.records.by_key(sobject, self.records.key_field(sobject, key), value)
        except Refused as refused:
            return self._several(call, sobject, refused)
        if row is None:
            raise not_found()
        if call.method == "DELETE":
            self.records.delete(sobject, row["Id"], call.writer)
            return Reply(204)
        return Reply(200, self.record(call, sobject, row))

    def _upsert(self, call: Call, sobject: SObject, key: str, value: str) -> Reply:
        try:
            row_id, created = self.records.upsert(sobject, key, value, call.record(), call.writer)
        except Refused as refused:
            return self._several(call, sobject, refused)
        if not created and call.version < _UPSERT_TELLS_SINCE:
            return Reply(204)
        return Reply(201 if created else 200, {"id": row_id, "success": True, "errors": [], "created": created})

    def _several(self, call: Call, sobject: SObject, refused: Refused) -> Reply:
        """300: the key is held by several records; the body lists where they are."""
        if refused.status != 300:
            raise refused
        urls = [f"{call.prefix}/sobjects/{sobject.name}/{row_id}" for row_id in refused.more["rows"]]
        return Reply(300, urls)

    def _since(self, call: Call, sobject: SObject, which: str) -> dict[str, Any]:
        """`updated` and `deleted` between `start` and `end`, ids only."""
        start, end = call.query.get("start", ""), call.query.get("end", "9999")
        start, end = (each.replace("Z", "").replace(" ", "+")[:19] for each in (start, end))
        rows = [row for row in self.org.table(sobject.name).since(start) if row["SystemModstamp"][:19] <= end]
        covered = {"latestDateCovered": self.org.moment()}
        if which == "updated":
            return {"ids": [row["Id"] for row in rows if not row["IsDeleted"]], **covered}
        gone = [{"id": row["Id"], "deletedDate": row["SystemModstamp"]} for row in rows if row["IsDeleted"]]
        return {"deletedRecords": gone, "earliestDateAvailable": start, **covered}
