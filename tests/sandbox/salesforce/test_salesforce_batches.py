"""Several records or calls in one: collections, composite, batch, graph, bulk jobs."""

from __future__ import annotations

from typing import Any

from accord.sandbox.salesforce.outbound import acknowledged
from tests.sandbox.salesforce.conftest import Caller, V


def _accounts(*names: str | None, **more: Any) -> list[dict[str, Any]]:
    return [{"attributes": {"type": "Account"}, "Name": name, **more} for name in names]


def test_each_record_has_its_own_result(caller: Caller) -> None:
    results = caller.ask("POST", "composite/sobjects", {"records": _accounts("One", None, "Three")})
    assert [each["success"] for each in results] == [True, False, True]
    assert results[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert caller.query("SELECT Id FROM Account")["totalSize"] == 2


def test_all_or_none(caller: Caller) -> None:
    body = {"allOrNone": True, "records": _accounts("One", None, "Three")}
    codes = [each["errors"][0]["statusCode"] for each in caller.ask("POST", "composite/sobjects", body)]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING", "ALL_OR_NONE_OPERATION_ROLLED_BACK"]
    assert caller.query("SELECT Id FROM Account")["totalSize"] == 0
    assert caller.simulator.dump()["Account"] == []


def test_at_most_two_hundred(caller: Caller) -> None:
    refused = caller.refused("POST", "composite/sobjects", {"records": _accounts(*["x"] * 201)})
    assert refused[0] == "LIMIT_EXCEEDED"


def test_upsert_update_read_and_delete_many(caller: Caller) -> None:
    path = "composite/sobjects/Account/Legacy_Id__c"
    records = [{**each, "Legacy_Id__c": f"L{n}"} for n, each in enumerate(_accounts("A", "B"))]
    made = caller.ask("PATCH", path, {"records": records})
    assert [each["created"] for each in made] == [True, True]
    again = caller.ask("PATCH", path, {"records": records[:1]})
    assert (again[0]["id"], again[0]["created"]) == (made[0]["id"], False)
    caller.ask("PATCH", "composite/sobjects", {"records": [{**records[0], "id": made[0]["id"], "Name": "C"}]})
    read = caller.ask("GET", f"composite/sobjects/Account?ids={made[0]['id']},001&fields=Name")
    assert (read[0]["Name"], read[1]) == ("C", None)
    ids = ",".join(each["id"] for each in made)
    assert all(each["success"] for each in caller.ask("DELETE", f"composite/sobjects?ids={ids}"))


def test_a_record_is_in_a_call_once(caller: Caller) -> None:
    account = caller.account()
    records = [{"attributes": {"type": "Account"}, "Id": account, "Phone": str(n)} for n in range(2)]
    results = caller.ask("PATCH", "composite/sobjects", {"records": records})
    assert [each["success"] for each in results] == [True, False]
    assert results[1]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    assert caller.row(account)["Phone"] == "0"


def test_a_batch_half_of_which_is_busy(caller: Caller) -> None:
    caller.fault("partial_batch", path="composite/sobjects")
    results = caller.ask("POST", "composite/sobjects", {"records": _accounts("1", "2", "3", "4")})
    assert [each["success"] for each in results] == [True, False, True, False]
    assert results[1]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    assert all(each["success"] for each in caller.ask("POST", "composite/sobjects", {"records": _accounts("1", "2")}))


def _part(name: str, method: str, url: str, body: Any = None) -> dict[str, Any]:
    return {"method": method, "url": f"{V}/{url}", "referenceId": name, **({"body": body} if body else {})}


def _deal(account: str) -> dict[str, Any]:
    return {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-11-30", "AccountId": account}


def test_composite_refers_to_what_came_before(caller: Caller) -> None:
    parts = [
        _part("account", "POST", "sobjects/Account", {"Name": "Acme"}),
        _part("deal", "POST", "sobjects/Opportunity", _deal("@{account.id}")),
        _part("all", "GET", "query?q=SELECT+Id+FROM+Opportunity+WHERE+AccountId='@{account.id}'"),
        _part("read", "GET", "sobjects/Opportunity/@{all.records[0].Id}"),
    ]
    used = caller.simulator.limits.used
    answers = caller.ask("POST", "composite", {"compositeRequest": parts})["compositeResponse"]
    assert [each["httpStatusCode"] for each in answers] == [201, 201, 200, 200]
    assert answers[3]["body"]["AccountId"] == answers[0]["body"]["id"]
    assert caller.simulator.limits.used == used + 1, "the series counts as one call"


def test_composite_all_or_none(caller: Caller) -> None:
    parts = [
        _part("account", "POST", "sobjects/Account", {"Name": "Acme"}),
        _part("bad", "POST", "sobjects/Account", {"Legacy_Id__c": "x"}),
        _part("deal", "POST", "sobjects/Opportunity", _deal("@{account.id}")),
    ]
    body = {"allOrNone": True, "compositeRequest": parts}
    answers = caller.ask("POST", "composite", body)["compositeResponse"]
    codes = [each["body"][0]["errorCode"] for each in answers]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert caller.simulator.dump()["Account"] == []
    answers = caller.ask("POST", "composite", {"compositeRequest": parts})["compositeResponse"]
    assert [each["httpStatusCode"] for each in answers] == [201, 400, 201]


def test_composite_has_its_limits(caller: Caller) -> None:
    queries = [_part(f"q{n}", "GET", "query?q=SELECT+Id+FROM+Account") for n in range(6)]
    caller.ask("POST", "composite", {"compositeRequest": queries[:5]})
    caller.refused("POST", "composite", {"compositeRequest": queries})
    many = [_part(f"l{n}", "GET", "limits") for n in range(26)]
    assert caller.refused("POST", "composite", {"compositeRequest": many})[0] == "LIMIT_EXCEEDED"


def test_batch_parts_are_independent_and_counted(caller: Caller) -> None:
    parts = [
        {"method": "GET", "url": "v67.0/sobjects/Nothing"},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "x"}},
    ]
    used = caller.simulator.limits.used
    answer = caller.ask("POST", "composite/batch", {"batchRequests": parts})
    assert (answer["hasErrors"], [each["statusCode"] for each in answer["results"]]) == (True, [404, 201])
    assert caller.simulator.limits.used == used + 3


