"""Asynchronous requests: batches, progress over time, results, the idempotency key."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.netsuite.conftest import Caller

CUSTOMERS = [{"externalId": f"CUS-{n}", "companyName": f"C{n}", "subsidiary": {"id": "2"}} for n in range(5)]


def _job(caller: Caller, path: str) -> Any:
    return json.loads(caller.send("GET", f"async/v1/job/{path}").body)


def test_a_batch_is_worked_off_later_record_by_record(caller: Caller) -> None:
    caller.simulator.jobs.queue_seconds, caller.simulator.jobs.record_seconds = 2, 1
    accepted = caller.batch("PUT", "customer", CUSTOMERS)
    assert (accepted.status, accepted.headers["preference-applied"]) == (202, "respond-async")
    assert (_job(caller, "1")["completed"], _job(caller, "1")["progress"]) == (False, "pending")
    caller.wall.at += timedelta(seconds=3)
    assert _job(caller, "1/task/1")["progress"] == "processing"
    assert caller.send("GET", "async/v1/job/1/task/1/result").status == 404
    assert len(caller.simulator.account.table("customer")) == 0
    caller.wall.at += timedelta(seconds=4)
    assert (_job(caller, "1")["completed"], _job(caller, "1")["progress"]) == (True, "succeeded")
    assert len(caller.simulator.account.table("customer")) == 5


def test_each_record_has_a_result_of_its_own(caller: Caller) -> None:
    items = [*CUSTOMERS[:2], {"externalId": "BAD", "companyName": "Bad"}, CUSTOMERS[2]]
    results = caller.result(caller.batch("PUT", "customer", items))
    assert [each["status"] for each in results] == [204, 204, 400, 204]
    assert results[2]["o:errorDetails"][0]["o:errorPath"] == "subsidiary"
    assert results[3]["id"] == caller.get("customer", "CUS-2")["id"]
    assert _job(caller, "1/task/")["items"][0]["progress"] == "succeeded"


def test_a_task_for_each_record_if_the_account_is_like_that(caller: Caller) -> None:
    caller.simulator.jobs.batch_result = "task_per_record"
    caller.batch("PUT", "customer", [*CUSTOMERS[:2], {"externalId": "BAD"}])
    caller.wall.at += timedelta(minutes=1)
    tasks = _job(caller, "1/task")["items"]
    assert [each["progress"] for each in tasks] == ["succeeded", "succeeded", "failed"]
    assert caller.send("GET", "async/v1/job/1/task/2/result").status == 204
    assert caller.send("GET", "async/v1/job/1/task/3/result").status == 400


def test_post_patch_and_delete_come_in_batches_too(caller: Caller) -> None:
    created = caller.result(caller.batch("POST", "customer", CUSTOMERS[:3]))
    first = created[0]["id"]
    changes = [{"id": first, "externalId": "CUS-2", "email": "by-id"}, {"externalId": "CUS-1", "email": "by-eid"}]
    caller.wall.at += timedelta(minutes=1)
    assert [each["status"] for each in _results(caller, caller.batch("PATCH", "customer", changes[1:]))] == [204]
    (clash,) = _results(caller, caller.batch("PATCH", "customer", changes[:1]))
    assert clash["o:errorDetails"][0]["o:errorCode"] == "DUP_RCRD"  # the internal id was taken, not the external one
    accepted = caller.send(
        "DELETE", "record/v1/customer", query={"ids": f"{first},eid:CUS-1,404"}, prefer="respond-async"
    )
    assert [each["status"] for each in _results(caller, accepted)] == [204, 204, 404]
    assert caller.get("customer", "CUS-2")["companyName"] == "C2"


def _results(caller: Caller, accepted: Any) -> list[Any]:
    caller.wall.at += timedelta(minutes=1)
    job = accepted.headers["location"].rpartition("/")[2]
    items: list[Any] = _job(caller, f"{job}/task/1/result")["items"]
    return items


@pytest.mark.parametrize(
    ("items", "headers", "at_fault"),
    [
        (CUSTOMERS, {"prefer": ""}, "o:errorHeader"),
        (CUSTOMERS, {"content_type": "application/json"}, "o:errorHeader"),
        (CUSTOMERS * 21, {}, "o:errorPath"),
        ([], {}, "o:errorPath"),
        (["x"], {}, "o:errorPath"),
        (CUSTOMERS, {"x_netsuite_idempotency_key": "not a uuid"}, "o:errorHeader"),
    ],
)
def test_a_batch_that_is_none_is_refused_at_once(
    caller: Caller, items: list[Any], headers: dict[str, str], at_fault: str
) -> None:
    answer = caller.batch("PUT", "customer", items, **headers)
    assert answer.status == 400
    assert at_fault in json.loads(answer.body)["o:errorDetails"][0]


def test_a_put_without_its_external_id_fails_alone(caller: Caller) -> None:
    results = caller.result(
        caller.batch("PUT", "customer", [{"companyName": "X", "subsidiary": {"id": "2"}}, CUSTOMERS[0]])
    )
    assert [each["status"] for each in results] == [400, 204]


def test_a_key_makes_one_job_of_two_requests(caller: Caller) -> None:
    key = str(uuid4())
    first = caller.batch("PUT", "customer", CUSTOMERS, x_netsuite_idempotency_key=key)
    again = caller.batch("PUT", "customer", CUSTOMERS, x_netsuite_idempotency_key=key.upper())
    body = json.loads(again.body)
    assert (again.status, body["title"]) == (400, "Conflict")
    assert body["o:errorDetails"][0]["o:errorCode"] == "IDEMPOTENCY_ERROR"
    assert again.headers["location"] == first.headers["location"]
    assert caller.simulator.jobs.waiting() == 1


def test_the_key_means_nothing_to_a_synchronous_request(caller: Caller) -> None:
    key = {"x_netsuite_idempotency_key": str(uuid4())}
    body = {"companyName": "Acme", "subsidiary": {"id": "2"}}
    assert [caller.send("POST", "record/v1/customer", body, **key).status for _ in range(2)] == [204, 204]
    assert len(caller.simulator.account.table("customer")) == 2


def test_a_single_request_can_be_asynchronous(caller: Caller) -> None:
    body = {"companyName": "Acme", "subsidiary": {"id": "2"}}
    caller.send("POST", "record/v1/customer", body, prefer="respond-async")
    caller.wall.at += timedelta(minutes=1)
    result = caller.send("GET", "async/v1/job/1/task/1/result")
    assert (result.status, "customer/" in result.headers["location"]) == (204, True)


def test_half_a_batch_is_changed_by_another_on_demand(caller: Caller) -> None:
    caller.fault("partial_batch")
    results = caller.result(caller.batch("PUT", "customer", CUSTOMERS))
    codes = [each.get("o:errorDetails", [{}])[0].get("o:errorCode") for each in results]
    assert codes == [None, "RCRD_HAS_BEEN_CHANGED"] * 2 + [None]


def test_lines_are_replaced_in_a_batch_too(caller: Caller) -> None:
    caller.firm()
    item = {"item": {"items": [{"item": {"id": "101"}, "amount": 5}]}}
    for _ in range(2):
        invoice = {"externalId": "INV-1", "entity": {"externalId": "CUS-1"}, **item}
        caller.result(caller.batch("PUT", "invoice", [invoice], {"replace": "item"}))
    assert caller.get("invoice", "INV-1")["total"] == 5
