"""Bulk API 2.0: ingest and query jobs, driven by the client's own polling (vendors.md 1.5).

A job goes on by one state each time it is looked at, so that a client sees InProgress once and no thread is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from accord.sandbox.salesforce.call import Call, Reply
from accord.sandbox.salesforce.csvtext import Dialect, cell, read_rows, table
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.org import Org, Writer
from accord.sandbox.salesforce.queries import Queries
from accord.sandbox.salesforce.records import Records
from accord.sandbox.salesforce.refusals import Refused, malformed, method_not_allowed, not_found
from accord.sandbox.salesforce.schema import SObject
from accord.sandbox.salesforce.soql.filter import resolve
from accord.sandbox.salesforce.soql.select import Prepared
from accord.sandbox.salesforce.soql.tree import FieldItem

Json = dict[str, Any]
_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
_LARGEST_UPLOAD = 100_000_000  # bytes before base64 (vendors.md 1.5)
_RESULT_PAGE = 50_000


@dataclass(slots=True)
class Job:
    """One job, ingest or query. `rows` are an ingest's records, or the lines of a query's result."""

    id: str
    kind: str
    created: str
    writer: Writer
    version: float
    dialect: Dialect
    operation: str
    object: str
    key: str | None = None
    state: str = "Open"
    query: str = ""
    error: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    good: list[list[str]] = field(default_factory=list)
    bad: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)


class Jobs:
    """All jobs of the org. `held` keeps them InProgress until it is taken away."""

    def __init__(self, org: Org, records: Records, queries: Queries) -> None:
        self.org = org
        self.records = records
        self.queries = queries
        self.held = False
        self._jobs: dict[str, Job] = {}

    def answer(self, call: Call) -> Reply:
        kind, rest = (call.parts[1] if len(call.parts) > 1 else ""), call.parts[2:]
        if kind not in ("ingest", "query"):
            raise not_found()
        if not rest:
            return self._all(call, kind)
        job = self._jobs.get(normal_id(rest[0]) or "")
        if job is None or job.kind != kind:
            raise not_found()
        if len(rest) == 1:
            return self._one(call, job)
        return self._content(call, job, rest[1])

    def _all(self, call: Call, kind: str) -> Reply:
        if call.method == "GET":
            jobs = [self._shown(job) for job in self._jobs.values() if job.kind == kind]
            return Reply(200, {"done": True, "nextRecordsUrl": None, "records": jobs})
        if call.method != "POST":
            raise method_not_allowed(call.method, ["GET", "POST"])
        job = self._new(call, kind, call.record())
        self._jobs[job.id] = job
        return Reply(200, self._shown(job))

    def _new(self, call: Call, kind: str, body: Json) -> Job:
        def make(operation: str, name: str, **more: Any) -> Job:
            made = self.org.moment()
            return Job(self.org.ids.new("750"), kind, made, call.writer, call.version, Dialect.of(body), operation,
                       name, **more)  # fmt: skip

        operation = str(body.get("operation"))
        if kind == "query":
            if operation not in ("query", "queryAll"):
                raise Refused("INVALIDJOB", f"Invalid operation: {operation}")
            text = str(body.get("query") or "")
            ready, _ = self._run(text, call.prefix, operation)
            return make(operation, ready.sobject.name, query=text, state="UploadComplete")
        sobject = self.org.schema.find(str(body.get("object")))
        if sobject is None:
            raise Refused("INVALIDENTITY", f"Unable to find object: {body.get('object')}")
        if operation not in _OPERATIONS:
            raise Refused("INVALIDJOB", f"Invalid operation: {operation}")
        key = body.get("externalIdFieldName")
        if operation == "upsert":
            found = sobject.find(str(key))
            if found is None or not (found.external_id or found.name == "Id"):
                raise Refused("INVALIDJOB", "InvalidJob : externalIdFieldName is not valid")
            key = found.name
        return make(operation, sobject.name, key=key)

    def _one(self, call: Call, job: Job) -> Reply:
        match call.method:
            case "GET":
                self._go_on(job)
                return Reply(200, self._shown(job))
            case "PATCH":
                self._set_state(job, str(call.record().get("state")))
                return Reply(200, self._shown(job))
            case "DELETE":
                if job.state not in ("JobComplete", "Failed", "Aborted", "UploadComplete"):
                    raise Refused("API_ERROR", f"Deleting jobs in state {job.state} is not allowed")
                del self._jobs[job.id]
                return Reply(204)
        raise method_not_allowed(call.method, ["GET", "PATCH", "DELETE"])

    def _set_state(self, job: Job, state: str) -> None:
        if state == "Aborted" and job.state in ("Open", "UploadComplete", "InProgress"):
            job.unprocessed, job.state = job.rows if job.kind == "ingest" else [], state
        elif state == "UploadComplete" and job.kind == "ingest" and job.state == "Open":
            job.state = state
        else:
            raise Refused("INVALIDJOBSTATE", f"Cannot change a job from {job.state} to {state}")

    def _content(self, call: Call, job: Job, name: str) -> Reply:
        if name == "batches" and job.kind == "ingest":
            return self._upload(call, job)
        if call.method != "GET":
            raise method_not_allowed(call.method, ["GET"])
        if name == "results" and job.kind == "query":
            return self._results(call, job)
        ends = {"successfulResults": (["sf__Id", "sf__Created"], job.good),
                "failedResults": (["sf__Id", "sf__Error"], job.bad),
                "unprocessedrecords": ([], job.unprocessed), "unprocessedRecords": ([], job.unprocessed)}  # fmt: skip
        if name not in ends or job.kind != "ingest":
            raise not_found()
        first, rows = ends[name]
        return Reply(200, table([*first, *job.header], rows, job.dialect), {"content-type": "text/csv"})

    def _upload(self, call: Call, job: Job) -> Reply:
        if call.method != "PUT":
            raise method_not_allowed(call.method, ["PUT"])
        if job.state != "Open" or job.header:
            raise Refused("INVALIDJOBSTATE", f"Found multiple contents for job: <{job.id}>, please 'Close' / 'Abort' / "
                          "'Delete' the current Job then create a new Job and make sure you only do 'PUT' once on a "
                          "given Job.")  # fmt: skip
        if not isinstance(call.body, bytes) or len(call.body) > _LARGEST_UPLOAD:
            raise Refused("CLIENT_INPUT_ERROR", "The content is missing or larger than 100 MB", status=413)
        job.header, job.rows = read_rows(call.text(), job.dialect)
        return Reply(201)

    def _go_on(self, job: Job) -> None:
        if job.state == "UploadComplete":
            job.state = "InProgress"
        elif job.state == "InProgress" and not self.held:
            (self._ingest if job.kind == "ingest" else self._query)(job)

    def _ingest(self, job: Job) -> None:
        sobject = self.org.schema.objects[job.object]
        unknown = [name for name in job.header if sobject.find(name) is None and not _is_link(sobject, name)]
        if unknown:
            job.state, job.unprocessed = "Failed", job.rows
            job.error = f"InvalidBatch : Field name not found : {unknown[0]}"
            return
        for row in job.rows:
            mark = self.org.mark()
            try:
                row_id, created = self._write(sobject, job, row)
                job.good.append([row_id, str(created).lower(), *row])
            except Refused as refused:
                self.org.rollback(mark)
                fields = ",".join(refused.fields or ()) or "--"
                job.bad.append(["", f"{refused.code}:{refused.message}:{fields}", *row])
        job.state = "JobComplete"

    def _write(self, sobject: SObject, job: Job, row: Sequence[str]) -> tuple[str, bool]:
        if len(row) != len(job.header):
            raise Refused("INVALID_FIELD", "The number of columns in the row does not match the header", [])
        given = _given(job.header, row)
        if job.operation == "insert":
            return self.records.create(sobject, given, job.writer), True
        if job.operation == "upsert":
            key = str(job.key)
            value = given.pop(key, None)
            if value is None:
                raise Refused("MISSING_ARGUMENT", f"{key} not specified", [])
            return self.records.upsert(sobject, key, value, given, job.writer)
        row_id = normal_id(str(given.pop("Id", given.pop("id", ""))))
        if row_id is None:
            raise Refused("MISSING_ARGUMENT", "Id not specified", [])
        if job.operation == "update":
            self.records.update(sobject, row_id, given, job.writer)
        else:
            self.records.delete(sobject, row_id, job.writer)
        return row_id, False

    def _run(self, text: str, prefix: str, operation: str) -> tuple[Prepared, list[Any]]:
        ready, rows = self.queries.run(text, prefix, deleted=operation == "queryAll")
        if ready.groups or ready.children or ready.query.offset:
            raise Refused("API_ERROR", "Aggregate queries, OFFSET and child lists are not supported in bulk queries")
        return ready, rows

    def _query(self, job: Job) -> None:
        try:
            ready, rows = self._run(job.query, f"/services/data/v{job.version:.1f}", job.operation)
        except Refused as refused:
            job.state, job.error = "Failed", refused.message
            return
        paths = [item.path for item in ready.query.select if isinstance(item, FieldItem)]
        if len(paths) != len(ready.query.select):
            raise malformed("FIELDS() is not supported in bulk queries")
        columns: list[tuple[Callable[[Any], Any], Any]] = [resolve(self.org, ready.sobject, path) for path in paths]
        job.header = [".".join(path) for path in paths]
        job.rows = [[cell(get(row), column) for get, column in columns] for row in rows]
        job.state = "JobComplete"

    def _results(self, call: Call, job: Job) -> Reply:
        if job.state != "JobComplete":
            raise Refused("INVALIDJOBSTATE", f"The results of a job in state {job.state} cannot be read")
        start = int(call.query["locator"]) if call.query.get("locator", "").isdigit() else 0
        most = int(call.query["maxRecords"]) if call.query.get("maxRecords", "").isdigit() else _RESULT_PAGE
        rows = job.rows[start : start + max(1, most)]
        end = start + len(rows)
        headers = {
            "content-type": "text/csv",
            "sforce-locator": str(end) if end < len(job.rows) else "null",
            "sforce-numberofrecords": str(len(rows)),
        }
        return Reply(200, table(job.header, rows, job.dialect), headers)

    def _shown(self, job: Job) -> Json:
        shown: Json = {
            "id": job.id,
            "operation": job.operation,
            "object": job.object,
            "createdById": job.writer.user_id,
            "createdDate": job.created,
            "systemModstamp": job.created,
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": job.version,
            "jobType": "V2Query" if job.kind == "query" else "V2Ingest",
            "lineEnding": job.dialect.line_ending,
            "columnDelimiter": job.dialect.delimiter_name,
        }
        if job.kind == "ingest":
            content = f"services/data/v{job.version:.1f}/jobs/ingest/{job.id}/batches"
            shown |= {"contentUrl": content, "externalIdFieldName": job.key}
            if job.state in ("JobComplete", "Failed"):
                shown["numberRecordsFailed"] = len(job.bad)
        if job.state in ("JobComplete", "Failed"):
            shown["numberRecordsProcessed"] = len(job.good) + len(job.bad) or len(job.rows)
            shown |= {"retries": 0, "totalProcessingTime": 100}
        if job.error:
            shown["errorMessage"] = job.error
        return shown


def _is_link(sobject: SObject, name: str) -> bool:
    """`Account.Legacy_Id__c`: a parent named by its external id."""
    relationship, _, key = name.partition(".")
    return bool(key) and relationship.lower() in sobject.parents


def _given(header: Sequence[str], row: Sequence[str]) -> Json:
    """The record of a line: an empty cell leaves the field alone, `#N/A` empties it."""
    given: Json = {}
    for name, text in zip(header, row, strict=True):
        if text == "":
            continue
        value = None if text == "#N/A" else text
        relationship, _, key = name.partition(".")
        given[relationship if key else name] = {key: value} if key else value
    return given