def test_each_graph_happens_as_a_whole(caller: Caller) -> None:
    good = [_part("a", "POST", "sobjects/Account", {"Name": "A"})]
    bad = [
        _part("b", "POST", "sobjects/Account", {"Name": "B"}),
        _part("c", "POST", "sobjects/Account", {"Phone": "1"}),
    ]
    graphs = [{"graphId": "1", "compositeRequest": good}, {"graphId": "2", "compositeRequest": bad}]
    answer = caller.ask("POST", "composite/graph", {"graphs": graphs})["graphs"]
    assert [each["isSuccessful"] for each in answer] == [True, False]
    assert [row["Name"] for row in caller.records("SELECT Name FROM Account")] == ["A"]


def _job(caller: Caller, csv: str, **body: Any) -> dict[str, Any]:
    job = caller.ask("POST", "jobs/ingest", {"object": "Account", "contentType": "CSV", "lineEnding": "LF", **body})
    path = f"jobs/ingest/{job['id']}"
    caller.ask("PUT", f"{path}/batches", csv.encode(), 201, content_type="text/csv")
    caller.ask("PATCH", path, {"state": "UploadComplete"})
    assert caller.ask("GET", path)["state"] == "InProgress"
    return caller.ask("GET", path)


def test_an_ingest_job(caller: Caller) -> None:
    account = caller.account(Legacy_Id__c="L1", Phone="1")
    csv = 'Legacy_Id__c,Name,Phone,Parent.Legacy_Id__c\nL1,"Acme, AG",#N/A,\nL2,Two,,L1\nL3,,5,\n'
    job = _job(caller, csv, operation="upsert", externalIdFieldName="Legacy_Id__c")
    assert (job["state"], job["numberRecordsProcessed"], job["numberRecordsFailed"]) == ("JobComplete", 3, 1)
    row = caller.row(account)
    assert (row["Name"], row["Phone"]) == ("Acme, AG", None)
    good = caller.send("GET", f"jobs/ingest/{job['id']}/successfulResults").body.decode().splitlines()
    assert good[0].startswith('"sf__Id","sf__Created"')
    assert good[1].startswith(f'"{account}","false"')
    bad = caller.send("GET", f"jobs/ingest/{job['id']}/failedResults").body.decode()
    assert "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name" in bad


def test_an_ingest_job_with_an_unknown_column_fails_as_a_whole(caller: Caller) -> None:
    job = _job(caller, "Name,Nothing\nA,1\n", operation="insert")
    assert (job["state"], "Nothing" in job["errorMessage"]) == ("Failed", True)
    rest = caller.send("GET", f"jobs/ingest/{job['id']}/unprocessedrecords").body.decode()
    assert rest.splitlines() == ['"Name","Nothing"', '"A","1"']


def test_a_job_may_hang(caller: Caller) -> None:
    caller.happen("hold_jobs")
    job = caller.ask("POST", "jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"})
    states = [caller.ask("GET", f"jobs/query/{job['id']}")["state"] for _ in range(4)]
    assert states == ["InProgress"] * 4
    assert caller.refused("GET", f"jobs/query/{job['id']}/results")[0] == "INVALIDJOBSTATE"
    caller.happen("hold_jobs", held=False)
    assert caller.ask("GET", f"jobs/query/{job['id']}")["state"] == "JobComplete"


