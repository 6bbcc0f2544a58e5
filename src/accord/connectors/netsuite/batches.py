"""Up to 100 records of one type in one asynchronous job (vendors.md 2.1, 2.2): submit, wait, one outcome each.

The external id stands in each item, under `externalId` (Oracle's article on batch operations; `batch_id_field` in the
settings where an account wants it under `id`). How a batch's result looks is not documented: a collection in one task
and a task for each record are both read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from accord.connect.answer import Answer
from accord.connect.failures import CallFailed, Refused, outcome_of
from accord.connect.session import Session
from accord.connect.wire import write_json
from accord.connectors.netsuite.calls import RECORDS, STRICT, Json
from accord.connectors.netsuite.errors import TABLE
from accord.engine.outcomes import Committed, Misconfigured, Outcome, Write

BATCH = 100
COLLECTION = "application/vnd.oracle.resource+json; type=collection"
FIRST_LOOK_SECONDS = 0.25
LONGEST_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a batch: `fields` to be written to the one with our id (PUT), or with NetSuite's (PATCH)."""

    write: Write
    fields: Json
    known: str | None = None


class JobLost(CallFailed):
    """The job was accepted, and what came of it could not be read."""


async def send_job(
    session: Session, record: str, items: Sequence[Item], *, method: str = "PUT", replace: Sequence[str] = ()
) -> list[Outcome]:
    """One outcome for each item, in order. A key made of the writes' own keys finds the job of an earlier attempt whose
    answer was lost: what it committed stands, the rest is sent once more.

    Results come in the order of the request, and an earlier attempt may have had the same writes in another order: so
    they are always sent in the order of their keys.
    """
    places = sorted(range(len(items)), key=lambda n: items[n].write.key)
    outcomes = await _send_sorted(session, record, [items[n] for n in places], method, replace)
    told = dict(zip(places, outcomes, strict=True))
    return [told[n] for n in range(len(items))]


async def _send_sorted(
    session: Session, record: str, items: Sequence[Item], method: str, replace: Sequence[str]
) -> list[Outcome]:
    keys = [item.write.key for item in items]
    try:
        job, earlier = await _submit(session, record, items, method, replace, "\n".join(keys))
        outcomes = await _results(session, job, len(items))
        again = [n for n, each in enumerate(outcomes) if earlier and not isinstance(each, Committed)]
        if again:
            rest = [items[n] for n in again]
            salt = f"{max(item.write.attempt for item in items)}\n"
            job, _ = await _submit(session, record, rest, method, replace, salt + "\n".join(keys))
            for n, outcome in zip(again, await _results(session, job, len(rest)), strict=True):
                outcomes[n] = outcome
    except CallFailed as error:
        return [outcome_of(error)] * len(items)
    return outcomes


async def _submit(
    session: Session, record: str, items: Sequence[Item], method: str, replace: Sequence[str], named: str
) -> tuple[str, bool]:
    """The job's address, and whether it is that of an earlier attempt. Raises CallFailed."""
    headers = {
        **STRICT, "Prefer": "respond-async", "Content-Type": COLLECTION,
        "X-NetSuite-Idempotency-Key": str(uuid5(NAMESPACE_URL, f"{method} {record}\n{named}")),
    }  # fmt: skip
    body = write_json({"items": [_item(session, each) for each in items]})
    query = {"replace": ",".join(replace)} if replace else {}
    answer = await session.call(
        method, f"{RECORDS}/{record}", query=query, body=body, headers=headers, endpoint=record, timeout_seconds=60
    )
    location = answer.headers.get("location", "")
    if answer.status == 202 and location:
        return location, False
    if answer.status == 400 and location and "IDEMPOTENCY_ERROR" in answer.text():
        return location, True
    raise Refused(session.classify(answer))


def _item(session: Session, item: Item) -> dict[str, Any]:
    if item.known is not None:
        return {**item.fields, "id": item.known}
    named = str(session.config.get("batch_id_field") or "externalId")
    value = f"eid:{item.write.canonical_id}" if named == "id" else item.write.canonical_id
    return {**item.fields, named: value}


async def _results(session: Session, job: str, count: int) -> list[Outcome]:
    """Wait for the job, then read what came of each record. Raises JobLost."""
    patience = float(session.config.get("job_seconds") or 120.0)
    try:
        async with asyncio.timeout(patience):
            tasks = await _tasks(session, job)
            if len(tasks) == 1:
                answer = await _read(session, _link(tasks[0]) + "/result", refusals=True)
                entries = _entries(answer, count)
            else:
                entries = [await _read(session, _link(task) + "/result", refusals=True) for task in tasks]
    except TimeoutError:
        raise JobLost(f"the job {job} did not end in {patience:g} s") from None
    except CallFailed as error:
        raise JobLost(f"the job {job} was accepted, but not what came of it: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise JobLost(f"the result of the job {job} has an unknown shape") from None
    if len(entries) != count:
        raise JobLost(f"the job {job} tells of {len(entries)} of {count} records")
    return [_outcome(session, each) for each in entries]


async def _tasks(session: Session, job: str) -> list[Json]:
    """The tasks of the job once it is completed. The list of tasks says so itself where it has more than links, which
    saves the look at the job; the waits grow."""
    wait = float(session.config.get("job_look_seconds") or FIRST_LOOK_SECONDS)
    while True:
        await asyncio.sleep(wait)
        tasks = _items(await _read(session, f"{job}/task"))
        if tasks and all(each.get("completed") for each in tasks):
            return tasks
        if not all("completed" in each for each in tasks) and (await _read(session, job)).json().get("completed"):
            return _items(await _read(session, f"{job}/task"))
        wait = min(wait * 1.5, LONGEST_LOOK_SECONDS)


def _items(answer: Answer) -> list[Json]:
    return list(answer.json()["items"])


async def _read(session: Session, url: str, *, refusals: bool = False) -> Answer:
    """One read of the job. `refusals` are answers too: a task's result is what its request was answered."""
    path = url if "://" in url else url.lstrip("/")
    wait = FIRST_LOOK_SECONDS
    while True:
        try:
            answer = await session.call("GET", path, endpoint="async")
        except CallFailed as error:
            if isinstance(outcome_of(error), Misconfigured):
                raise
        else:
            if answer.ok or (refusals and answer.status < 429):
                return answer
            if answer.status < 429:
                raise Refused(session.classify(answer))
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_LOOK_SECONDS)


def _link(task: Json) -> str:
    return str(next(each["href"] for each in task["links"] if each["rel"] == "self"))


def _entries(answer: Answer, count: int) -> list[Json | Answer]:
    body = answer.json()
    if isinstance(body, Mapping) and isinstance(body.get("items"), list):
        return list(body["items"])
    return [answer] * count


def _outcome(session: Session, entry: Json | Answer) -> Outcome:
    """A record's part of the result: an answer of its own, or an error body or an id in a collection."""
    if isinstance(entry, Answer):
        if not entry.ok:
            return session.classify(entry)
        place = entry.headers.get("location", "").rstrip("/").rpartition("/")[2]
        return Committed(place if place.isdigit() else None)
    if "o:errorDetails" in entry:
        return TABLE.classify(int(entry.get("status", 400)), {}, entry)
    return Committed(str(entry["id"]) if entry.get("id") is not None else None)
