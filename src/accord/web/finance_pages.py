"""The finance controller's pages: the workbench, and the rows behind each of its numbers. Forms: finance_forms.py."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from accord.engine.shell import Connection
from accord.errors import NotFound
from accord.governance.state import State
from accord.insight import proposals, receivables, unbilled, unsent, work_to_cash
from accord.model.money import Money
from accord.reconcile import board, checking
from accord.rules.measures import ageing
from accord.web import finance_columns as columns
from accord.web import finance_pictures as pictures
from accord.web.exporting import as_csv
from accord.web.finance_view import (
    As,
    Cursor,
    Looking,
    Word,
    all_pages,
    entities_of,
    export_of,
    following,
    scope_of,
    shown,
    today,
)
from accord.web.finance_words import first_line, second_line
from accord.web.words import amount
from accord.workbench import cases


def add_finance_pages(app: FastAPI, state: State) -> None:
    """Add every page of finance to the app."""
    _workbench(app, state)
    _work(app, state)
    _money(app, state)
    _agreement(app, state)
    _latency(app, state)


def _workbench(app: FastAPI, state: State) -> None:
    @app.get("/finance", include_in_schema=False)
    async def workbench(request: Request, session: Looking, entity: Word = "") -> Response:
        scope, day = scope_of(session.principal, entity), today()
        async with state.pool.connection() as db:
            checked, open_sums = await checking.last(db), await checking.sums(db, scope)
            aged, over = await unbilled.by_age(db, day, scope)
            waiting = await proposals.waiting(db, scope)
            greatest = await proposals.list_proposals(db, status="draft", entities=scope, limit=6)
            held = await unbilled.held_by_reason(db, scope, limit=8)
            held_proposals = await proposals.list_proposals(db, status="held", entities=scope, limit=8)
            owed = await receivables.receivables(db, day, scope)
            matches = await board.board(db, datetime.now(UTC), scope)
            unconfirmed = await unsent.unsent(db, scope)
            stuck = await cases.list_cases(db, cases.Filter(owner="finance", entities=scope), limit=5)
            choices = await entities_of(db, session.principal)
        currencies = {*(each.currency for each in aged), *(each.currency for each in owed), *over}
        return shown(
            request,
            "finance.html",
            session,
            first=first_line(checked, open_sums, currencies, waiting, datetime.now(UTC)),
            second=second_line(aged, owed),
            checked=checked,
            unexplained=open_sums,
            aged=[(each, *_both(_aged_work(each, entity))) for each in aged],
            over=over,
            waiting=waiting,
            greatest=greatest.rows,
            held=held,
            held_proposals=held_proposals.rows,
            owed=[(each, *_both(_due(each, entity))) for each in owed],
            matches=matches,
            ages=board.AGES,
            unsent=unconfirmed,
            stuck=stuck.cases,
            entity=entity,
            choices=choices,
        )

    @app.get("/finance/unexplained", include_in_schema=False)
    async def unexplained(
        request: Request, session: Looking, currency: Word = "", entity: Word = "", cursor: Cursor = None, form: As = ""
    ) -> Response:
        scope = scope_of(session.principal, entity)

        async def ask(db: Connection, at: str | None, limit: int) -> checking.UnexplainedPage:
            return await checking.found(db, entities=scope, currency=currency or None, cursor=at, limit=limit)

        if form == "csv":
            return as_csv("unexplained", columns.UNEXPLAINED, all_pages(state, ask))
        async with state.pool.connection() as db:
            found, checked, sums = await ask(db, cursor, 50), await checking.last(db), await checking.sums(db, scope)
        return shown(
            request, "finance_unexplained.html", session, rows=found.rows, following=following(request, found.next),
            checked=checked, sums=sums, export=export_of(request),
        )  # fmt: skip


def _both(ages: list[pictures.Aged]) -> tuple[pictures.AgePicture, pictures.AgePicture]:
    return pictures.age_picture(ages), pictures.age_picture(ages, narrow=True)


def _aged_work(each: unbilled.AgedWork, entity: str) -> list[pictures.Aged]:
    return [
        (
            bucket.months.label,
            "/finance/unbilled?" + _query(currency=each.currency, age=bucket.months.label, entity=entity),
            amount_of(bucket.whole.amount, each.currency),
            [(place, bucket.by_place[place].amount) for place in unbilled.UNBILLED if place in bucket.by_place],
        )
        for bucket in each.buckets
    ]


def _due(each: receivables.Receivables, entity: str) -> list[pictures.Aged]:
    return [
        (
            bucket.label,
            "/finance/receivables?" + _query(currency=each.currency, age=bucket.label, entity=entity),
            amount_of(bucket.amount, each.currency),
            [("owed", bucket.amount - bucket.disputed), ("disputed", bucket.disputed)],
        )
        for bucket in each.buckets
    ]


def amount_of(value: Decimal, currency: str) -> str:
    """An amount as pages show it."""
    return amount(Money(value, currency))


def _query(**values: str) -> str:
    return urlencode({name: value for name, value in values.items() if value})


def _work(app: FastAPI, state: State) -> None:
    @app.get("/finance/unbilled", include_in_schema=False)
    async def by_engagement(
        request: Request,
        session: Looking,
        where: Word = "unbilled",
        age: Word = "",
        currency: Word = "",
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope, months = scope_of(session.principal, entity), unbilled.bucket(age, today())
        unbilled.places(where)

        async def ask(db: Connection, at: str | None, limit: int) -> unbilled.Engagements:
            return await unbilled.by_engagement(
                db, where=where, months=months, currency=currency or None, entities=scope, cursor=at, limit=limit
            )

        if form == "csv":
            return as_csv(where.replace("_", "-"), columns.ENGAGEMENT, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
            held = await unbilled.held_by_reason(db, scope) if where == "held" else []
            choices = await entities_of(db, session.principal)
        return shown(
            request, "finance_unbilled.html", session, rows=found.rows, following=following(request, found.next),
            where=where, age=age, currency=currency, entity=entity, choices=choices, held=held,
            ages=[each.label for each in ageing.month_ranges(today())], export=export_of(request),
        )  # fmt: skip

    @app.get("/finance/items", include_in_schema=False)
    async def items(
        request: Request,
        session: Looking,
        engagement: Word,
        entity: Word,
        currency: Word,
        where: Word = "unbilled",
        age: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope_of(session.principal, entity)
        months = unbilled.bucket(age, today())
        unbilled.places(where)

        async def ask(db: Connection, at: str | None, limit: int) -> unbilled.Items:
            return await unbilled.items(
                db, engagement, entity, currency, where=where, months=months, cursor=at, limit=limit
            )

        if form == "csv":
            return as_csv("items", columns.ITEM, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
        return shown(
            request, "finance_items.html", session, rows=found.rows, following=following(request, found.next),
            engagement=engagement, name=found.name or engagement, entity=entity, currency=currency, where=where,
            age=age, today=today(), export=export_of(request), done=request.query_params.get("done"),
        )  # fmt: skip

    @app.get("/finance/items/{item}", include_in_schema=False)
    async def item(request: Request, session: Looking, item: str) -> Response:
        async with state.pool.connection() as db:
            found = await proposals.explain_item(db, item, session.principal.scope)
        return shown(request, "finance_item.html", session, it=found)


def _money(app: FastAPI, state: State) -> None:
    @app.get("/finance/receivables", include_in_schema=False)
    async def owed(
        request: Request,
        session: Looking,
        age: Word = "",
        currency: Word = "",
        disputed: Word = "",
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope, day = scope_of(session.principal, entity), today()

        async def ask(db: Connection, at: str | None, limit: int) -> receivables.InvoicePage:
            return await receivables.open_invoices(
                db, day, currency=currency or None, age=age, only_disputed=bool(disputed), entities=scope, cursor=at,
                limit=limit,
            )  # fmt: skip

        if form == "csv":
            return as_csv("receivables", columns.INVOICE, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
            sums = await receivables.receivables(db, day, scope)
            choices = await entities_of(db, session.principal)
        return shown(
            request, "finance_receivables.html", session, rows=found.rows, following=following(request, found.next),
            sums=sums, ages=list(receivables.AGES), age=age, currency=currency, disputed=bool(disputed), entity=entity,
            choices=choices, today=day, export=export_of(request),
        )  # fmt: skip

    @app.get("/finance/unsent", include_in_schema=False)
    async def waits(
        request: Request,
        session: Looking,
        connection: Word = "",
        kind: Word = "",
        currency: Word = "",
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope = scope_of(session.principal, entity)

        async def ask(db: Connection, at: str | None, limit: int) -> unsent.UnsentPage:
            return await unsent.unsent_rows(
                db, connection=connection or None, kind=kind or None, currency=currency or None, entities=scope,
                cursor=at, limit=limit,
            )  # fmt: skip

        if form == "csv":
            return as_csv("unsent", columns.UNSENT, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
        return shown(
            request, "finance_unsent.html", session, rows=found.rows, following=following(request, found.next),
            connection=connection, kind=kind, currency=currency, export=export_of(request),
        )  # fmt: skip


def _agreement(app: FastAPI, state: State) -> None:
    @app.get("/finance/breaks", include_in_schema=False)
    async def breaks(
        request: Request,
        session: Looking,
        match: Word = "",
        currency: Word = "",
        open_only: Annotated[str, Query(alias="open", max_length=10)] = "",
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope = scope_of(session.principal, entity)

        async def ask(db: Connection, at: str | None, limit: int) -> board.BreakPage:
            return await board.breaks(
                db, match=match or None, currency=currency or None, only_open=bool(open_only), entities=scope,
                cursor=at, limit=limit,
            )  # fmt: skip

        if form == "csv":
            return as_csv("breaks", columns.BREAK, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 25)
            matches = await board.board(db, datetime.now(UTC), scope)
        return shown(
            request, "finance_breaks.html", session, rows=found.rows, following=following(request, found.next),
            matches=matches, ages=board.AGES, match=match, currency=currency, open_only=bool(open_only), entity=entity,
            export=export_of(request), done=request.query_params.get("done"), wrong=None,
        )  # fmt: skip


Days = Annotated[int, Query(ge=7, le=730)]


def _latency(app: FastAPI, state: State) -> None:
    @app.get("/finance/latency", include_in_schema=False)
    async def ways(request: Request, session: Looking, days: Days = 90, entity: Word = "") -> Response:
        scope = scope_of(session.principal, entity)
        async with state.pool.connection() as db:
            found = await work_to_cash.ways(db, today(), days=days, entities=scope)
            choices = await entities_of(db, session.principal)
        drawn = [(each, pictures.waterfall(each), pictures.waterfall(each, narrow=True)) for each in found]
        return shown(request, "finance_latency.html", session, ways=drawn, days=days, entity=entity, choices=choices)

    @app.get("/finance/latency/{step}", include_in_schema=False)
    async def slowest(
        request: Request,
        session: Looking,
        step: str,
        currency: Word = "",
        days: Days = 90,
        entity: Word = "",
        cursor: Cursor = None,
        form: As = "",
    ) -> Response:
        scope = scope_of(session.principal, entity)

        async def ask(db: Connection, at: str | None, limit: int) -> work_to_cash.StepPage:
            return await work_to_cash.slowest(
                db, today(), step, days=days, currency=currency or None, entities=scope, cursor=at, limit=limit
            )

        labels = {name: label for name, label, _ in work_to_cash.STEPS}
        if step not in labels:
            raise NotFound(f"there is no step {step!r} on the way from work to cash")
        if form == "csv":
            return as_csv(f"latency-{step}", columns.STEP, all_pages(state, ask))
        async with state.pool.connection() as db:
            found = await ask(db, cursor, 50)
        return shown(
            request, "finance_step.html", session, rows=found.rows, following=following(request, found.next),
            label=labels[step], days=days, currency=currency, export=export_of(request),
        )  # fmt: skip
