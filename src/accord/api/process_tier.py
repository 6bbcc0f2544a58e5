"""`/api/process/v1`: processes, engagements with their timelines, cases with the verbs that settle them."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from accord.api import answers, models
from accord.api.calling import Operator, Reader, TheState, link_next, tagged
from accord.db.pool import transaction
from accord.engine import eventlog, router
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.governance.keys import Principal
from accord.insight import engagements, finding, processes, timeline
from accord.model.events import Fact
from accord.processes import PROCESSES
from accord.workbench import cases

PREFIX = "/api/process/v1"

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most rows of a page.")]
CaseId = Annotated[int, Path(ge=1, lt=2**63)]
Id = Annotated[str, Path(min_length=1, max_length=100)]

HOLD_KEY = """
INSERT INTO api_request (key_id, idempotency_key, digest, status, answer)
VALUES (%(key_id)s, %(idempotency_key)s, %(digest)s, 0, '{}') ON CONFLICT DO NOTHING RETURNING 1
"""
ANSWERED = (
    "SELECT digest, status, answer FROM api_request WHERE key_id = %(key_id)s AND idempotency_key = %(idempotency_key)s"
)
KEEP_ANSWER = """
UPDATE api_request SET status = %(status)s, answer = %(answer)s::json
WHERE key_id = %(key_id)s AND idempotency_key = %(idempotency_key)s
"""
SUBJECT = """
SELECT r.correlation, %(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s)
FROM record r LEFT JOIN record d ON d.kind = 'deal' AND d.id = r.correlation
WHERE r.id = %(subject)s AND r.kind = ANY(%(kinds)s) ORDER BY r.correlation NULLS LAST LIMIT 1
"""
KINDS = [
    "deal",
    "customer",
    "milestone_approval",
    "scheduled_milestone",
    "invoice",
    "payment",
    "payment_failure",
    "dispute",
]
STANDING = (
    "SELECT id FROM process WHERE (one_per, name) IN (SELECT * FROM unnest(%(one_per)s::text[], %(names)s::text[]))"
)

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "description": text}
    for status, text in (
        (400, "The request cannot be understood."),
        (401, "No valid key."),
        (403, "The key may not do this."),
        (404, "Nothing has that id."),
        (409, "The state of the thing does not allow this."),
        (413, "The body is too large."),
        (422, "Fields are wrong; `errors` names them."),
        (429, "The allowance is used up."),
        (500, "A defect of the server."),
        (503, "Something needed is not reachable now."),
    )
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The caller has it already."}}

tier = APIRouter(prefix=PREFIX, responses=REFUSALS)


@tier.post("/processes", status_code=201, response_model=models.Started, tags=["processes"],
           responses={200: {"model": models.Started, "description": "It stands already."}})  # fmt: skip
async def start_process(
    request: models.StartProcess,
    state: TheState,
    principal: Operator,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Start the processes of a fact. With an `Idempotency-Key`, asking again does nothing and gives the same answer."""
    digest = hashlib.sha256(orjson.dumps(request.model_dump(), option=orjson.OPT_SORT_KEYS)).digest()
    about = {"key_id": principal.id, "idempotency_key": idempotency_key, "digest": digest}
    async with transaction(state.pool) as db:
        if idempotency_key is not None and await (await db.execute(HOLD_KEY, about)).fetchone() is None:
            return await _answered(db, about)
        started = await _start(db, request, principal, state.now().isoformat())
        status = 201 if started.new else 200
        if idempotency_key is not None:
            kept = {**about, "status": status, "answer": started.model_dump_json()}
            await db.execute(KEEP_ANSWER, kept)
    return JSONResponse(started.model_dump(), status_code=status)


async def _answered(db: Connection, about: dict[str, Any]) -> Response:
    row = await (await db.execute(ANSWERED, about)).fetchone()
    if row is None or bytes(row[0]) != about["digest"]:
        raise Conflict("this Idempotency-Key was used for another request; use a new key for a new request")
    return JSONResponse(row[2], status_code=row[1], headers={"Idempotency-Replayed": "true"})


