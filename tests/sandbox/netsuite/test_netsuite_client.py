"""PyPI netsuite 0.12 as an independent client over HTTPS: what it signs, sends and reads was not written here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from netsuite.exceptions import NetsuiteAPIRequestError

from accord.sandbox.kit.serve import Served

# The client uses what httpx and oauthlib have since given up.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:use sign_hmac_sha256_with_client:DeprecationWarning"),
]


async def _customer(client: Any, external_id: str = "CUS-1", name: str = "Acme") -> None:
    body = {"companyName": name, "subsidiary": {"externalId": "US"}}
    assert await client.put(f"/record/v1/customer/eid:{external_id}", json=body) is None


async def test_records_through_the_client(client: Any) -> None:
    await _customer(client)
    held = await client.get("/record/v1/customer/eid:CUS-1", params={"expandSubResources": "true"})
    assert (held["companyName"], held["subsidiary"]["refName"]) == ("Acme", "Meridian Consulting Inc.")
    await client.patch(f"/record/v1/customer/{held['id']}", json={"email": "ap@acme.example"})
    listed = await client.get("/record/v1/customer", params={"q": 'email IS "ap@acme.example"', "limit": 5})
    assert [each["id"] for each in listed["items"]] == [held["id"]]
    await client.delete(f"/record/v1/customer/{held['id']}")
    with pytest.raises(NetsuiteAPIRequestError) as gone:
        await client.get("/record/v1/customer/eid:CUS-1")
    assert gone.value.status_code == 404
    assert "NONEXISTENT_ID" in gone.value.response_text


async def test_suiteql_through_the_client(client: Any) -> None:
    for n in range(7):
        await _customer(client, f"CUS-{n}", f"Customer {n}")
    page = await client.suiteql("SELECT id, companyName, isInactive FROM customer ORDER BY id", limit=3, offset=3)
    assert (page["count"], page["hasMore"], page["totalResults"], page["offset"]) == (3, True, 7, 3)
    first = page["items"][0]
    assert (first["companyname"], first["isinactive"]) == ("Customer 3", "F")
    assert isinstance(first["id"], str)


async def test_a_misspelt_field_is_an_error_for_this_client_by_default(client: Any) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as raised:
        await client.post("/record/v1/customer", json={"companyname": "Acme", "subsidiary": {"id": "2"}})
    assert "NONEXISTENT_FIELD" in raised.value.response_text


async def test_a_wrong_secret_is_refused(client: Any) -> None:
    client._config.auth.token_secret = "0" * 64
    with pytest.raises(NetsuiteAPIRequestError) as raised:
        await client.get("/record/v1/customer")
    assert raised.value.status_code == 401
    assert "INVALID_LOGIN" in raised.value.response_text


async def test_schema_and_catalogue_through_the_client(client: Any) -> None:
    schema = await client.jsonschema("projectTask")
    assert schema["properties"]["custevent_milestone_approved"]["type"] == "boolean"


async def test_the_concurrency_limit_meets_real_concurrent_calls(client: Any, served: Served) -> None:
    served.simulator.admin("set_pace", {"service_seconds": 0.3})
    calls = [client.get("/record/v1/subsidiary") for _ in range(9)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, NetsuiteAPIRequestError)]
    assert 0 < len(refused) <= 4
    assert {each.status_code for each in refused} == {429}
    assert "CONCURRENCY_LIMIT_EXCEEDED" in refused[0].response_text


async def test_an_asynchronous_batch_through_the_client(client: Any) -> None:
    items = [{"externalId": f"CUS-{n}", "companyName": f"C{n}", "subsidiary": {"id": "2"}} for n in range(3)]
    headers = {"Prefer": "respond-async", "Content-Type": "application/vnd.oracle.resource+json; type=collection"}
    answer = await client.request("PUT", "/record/v1/customer", headers=headers, json={"items": items})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    job = answer.headers["location"].partition("/services/rest")[2]
    async with asyncio.timeout(5):
        while not (await client.get(job))["completed"]:  # noqa: ASYNC110  (the vendor tells nobody)
            await asyncio.sleep(0.02)
    result = await client.get(f"{job}/task/1/result")
    assert [each["status"] for each in result["items"]] == [204] * 3
