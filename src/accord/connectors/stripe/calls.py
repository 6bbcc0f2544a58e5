"""Calls as this connector makes them: keyed by the business key, safe to repeat, and exact look-ups for what was lost.

A write of several calls gives each its own step of the key, so that repeating the whole finds what is done already.
Stripe keeps the answer under a key for a day, a 500 as well (docs.stripe.com idempotent_requests): a kept failure,
or an object of ours that is gone, is final, and the next generation of the key starts afresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from accord.connect.connector import Probe, SendBatch
from accord.connect.failures import CallFailed, Refused, outcome_of
from accord.connect.pages import pages
from accord.connect.session import Session
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Unknown, Write

Json = Mapping[str, Any]
KEY_LENGTH = 255
GENERATIONS = 5
LOOK_UP_PAGES = 10


class Spent(Exception):
    """Nothing more can come of this generation of the key."""


class Steps:
    """The calls of one write, one after the other."""

    def __init__(self, session: Session, write: Write, generation: int = 1) -> None:
        self.session, self.write, self.generation = session, write, generation

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        return await read(self.session, path, query)

    async def post(self, step: str, path: str, form: Mapping[str, Any] | None = None) -> Json:
        """One step. Raises CallFailed, and Spent when Stripe only repeats a failure it keeps under the
        key."""
        headers = {"Idempotency-Key": self.key(step)}
        answer = await self.session.call(
            "POST", f"v1/{path}", form=form or {}, headers=headers, endpoint=_bucket("POST", path)
        )
        if answer.status >= 500 and answer.headers.get("idempotent-replayed") == "true":
            raise Spent
        if not answer.ok:
            raise Refused(self.session.classify(answer))
        found: Json = answer.json()
        return found

    def key(self, step: str) -> str:
        key = f"{self.write.key}/{step}" + (f"/{self.generation}" if self.generation > 1 else "")
        return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


Work = Callable[[Steps], Awaitable[Outcome]]
Find = Callable[[Session, Write], Awaitable[Json | None]]


def each(work: Work) -> SendBatch:
    """A sender that does the work for every write; Stripe has no batch calls, so there is one at a time."""

    async def send(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
        return [await _done(session, write, work) for write in writes]

    return send


async def _done(session: Session, write: Write, work: Work) -> Outcome:
    for generation in range(1, GENERATIONS + 1):
        try:
            return await work(Steps(session, write, generation))
        except Spent:
            if write.attempt == 1:
                return Unknown("Stripe keeps a failure under our key; look up what was done before trying again")
        except CallFailed as error:
            return outcome_of(error)
    return Unknown(f"Stripe kept a failure under each of {GENERATIONS} keys")


def probe(find: Find, committed: Callable[[Json], Outcome]) -> Probe:
    """A probe that looks the object up by an exact read."""

    async def ask(session: Session, write: Write) -> Outcome:
        try:
            found = await find(session, write)
        except CallFailed as error:
            outcome = outcome_of(error)
            # What a probe is refused says nothing of the write, unless the connection itself is wrong.
            return Unknown(outcome.message) if isinstance(outcome, Rejected) else outcome
        return Absent("Stripe has no such object") if found is None else committed(found)

    return ask


def by_id(found: Json) -> Outcome:
    return Committed(vendor_id=str(found["id"]))


async def read(session: Session, path: str, query: Mapping[str, Any] | None = None) -> Json:
    """One object or page. Raises CallFailed."""
    calling = session.call("GET", f"v1/{path}", query=query or {}, endpoint=_bucket("GET", path))
    found: Json = (await session.expect(calling)).json()
    return found


async def listed(session: Session, path: str, query: Mapping[str, Any], most: int | None = None) -> AsyncIterator[Json]:
    """Every object of a list, newest first, at most `most` pages of 100. Raises CallFailed."""

    async def fetch(after: str | None) -> tuple[Sequence[Json], str | None]:
        page = await read(session, path, {**query, "limit": 100, **({"starting_after": after} if after else {})})
        rows = page["data"]
        return rows, rows[-1]["id"] if page["has_more"] and rows else None

    count = 0
    async for rows in pages(fetch):
        for row in rows:
            yield row
        count += 1
        if most is not None and count >= most:
            return


async def ours(session: Session, path: str, query: Mapping[str, Any], accord_id: str) -> Json | None:
    """The object whose metadata carries our id, by listing: search lags behind writes, lists do not."""
    async for row in listed(session, path, query, LOOK_UP_PAGES):
        if (row.get("metadata") or {}).get("accord_id") == accord_id:
            return row
    return None


def _bucket(method: str, path: str) -> str:
    """The vendor's rate bucket: the resource and verb without ids."""
    parts = path.split("/")
    return f"{method} {'/'.join(part for at, part in enumerate(parts) if at % 2 == 0 or part == 'search')}"