async def _start(db: Connection, request: models.StartProcess, principal: Principal, at: str) -> models.Started:
    if not any(request.type in process.starts_on for process in PROCESSES.values()):
        known = sorted({type for process in PROCESSES.values() for type in process.starts_on})
        raise UsageError(f"no process starts on {request.type!r}; these start one: {', '.join(known)}")
    subject = {"subject": request.subject, "entities": principal.scope, "kinds": KINDS}
    row = await (await db.execute(SUBJECT, subject)).fetchone()
    if row is None or not row[1]:
        raise NotFound(f"nothing is known by the id {request.subject!r}; it must have been read from a system first")
    fact = Fact(request.type, request.subject, at, principal.actor, request.payload, correlation=row[0])
    rows = router.starts(PROCESSES, [fact], [row[0]])
    about = {"one_per": [each["one_per"] for each in rows], "names": [each["name"] for each in rows]}
    standing = [found[0] for found in await (await db.execute(STANDING, about)).fetchall()]
    if len(standing) == len(rows):
        return models.Started(processes=standing, new=False)
    await eventlog.append(db, [fact_row(fact, row[0], f"api {principal.id}")])
    started = await router.start(db, rows)
    detail = {"type": request.type, "subject": request.subject, "processes": started}
    await audit.write(db, principal.actor, "process.started", request.subject, detail)
    await db.execute("SELECT pg_notify('accord_facts', ''), pg_notify('accord_ready', '')")
    return models.Started(processes=[*standing, *started], new=True)


