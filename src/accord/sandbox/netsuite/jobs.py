"""Asynchronous requests: a job, its tasks, their results, and the key that keeps one request from becoming two jobs.

Job, task and result addresses and their progress words are documented (vendors.md 2.2). What the result of a batch
looks like is not, so it can be set: `one_task` (a collection with one entry a record, in order) or `task_per_record`;
nor is whether the list of tasks tells their progress (`list_progress`) or only links to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from accord.sandbox.kit.simulator import Clock, Response
from accord.sandbox.netsuite.reading import instant, page
from accord.sandbox.netsuite.refusals import Refused, bad_header

PATH = "/services/rest/async/v1/job"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
Work = Callable[[], Response]


@dataclass(slots=True)
class Job:
    """`work` is done at `ends_at`; `answers` are what the synchronous requests would have been answered, in order."""

    id: str
    work: list[Work]
    starts_at: datetime
    ends_at: datetime
    batch: bool
    answers: list[Response] = field(default_factory=list)


class Jobs:
    """All jobs of the account. Times are of the wall clock, so that a shift of the business clock finishes nothing."""

    def __init__(
        self, wall: Clock, *, queue_seconds: float, record_seconds: float, batch_result: str = "one_task",
        list_progress: bool = True,
    ) -> None:  # fmt: skip
        self.wall = wall
        self.queue_seconds, self.record_seconds, self.batch_result = queue_seconds, record_seconds, batch_result
        self.list_progress = list_progress
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._keys: dict[str, str] = {}

    def submit(self, work: Sequence[Work], *, batch: bool, key: str | None, base: str) -> Response:
        """Queue the work: 202 with the job's address. Raises Refused: IDEMPOTENCY_ERROR for a key used before."""
        if key is not None:
            self._check_key(key, base)
        job_id = str(len(self._jobs) + 1)
        starts = self.wall.now() + timedelta(seconds=self.queue_seconds)
        job = Job(job_id, list(work), starts, starts + timedelta(seconds=self.record_seconds * len(work)), batch)
        self._jobs[job_id] = job
        self._waiting.append(job)
        if key is not None:
            self._keys[key.lower()] = job_id
        headers = {"location": f"{base}{PATH}/{job_id}", "preference-applied": "respond-async"}
        return Response(202, b"", headers)

    def catch_up(self) -> None:
        """Do the work of the jobs that are due, in the order they end."""
        if not self._waiting:
            return
        now = self.wall.now()
        due = sorted((job for job in self._waiting if job.ends_at <= now), key=lambda job: job.ends_at)
        for job in due:
            self._waiting.remove(job)
            job.answers = [do() for do in job.work]
            job.work = []

    def answer(self, parts: Sequence[str], base: str) -> Response:
        """`{job}`, `{job}/task`, `{job}/task/{n}` and `{job}/task/{n}/result`. Raises Refused."""
        job = self._jobs.get(parts[0])
        if job is None:
            raise Refused(404, "NOT_FOUND", f"The asynchronous job {parts[0]} does not exist.")
        here = f"{base}{PATH}/{job.id}"
        if len(parts) == 1:
            return _json(self._shown(job, here) | {"task": {"links": [{"rel": "self", "href": f"{here}/task"}]}})
        if parts[1] != "task":
            raise Refused(404, "NOT_FOUND", "The resource does not exist.")
        tasks = len(job.answers or job.work) if job.batch and self.batch_result == "task_per_record" else 1
        if len(parts) == 2:
            items = [self._task(job, here, number) for number in range(1, tasks + 1)]
            if not self.list_progress:
                items = [{"links": each["links"]} for each in items]
            return _json(page(f"{here}/task", items, offset=0, limit=1000, total=len(items)))
        if not parts[2].isdigit() or not 1 <= int(parts[2]) <= tasks:
            raise Refused(404, "NOT_FOUND", f"The task {parts[2]} does not exist.")
        if len(parts) == 3:
            return _json(self._task(job, here, int(parts[2])))
        return self._result(job, int(parts[2]))

    def waiting(self) -> int:
        return len(self._waiting)

    def _check_key(self, key: str, base: str) -> None:
        if not _UUID.fullmatch(key):
            raise bad_header("X-NetSuite-Idempotency-Key", "The idempotency key must be a UUID as defined by RFC 4122.")
        if key.lower() in self._keys:
            place = f"{base}{PATH}/{self._keys[key.lower()]}"
            detail = f"A request with the idempotency key {key} was sent before."
            raise Refused(400, "IDEMPOTENCY_ERROR", detail, title="Conflict", headers={"location": place})

    def _progress(self, job: Job, answers: Sequence[Response]) -> str:
        if job in self._waiting:
            return "pending" if self.wall.now() < job.starts_at else "processing"
        return "succeeded" if any(each.status < 400 for each in answers) else "failed"

    def _shown(self, job: Job, url: str) -> dict[str, Any]:
        return {
            "links": [{"rel": "self", "href": url}],
            "completed": job not in self._waiting,
            "id": job.id,
            "progress": self._progress(job, job.answers),
        }

    def _task(self, job: Job, here: str, number: int) -> dict[str, Any]:
        answers = job.answers[number - 1 : number] if self.batch_result == "task_per_record" else job.answers
        task = self._shown(job, f"{here}/task/{number}")
        task |= {"id": str(number), "progress": self._progress(job, answers), "startTime": instant(job.starts_at)}
        if task["completed"]:
            task["endTime"] = instant(job.ends_at)
        return task

    def _result(self, job: Job, number: int) -> Response:
        if job in self._waiting:
            raise Refused(404, "NOT_FOUND", "The task has not been completed yet.")
        if not job.batch or self.batch_result == "task_per_record":
            return job.answers[number - 1]
        items = b",".join(_entry(each) for each in job.answers)
        body = b'{"items":[' + items + b'],"totalResults":' + str(len(job.answers)).encode() + b"}"
        return Response(200, body, {"content-type": "application/vnd.oracle.resource+json; type=collection"})


def _entry(answer: Response) -> bytes:
    """One record's part of a batch result: the error body, or its status and address."""
    if answer.status >= 400:
        return answer.body
    location = answer.headers.get("location", "")
    entry: dict[str, Any] = {"status": answer.status}
    if location:
        entry |= {"links": [{"rel": "self", "href": location}], "id": location.rpartition("/")[2]}
    return orjson.dumps(entry)


def _json(value: Any) -> Response:
    return Response(200, orjson.dumps(value), {"content-type": "application/vnd.oracle.resource+json; type=singular"})
