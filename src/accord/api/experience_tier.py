"""`/api/experience/v1`: what the pages of PMO leads and account managers need, in their shape."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from accord.api import experience_models as models
from accord.api.calling import Reader, TheState, link_next, tagged
from accord.api.process_tier import NOT_MODIFIED, REFUSALS, Cursor, Id
from accord.insight import finding, pmo, pmo_missing, pmo_utilization
from accord.insight.finding import NoSuchEngagement
from accord.insight.pmo_caps import caps
from accord.insight.pmo_engagements import summaries
from accord.insight.pmo_hours import Weeks
from accord.insight.pmo_missing import missing_time
from accord.insight.pmo_utilization import utilization
from accord.rules.measures.catalogue import DEFINITIONS

PREFIX = "/api/experience/v1"

WeekCount = Annotated[int, Query(ge=1, le=53, description="So many weeks that are over.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most rows of a page.")]
Name = Annotated[str | None, Query(max_length=200)]

tier = APIRouter(prefix=PREFIX, responses=REFUSALS)


@tier.get("/engagements", response_model=models.EngagementSummaries, tags=["experience"])
async def list_engagements(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    owner: Annotated[str | None, Query(max_length=200, description="Account manager, as the CRM names one.")] = None,
    currency: Annotated[str | None, Query(pattern=r"^[A-Z]{3}$")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=50, description="Most rows of a page.")] = 25,
) -> models.EngagementSummaries:
    """Active engagements: contract value, consumed and remaining, caps, invoices with payment status, disputes."""
    async with state.pool.connection() as db:
        page = await summaries(
            db,
            state.now().date(),
            entities=principal.scope,
            with_costs=principal.may("costs"),
            owner=owner,
            currency=currency,
            cursor=cursor,
            limit=limit,
        )
    link_next(request, response, page.next)
    return models.EngagementSummaries(
        engagements=[models.engagement(each) for each in page.engagements], next=page.next
    )


@tier.get(
    "/engagements/{engagement}", response_model=models.EngagementSummary, tags=["experience"], responses=NOT_MODIFIED
)
async def one_engagement(
    request: Request, response: Response, engagement: Id, state: TheState, principal: Reader
) -> Response:
    """One active engagement by id, deal number, project number, invoice number or name."""
    async with state.pool.connection() as db:
        found = await finding.find_engagement(db, engagement, principal.scope)
        page = await summaries(
            db, state.now().date(), entities=principal.scope, with_costs=principal.may("costs"), id=found.id
        )
    if not page.engagements:
        raise NoSuchEngagement(f"{engagement!r} is not active yet; the process tier tells what it waits for")
    return tagged(request, response, models.engagement(page.engagements[0]))


@tier.get("/utilization", response_model=models.Utilization, tags=["experience"])
async def used(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    weeks: WeekCount = pmo.WEEKS,
    practice: Name = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> models.Utilization:
    """Utilization of everyone, by practice and by person, with what is submitted as a band."""
    span = Weeks.until(state.now().date(), weeks)
    async with state.pool.connection() as db:
        found = await utilization(db, span.first_day, span.last_day, entities=principal.scope, practice=practice)
    page = pmo_utilization.page_of(found, cursor, limit)
    link_next(request, response, page.next)
    return models.utilization(found, page)


@tier.get("/missing-time", response_model=models.MissingTime, tags=["experience"])
async def missing(
    request: Request,
    response: Response,
    state: TheState,
    principal: Reader,
    weeks: WeekCount = pmo.WEEKS,
    manager: Annotated[str | None, Query(max_length=200, description="Only people of this manager.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> models.MissingTime:
    """Who has not submitted time or has none approved, by manager and person, with the value at stake."""
    span = Weeks.until(state.now().date(), weeks)
    async with state.pool.connection() as db:
        found = await missing_time(db, span, entities=principal.scope, manager=manager)
    page = pmo_missing.page_of(found, cursor, limit)
    link_next(request, response, page.next)
    return models.missing_time(found, page)


@tier.get("/caps", response_model=models.Caps, tags=["experience"], responses=NOT_MODIFIED)
async def burn(request: Request, response: Response, state: TheState, principal: Reader) -> Response:
    """Burn against every cap of the terms in force, the fewest days left first."""
    today = state.now().date()
    async with state.pool.connection() as db:
        found = await caps(db, today, entities=principal.scope)
    return tagged(request, response, models.Caps(as_of=today, caps=[models.cap(each) for each in found]))


@tier.get("/measures", response_model=models.Measures, tags=["experience"], responses=NOT_MODIFIED)
async def measures(request: Request, response: Response, state: TheState, principal: Reader) -> Response:
    """Every definition of a measure, with what those of the PMO read now, of the legal entities of the key."""
    now = state.now()
    async with state.pool.connection() as db:
        read = await pmo.measures(db, now, principal.scope)
    told = [
        models.measure(each, [found for found in read if found.reading.definition.id == id])
        for id, each in DEFINITIONS.items()
    ]
    return tagged(request, response, models.Measures(as_of=now.date(), measures=told))