@tier.get("/processes", response_model=models.Processes, tags=["processes"])
async def list_processes(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    name: Annotated[str | None, Query(max_length=100)] = None,
    process_state: Annotated[str | None, Query(alias="state", description="Such as parked or waiting.")] = None,
    engagement: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Processes:
    """Processes, the last started first."""
    async with state.pool.connection() as db:
        page = await processes.list_processes(
            db,
            name=name,
            state=process_state,
            engagement=engagement,
            entities=principal.scope,
            cursor=cursor,
            limit=limit,
        )
    link_next(request, response, page.next)
    return models.Processes.model_validate(page)


@tier.get("/processes/{process}", response_model=models.ProcessStory, tags=["processes"], responses=NOT_MODIFIED)
async def one_process(
    request: Request, response: Response, process: CaseId, state: TheState, principal: Reader
) -> Response:
    """One process with its writes."""
    async with state.pool.connection() as db:
        story = await processes.one_process(db, process, principal.scope)
    return tagged(request, response, answers.process(story))


@tier.get("/engagements", response_model=models.Engagements, tags=["engagements"])
async def list_engagements(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    q: Annotated[str | None, Query(max_length=200, description="Number, or words of name or customer.")] = None,
    status: Annotated[str | None, Query(description=", ".join(engagements.STATUSES))] = None,
    stuck: Annotated[bool, Query(description="Only those with open cases.")] = False,  # noqa: FBT002  (a query parameter)
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Engagements:
    """Won deals and what became of them, the last changed first."""
    async with state.pool.connection() as db:
        page = await engagements.list_engagements(
            db, text=q, status=status, stuck=stuck, entities=principal.scope, cursor=cursor, limit=limit
        )
    link_next(request, response, page.next)
    return models.Engagements.model_validate(page)


@tier.get("/engagements/{engagement}", response_model=models.Engagement, tags=["engagements"], responses=NOT_MODIFIED)
async def one_engagement(
    request: Request, response: Response, engagement: Id, state: TheState, principal: Reader
) -> Response:
    """One engagement by id, deal number, project number, invoice number or name."""
    async with state.pool.connection() as db:
        found = await finding.find_engagement(db, engagement, principal.scope)
        overview = await engagements.overview(db, found.id, principal.scope)
    return tagged(request, response, answers.engagement(overview))


@tier.get(
    "/engagements/{engagement}/timeline", response_model=models.Timeline, tags=["engagements"], responses=NOT_MODIFIED
)
async def one_timeline(
    request: Request,
    response: Response,
    engagement: Id,
    state: TheState,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Newest entries at most.")] = 2000,
) -> Response:
    """Every step of one engagement across all systems, in order."""
    async with state.pool.connection() as db:
        found = await finding.find_engagement(db, engagement, principal.scope)
        told = await timeline.timeline(db, found.id, limit=limit)
    return tagged(request, response, answers.timeline(found.id, told))


@tier.get("/cases", response_model=models.Cases, tags=["cases"])
async def list_cases(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    case_state: Annotated[str, Query(alias="state", description="open or resolved")] = "open",
    owner: Annotated[str | None, Query(max_length=100)] = None,
    reason: Annotated[str | None, Query(max_length=100)] = None,
    engagement: Annotated[str | None, Query(max_length=100)] = None,
    signature: Annotated[str | None, Query(max_length=500)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> models.Cases:
    """Cases: open ones by money times age."""
    filters = cases.Filter(case_state, owner, reason, engagement, signature, principal.scope)
    async with state.pool.connection() as db:
        page = await cases.list_cases(db, filters, cursor=cursor, limit=limit)
    link_next(request, response, page.next)
    return models.Cases.model_validate(page)


@tier.get("/cases/clusters", response_model=models.Clusters, tags=["cases"])
async def list_clusters(state: TheState, principal: Reader, limit: Limit = 100) -> models.Clusters:
    """Open cases gathered by cause."""
    async with state.pool.connection() as db:
        found = await cases.clusters(db, limit=limit, entities=principal.scope)
    return models.Clusters(clusters=[models.Cluster.model_validate(each) for each in found])


@tier.post("/cases/retry", response_model=models.Retried, tags=["cases"])
async def retry_cluster(request: models.Cause, state: TheState, principal: Operator) -> models.Retried:
    """Try again every open case of one cause."""
    async with transaction(state.pool) as db:
        count = await cases.retry_cluster(db, request.signature, by=principal.actor, entities=principal.scope)
    return models.Retried(retried=count)


@tier.get("/cases/{case}", response_model=models.CaseFile, tags=["cases"], responses=NOT_MODIFIED)
async def one_case(request: Request, response: Response, case: CaseId, state: TheState, principal: Reader) -> Response:
    """One case with all that helps to settle it."""
    async with state.pool.connection() as db:
        found = await cases.show(db, case, principal.scope)
    return tagged(request, response, answers.case_file(found))


async def _shown(db: Connection, case: int, principal: Principal) -> models.CaseFile:
    return answers.case_file(await cases.show(db, case, principal.scope))


@tier.post("/cases/{case}/retry", response_model=models.CaseFile, tags=["cases"])
async def retry(case: CaseId, state: TheState, principal: Operator) -> models.CaseFile:
    """Try again: what was read is read anew, and the story goes on where it stopped."""
    async with transaction(state.pool) as db:
        await cases.retry(db, case, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/skip", response_model=models.CaseFile, tags=["cases"])
async def skip(case: CaseId, request: models.Reason, state: TheState, principal: Operator) -> models.CaseFile:
    """Go on without it."""
    async with transaction(state.pool) as db:
        await cases.skip(db, case, request.reason, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/supply", response_model=models.CaseFile, tags=["cases"])
async def supply(case: CaseId, request: models.Supplied, state: TheState, principal: Operator) -> models.CaseFile:
    """Say that the write was done by hand."""
    async with transaction(state.pool) as db:
        details = request.details
        await cases.supply(db, case, request.vendor_id, details, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/answer", response_model=models.CaseFile, tags=["cases"])
async def answer(case: CaseId, request: models.Answer, state: TheState, principal: Operator) -> models.CaseFile:
    """Choose one of the options of a question."""
    async with transaction(state.pool) as db:
        await cases.answer(db, case, request.option, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/cancel", response_model=models.CaseFile, tags=["cases"])
async def cancel(case: CaseId, request: models.Reason, state: TheState, principal: Operator) -> models.CaseFile:
    """End the story and take back what it did."""
    async with transaction(state.pool) as db:
        await cases.cancel(db, case, request.reason, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/resolve", response_model=models.CaseFile, tags=["cases"])
async def resolve(case: CaseId, request: models.Note, state: TheState, principal: Operator) -> models.CaseFile:
    """Close a case that no story waits behind."""
    async with transaction(state.pool) as db:
        await cases.resolve(db, case, request.note, by=principal.actor, entities=principal.scope)
        return await _shown(db, case, principal)


@tier.post("/cases/{case}/correct", response_model=models.CaseFile, tags=["cases"])
async def correct(case: CaseId, request: models.CorrectField, state: TheState, principal: Operator) -> models.CaseFile:
    """Correct one field of the deal or customer behind a case, and try it again."""
    async with transaction(state.pool) as db:
        await cases.correct_field(
            db, case, request.field, request.value, by=principal.actor, now=state.now(), entities=principal.scope
        )
        return await _shown(db, case, principal)


@tier.post("/references", response_model=models.Retried, tags=["cases"])
async def declare(request: models.Declaration, state: TheState, principal: Operator) -> models.Retried:
    """Declare what a source's text means, and try again every case that this cures."""
    async with transaction(state.pool) as db:
        count = await cases.correct_reference(db, request.list, request.given, request.meaning, by=principal.actor)
    return models.Retried(retried=count)