def test_a_query_job_in_pages(caller: Caller) -> None:
    for number in range(3):
        caller.account(Name=f"A{number}", AR_Balance__c=number)
    text = "SELECT Name, Owner.Name, AR_Balance__c, SystemModstamp FROM Account ORDER BY Name"
    job = caller.ask("POST", "jobs/query", {"operation": "query", "query": text})
    path = f"jobs/query/{job['id']}"
    for _ in range(2):
        caller.ask("GET", path)
    first = caller.send("GET", f"{path}/results?maxRecords=2")
    assert (first.headers["sforce-locator"], first.headers["sforce-numberofrecords"]) == ("2", "2")
    lines = first.body.decode().splitlines()
    assert lines[0] == '"Name","Owner.Name","AR_Balance__c","SystemModstamp"'
    assert lines[1] == '"A0","Accord Integration","0.0","2026-11-23T09:00:00.000Z"'
    last = caller.send("GET", f"{path}/results?maxRecords=2&locator=2")
    assert last.headers["sforce-locator"] == "null"
    children = "SELECT Id, (SELECT Id FROM Opportunities) FROM Account"
    assert caller.refused("POST", "jobs/query", {"operation": "query", "query": children})[0] == "API_ERROR"


def _message(caller: Caller, **arguments: Any) -> None:
    caller.happen("subscribe_outbound", url="https://accord.example/in/salesforce/secret", **arguments)


def test_outbound_messages_tell_the_latest_state_only(caller: Caller) -> None:
    caller.simulator.credentials("https://org.example")
    _message(caller, object="Opportunity", fields=["StageName", "Amount"], when="IsWon = true")
    deal = caller.opportunity(Amount=1)
    assert caller.simulator.take_deliveries() == []
    caller.happen("close_won", opportunity=deal)
    caller.happen("update", id=deal, fields={"Amount": 2, "Name": "<&>"})
    (delivery,) = caller.simulator.take_deliveries()
    body = delivery.body.decode()
    assert body.count("<Notification>") == 1
    assert "<sf:Amount>2.0</sf:Amount>" in body
    assert f"<OrganizationId>{caller.simulator.org.id}</OrganizationId>" in body
    assert '<SessionId xsi:nil="true"/>' in body
    assert "<EnterpriseUrl>https://org.example/services/Soap/c/67.0/" in body


def test_outbound_messages_come_again_until_acknowledged(caller: Caller) -> None:
    _message(caller, object="Account")
    account = caller.account()
    (delivery,) = caller.simulator.take_deliveries()
    caller.simulator.delivered(delivery, 500)
    assert caller.simulator.take_deliveries() == []
    caller.later(seconds=15)
    caller.happen("update", id=account, fields={"Name": "Later"})
    (again,) = caller.simulator.take_deliveries()
    assert again.attempt == 2
    assert _notice_ids(again.body) == _notice_ids(delivery.body)
    caller.simulator.delivered(again, 200, b"<html/>")
    caller.later(seconds=60)
    (third,) = caller.simulator.take_deliveries()
    answer = b'<a><Ack xmlns="http://soap.sforce.com/2005/09/outbound">true</Ack></a>'
    assert acknowledged(answer)
    caller.simulator.delivered(third, 200, answer)
    caller.later(hours=3)
    assert caller.simulator.take_deliveries() == []


def _notice_ids(body: bytes) -> list[str]:
    return [line.split(b"<Id>")[1].split(b"<")[0].decode() for line in body.split(b"<Notification>")[1:]]


def test_outbound_messages_are_kept_for_a_day(caller: Caller) -> None:
    _message(caller, object="Account")
    caller.account()
    for _ in range(20):
        for delivery in caller.simulator.take_deliveries():
            caller.simulator.delivered(delivery, None)
        caller.later(hours=2)
    assert caller.simulator.dump()["outbound_messages"] == []


def test_a_hundred_notifications_fit_a_message(caller: Caller) -> None:
    _message(caller, object="Account")
    caller.ask("POST", "composite/sobjects", {"records": _accounts(*["x"] * 150)})
    assert [each.body.count(b"<Notification>") for each in caller.simulator.take_deliveries()] == [100, 50]


def test_what_was_rolled_back_is_not_told(caller: Caller) -> None:
    _message(caller, object="Account")
    caller.ask("POST", "composite/sobjects", {"allOrNone": True, "records": _accounts("One", None)})
    assert caller.simulator.take_deliveries() == []


def test_pushes_may_come_twice_late_or_never(caller: Caller) -> None:
    _message(caller, object="Account")
    caller.fault("duplicate_events")
    caller.account()
    twice = caller.simulator.take_deliveries()
    assert len({each.delivery_id for each in twice}) == 2
    assert twice[0].body == twice[1].body
    caller.fault("delay_events", seconds=60)
    caller.account()
    assert caller.simulator.take_deliveries() == []
    caller.later(minutes=1)
    assert len(caller.simulator.take_deliveries()) == 1
    caller.fault("drop_events")
    caller.account()
    assert caller.simulator.take_deliveries() == []
