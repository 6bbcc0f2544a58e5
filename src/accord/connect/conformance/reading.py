"""What every reader must do: read all pages and stop, never in a circle, never backwards, never silently less."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

from accord.connect.answer import Answer
from accord.connect.conformance.bench import Bench, NotApplicable, ReadCase, each_of
from accord.connect.connector import Observed, Page, Watermark
from accord.connect.failures import CallFailed
from accord.connect.session import Session
from accord.connect.wire import write_query

_LONGEST_READ_SECONDS = 120.0
_CIRCLES = 20


async def reads_all_pages_and_stops(bench: Bench) -> None:
    """Every seeded object comes, each with a version, over more than one page, and then it ends."""
    for case in each_of(bench.reading, "it reads nothing"):
        seeded = set(case.seed(case.many))
        async with bench.session() as session:
            pages = await _read(bench, session, case, None)
        seen = {each.vendor_id for page in pages for each in page.observed}
        assert seeded <= seen, f"{case.kind}: {len(seeded - seen)} of {len(seeded)} objects were not read"
        assert len(pages) > 1, f"{case.kind}: {case.many} objects came in one page; seed more"
        assert all(each.version for page in pages for each in page.observed), f"{case.kind}: no version"


async def the_same_page_twice_is_an_error(bench: Bench) -> None:
    """A vendor that names the same next page again and again is not read for ever, nor taken to be at its end."""
    cases = [case for case in bench.reading if case.next_page]
    for case in each_of(cases, "it has no pages"):
        case.seed(case.many)
        async with bench.session(make=_stuck_at(case.next_page)) as session:
            try:
                await _read(bench, session, case, None)
            except CallFailed:
                continue
        raise AssertionError(f"{case.kind}: the same page came again and the reader did not notice")


async def a_watermark_never_goes_back(bench: Bench) -> None:
    """Watermarks grow from page to page and from poll to poll, and a change is read from the last one."""
    for case in each_of(bench.reading, "it reads nothing"):
        seeded = case.seed(case.many)
        async with bench.session() as session:
            first = await _read(bench, session, case, None)
            marks = _marks(first)
            assert marks, f"{case.kind}: no page has a watermark"
            case.change(seeded[0])
            second = await _read(bench, session, case, marks[-1])
            seen = {each.vendor_id for page in second for each in page.observed}
            assert seeded[0] in seen, f"{case.kind}: the change of {seeded[0]} was not read"
            marks += _marks(second)
            marks += _marks(await _read(bench, session, case, marks[-1]))
        for before, after in pairwise(marks):
            assert before.at <= after.at, f"{case.kind}: the watermark went back from {before.at} to {after.at}"


async def objects_are_read_by_id(bench: Bench) -> None:
    """Known ids are answered, one that does not exist is left out or a tombstone, and nothing is raised."""
    cases = [case for case in bench.reading if bench.resource(case.kind).get is not None]
    for case in each_of(cases, "it reads nothing by id"):
        get = bench.resource(case.kind).get
        assert get is not None
        seeded = list(case.seed(3))
        stranger = seeded[0][:-4] + "zzzz" if len(seeded[0]) > 4 else "999999999"
        async with bench.session() as session:
            found = await get(session, [*seeded, stranger])
        alive = {each.vendor_id for each in found if not each.deleted}
        assert alive == set(seeded), f"{case.kind}: asked for {seeded}, got {alive}"


async def a_renamed_field_is_not_silent(bench: Bench) -> None:
    """When the vendor renames a field, reading fails or reports problems; it never just lacks the value."""
    cases = [case for case in bench.reading if case.rename]
    for case in each_of(cases, "no field of it can be renamed"):
        case.seed(2)
        bench.inject("rename_field", **case.rename)
        async with bench.session() as session:
            try:
                pages = await _read(bench, session, case, None)
            except CallFailed:
                continue
        problems = [problem for page in pages for each in page.observed for problem in each.problems]
        assert problems, f"{case.kind}: {case.rename} went unnoticed"


async def _read(bench: Bench, session: Session, case: ReadCase, since: Watermark | None) -> list[Page]:
    changed = bench.resource(case.kind).changed
    if changed is None:
        raise NotApplicable(f"{case.kind} is not polled")
    async with asyncio.timeout(_LONGEST_READ_SECONDS):
        pages = [page async for page in changed(session, since)]
    assert all(isinstance(each, Observed) for page in pages for each in page.observed)
    return pages


def _marks(pages: list[Page]) -> list[Watermark]:
    return [page.watermark for page in pages if page.watermark is not None]


def _stuck_at(next_page: str) -> type[Session]:
    """A session that answers every request for a further page with the first such answer."""
    found = re.compile(next_page)

    class Stuck(Session):
        kept: Answer | None = None
        circles = 0

        async def call(self, method: str, path_or_url: str, **options: Any) -> Answer:
            text = _as_text(method, path_or_url, options)
            if not found.search(text):
                return await super().call(method, path_or_url, **options)
            self.circles += 1
            assert self.circles <= _CIRCLES, "the reader goes in a circle"
            if self.kept is None:
                self.kept = await super().call(method, path_or_url, **options)
            return self.kept

    return Stuck


def _as_text(method: str, path_or_url: str, options: dict[str, Any]) -> str:
    query = write_query(options.get("query") or ())
    return f"{method} {path_or_url}{'?' if query else ''}{query} {options.get('json') or options.get('form') or ''}"
