"""Salesforce as a loader needs it: read by SOQL, create, and upsert by external id in collections of 200."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accord.connect.answer import Answer
from accord.connect.failures import CallFailed, Refused, outcome_of
from accord.connect.session import Session
from accord.engine.outcomes import Misconfigured, Rejected, Transient, Unknown
from accord.errors import Unavailable, UsageError

API_VERSION = "67.0"
MOST = 200  # records a collections call takes (vendors.md 1.3)
TRIES = 6
CALL_SECONDS = 120.0  # a full collection with an org's own triggers takes most of a minute

Record = Mapping[str, Any]


class CallRefused(UsageError):
    """Salesforce refused a whole call: the connection, its permissions or the org's fields are to be corrected."""

    title = "Salesforce refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record. `errors` holds the vendor's (code, message), empty when it was written."""

    id: str | None
    created: bool
    errors: tuple[tuple[str, str], ...] = ()


class SalesforceClient:
    """Calls through a session. Reads and upserts that got no sure answer are sent again, since a repeat changes
    nothing more; a create is not. Raises CallRefused for a call Salesforce refuses as a whole, Unavailable when there
    is no sure answer.
    """

    def __init__(self, session: Session, *, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._session = session
        self._wait = wait
        self._path = f"/services/data/v{session.config.get('api_version') or API_VERSION}"

    async def query(self, soql: str) -> list[dict[str, Any]]:
        """All records of a query, page after page."""
        page = (await self._safely(lambda: self._session.call("GET", f"{self._path}/query", query={"q": soql}))).json()
        records: list[dict[str, Any]] = page["records"]
        seen: set[str] = set()
        while not page["done"]:
            following = str(page["nextRecordsUrl"])
            if following in seen:
                raise Unavailable("Salesforce gives the same page of a query twice; try again later.")
            seen.add(following)
            page = (await self._safely(partial(self._session.call, "GET", following))).json()
            records += page["records"]
        return records

    async def create(self, object_name: str, records: Sequence[Record]) -> list[Result]:
        """Create up to `MOST` records; one result each, in order."""
        path, body = f"{self._path}/composite/sobjects", _body(object_name, records)
        answer = await self._safely(
            lambda: self._session.call("POST", path, json=body, timeout_seconds=CALL_SECONDS), tries=1
        )
        return _results(answer.json())

    async def upsert(self, object_name: str, external_id_field: str, records: Sequence[Record]) -> list[Result]:
        """Create or update up to `MOST` records by their external id; one result each, in order."""
        path = f"{self._path}/composite/sobjects/{object_name}/{external_id_field}"
        body = _body(object_name, records)
        answer = await self._safely(lambda: self._session.call("PATCH", path, json=body, timeout_seconds=CALL_SECONDS))
        return _results(answer.json())

    async def _safely(self, call: Callable[[], Awaitable[Answer]], tries: int = TRIES) -> Answer:
        pause, reason = 0.0, ""
        for attempt in range(tries):
            if attempt:
                await self._wait(pause)
            try:
                return await self._session.expect(call())
            except CallFailed as error:
                outcome = error.outcome if isinstance(error, Refused) else outcome_of(error)
            match outcome:
                case Transient():
                    asked, reason = outcome.retry_after_seconds, outcome.reason
                case Unknown():
                    asked, reason = None, outcome.reason
                case Rejected() | Misconfigured():
                    raise CallRefused(f"Salesforce says {outcome.code}: {outcome.message}")
                case _:
                    raise CallRefused(f"Salesforce says {outcome}")
            pause = asked if asked is not None else 0.5 * 2**attempt
        raise Unavailable(f"Salesforce gave no answer in {tries} tries ({reason}); try again later.")


def _body(object_name: str, records: Sequence[Record]) -> dict[str, Any]:
    typed = [{"attributes": {"type": object_name}, **record} for record in records]
    return {"allOrNone": False, "records": typed}


def _results(told: Sequence[Mapping[str, Any]]) -> list[Result]:
    return [
        Result(
            each.get("id"),
            bool(each.get("created")),
            ()
            if each.get("success")
            else tuple((str(error.get("statusCode")), str(error.get("message"))) for error in each["errors"]),
        )
        for each in told
    ]
