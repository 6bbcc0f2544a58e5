"""The record API: addressing, references, enumerations, sublists, validation, listing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.netsuite.conftest import Caller


def test_a_put_by_external_id_makes_and_changes_without_saying_which(caller: Caller) -> None:
    first = caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"})
    second = caller.put("customer", "CUS-1", email="a@b.example")
    assert first == second
    held = caller.get("customer", "CUS-1")
    assert (held["companyName"], held["email"], held["entityId"]) == ("Acme", "a@b.example", f"CUST{first}")


def test_a_put_by_internal_id_is_refused(caller: Caller) -> None:
    caller.firm()
    assert caller.refused("PUT", "record/v1/customer/1001", {})["o:errorCode"] == "INVALID_REQUEST"


@pytest.mark.parametrize("external_id", ["a|b", "a b", "ä", "x" * 129])
def test_an_external_id_of_strange_letters_is_refused(caller: Caller, external_id: str) -> None:
    body = {"companyName": "Acme", "subsidiary": {"id": "2"}, "externalId": external_id}
    assert caller.refused("POST", "record/v1/customer", body)["o:errorPath"] == "externalId"


def test_an_external_id_belongs_to_one_record(caller: Caller) -> None:
    caller.firm()
    body = {"companyName": "Other", "subsidiary": {"id": "2"}, "externalId": "CUS-1"}
    refused = caller.refused("POST", "record/v1/customer", body)
    assert refused["o:errorCode"] == "DUP_RCRD"


def test_a_create_answers_with_its_address_and_nothing_else(caller: Caller) -> None:
    answer = caller.send("POST", "record/v1/customer", {"companyName": "Acme", "subsidiary": {"id": "2"}})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["location"].startswith("https://erp.test/services/rest/record/v1/customer/")


def test_references_and_enumerations_as_netsuite_shows_them(caller: Caller) -> None:
    caller.firm()
    job = caller.get("job", "PRJ-1")
    assert job["entityStatus"] == {"id": "2", "refName": "In Progress"}
    parent = {name: job["parent"][name] for name in ("refName", "externalId")}
    assert parent == {"refName": caller.get("customer", "CUS-1")["entityId"], "externalId": "CUS-1"}
    assert caller.get("job", "PRJ-1", simpleEnumFormat="true")["entityStatus"] == "2"


def test_a_reference_to_nobody_names_its_place(caller: Caller) -> None:
    caller.firm()
    items = [{"item": {"id": "101"}, "amount": 1}, {"item": {"id": "999"}, "amount": 1}]
    body = {"entity": {"externalId": "CUS-1"}, "item": {"items": items}}
    refused = caller.refused("POST", "record/v1/invoice", body)
    assert (refused["o:errorCode"], refused["o:errorPath"]) == ("INVALID_CONTENT", "item.items[1].item")


def test_null_clears_a_field_and_what_is_not_named_stays(caller: Caller) -> None:
    caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"}, email="a@b.example", phone="1")
    caller.patch("customer", "CUS-1", {"email": None})
    held = caller.get("customer", "CUS-1")
    assert "email" not in held
    assert held["phone"] == "1"


def test_a_missing_record_is_404_with_its_address(caller: Caller) -> None:
    refused = caller.refused("GET", "record/v1/customer/eid:NOBODY", status=404)
    assert refused["o:errorCode"] == "NONEXISTENT_ID"
    assert refused["o:errorUrl"].endswith("customer/eid:NOBODY")


def test_unknown_fields_are_dropped_unless_asked_to_be_errors(caller: Caller) -> None:
    body = {"companyName": "Acme", "subsidiary": {"id": "2"}, "colour": "blue"}
    assert caller.send("POST", "record/v1/customer", body).status == 204
    strict = {"x_netsuite_propertynamevalidation": "Error"}
    refused = caller.refused("POST", "record/v1/customer", body, **strict)
    assert (refused["o:errorCode"], refused["o:errorPath"]) == ("NONEXISTENT_FIELD", "colour")
    wrong = {"x_netsuite_propertynamevalidation": "Perhaps"}
    assert caller.refused("POST", "record/v1/customer", body, **wrong)["o:errorHeader"]


# Sublists


def test_lines_with_a_key_merge_and_lines_without_one_are_appended(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    more = {"item": {"items": [{"line": 1, "amount": 1100}, {"item": {"id": "101"}, "amount": 50}]}}
    caller.patch("invoice", "INV-1", more)
    held = caller.get("invoice", "INV-1")
    assert [(line["line"], line["amount"]) for line in held["item"]["items"]] == [(1, 1100), (2, 50)]
    assert (held["subtotal"], held["taxTotal"], held["total"]) == (1150, 190, 1340)


def test_a_sublist_without_a_key_only_grows_by_patch(caller: Caller) -> None:
    book = {"addressBook": {"items": [{"label": "Office", "country": "DE"}]}}
    caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"}, **book)
    caller.patch("customer", "CUS-1", book)
    assert len(caller.get("customer", "CUS-1")["addressBook"]["items"]) == 2
    caller.patch("customer", "CUS-1", book, {"replace": "addressBook"})
    assert len(caller.get("customer", "CUS-1")["addressBook"]["items"]) == 1


def test_replace_makes_the_request_the_whole_list(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.patch(
        "invoice", "INV-1", {"item": {"items": [{"line": 1, "amount": 5, "taxAmount": 0}]}}, {"replace": "item"}
    )
    (line,) = caller.get("invoice", "INV-1")["item"]["items"]
    assert (line["amount"], line["item"]["externalId"]) == (5, "ACCORD-SERVICES")  # matched by key, the rest is kept
    caller.patch("invoice", "INV-1", {"item": {"items": [{"item": {"id": "101"}, "amount": 7}]}}, {"replace": "item"})
    assert [each["amount"] for each in caller.get("invoice", "INV-1")["item"]["items"]] == [7]


def test_sublists_are_links_unless_expanded(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    folded = caller.get("invoice", "INV-1", expandSubResources="false")["item"]
    assert list(folded) == ["links"]
    path = folded["links"][0]["href"].partition("/services/rest/")[2]
    assert json.loads(caller.send("GET", path).body)["items"][0]["amount"] == 1000


# Reading and listing


def test_only_the_asked_fields_are_shown(caller: Caller) -> None:
    caller.firm()
    held = caller.get("customer", "CUS-1", fields="companyName,subsidiary")
    assert set(held) == {"links", "id", "companyName", "subsidiary"}
    refused = caller.refused("GET", "record/v1/customer/eid:CUS-1", query={"fields": "nothing"})
    assert refused["o:errorQueryParam"] == "fields"


def test_a_collection_has_ids_and_links_only_and_pages(caller: Caller) -> None:
    for n in range(5):
        caller.put("customer", f"CUS-{n}", companyName=f"C{n}", subsidiary={"id": "2"})
    page = json.loads(caller.send("GET", "record/v1/customer", query={"limit": 2, "offset": 2}).body)
    assert (page["count"], page["hasMore"], page["offset"], page["totalResults"]) == (2, True, 2, 5)
    assert all(set(each) == {"links", "id"} for each in page["items"])
    assert {link["rel"] for link in page["links"]} == {"self", "next", "previous"}


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('companyName IS "Acme"', 1),
        ('companyName CONTAIN "c"', 2),
        ('companyName START_WITH "B" OR email IS "a@b.example"', 2),
        ('companyName CONTAIN "c" AND email EMPTY', 1),
        ("creditLimit GREATER 99", 1),
        ("isInactive IS false", 3),
        ("subsidiary ANY_OF [2, 3]", 3),
    ],
)
def test_a_collection_is_filtered(caller: Caller, q: str, found: int) -> None:
    caller.put("customer", "A", companyName="Acme", subsidiary={"id": "2"}, email="a@b.example", creditLimit=100)
    caller.put("customer", "B", companyName="Birch", subsidiary={"id": "2"}, creditLimit=1)
    caller.put("customer", "C", companyName="Diva", subsidiary={"id": "3"})
    page = json.loads(caller.send("GET", "record/v1/customer", query={"q": q}).body)
    assert page["totalResults"] == found


@pytest.mark.parametrize(
    "q", ["nonsense", 'colour IS "blue"', "companyName IS", "creditLimit GREATER x", 'a IS "b" XOR c']
)
def test_a_filter_that_cannot_be_read_is_400(caller: Caller, q: str) -> None:
    caller.put("customer", "A", companyName="Acme", subsidiary={"id": "2"}, creditLimit=100)
    assert caller.refused("GET", "record/v1/customer", query={"q": q})["o:errorQueryParam"] == "q"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "record/v1/nothing", None, 404),
        ("GET", "elsewhere", None, 404),
        ("POST", "record/v1/customer/1001", {}, 405),
        ("POST", "record/v1/customer", b"{", 400),
        ("POST", "record/v1/customer", b"[]", 400),
        ("POST", "record/v1/customer", b"\xff", 400),
        ("POST", "record/v1/customer", {"companyName": {"deep": 1}}, 400),
        ("POST", "record/v1/customer", {"companyName": "A", "subsidiary": []}, 400),
        ("POST", "record/v1/customer", {"companyName": "A", "subsidiary": {"id": "2"}, "creditLimit": "NaN"}, 400),
        ("POST", "record/v1/customer", {"companyName": "A", "subsidiary": {"id": "2"}, "addressBook": [1]}, 400),
        ("POST", "record/v1/customer", {"subsidiary": {"id": "2"}}, 400),
        ("POST", "record/v1/customer", b'{"companyName": "\\ud800", "subsidiary": {"id": "2"}}', 400),
        (
            "POST",
            "record/v1/customer",
            b'{"companyName": "A", "subsidiary": {"id": "2"}, "creditLimit": 1E+999999}',
            400,
        ),
        (
            "POST",
            "record/v1/customer",
            b'{"companyName": "A", "subsidiary": {"id": "2"}, "creditLimit": 1E-999999}',
            400,
        ),
        ("POST", "record/v1/projectTask", {"title": "T", "startDateTime": "0001-01-01T00:00:00+14:00"}, 400),
        ("GET", "async/v1/job/77", None, 404),
        ("GET", "async/v1/job/", None, 404),
    ],
)
def test_bad_input_gets_the_vendors_own_error(caller: Caller, method: str, path: str, body: Any, status: int) -> None:
    refused = caller.refused(method, path, body, status=status)
    assert refused["detail"]
    assert refused["o:errorCode"]


@pytest.mark.parametrize("record", ["subsidiary", "currency", "term", "accountingPeriod"])
def test_the_set_up_of_the_firm_is_not_the_integrations_to_change(caller: Caller, record: str) -> None:
    refused = caller.refused("PATCH", f"record/v1/{record}/1", {"name": "Mine"}, status=403)
    assert refused["o:errorCode"] == "INSUFFICIENT_PERMISSION"
    assert caller.batch("PUT", record, [{"externalId": "X"}]).status == 403


def test_a_deleted_record_is_gone_and_listed_as_deleted(caller: Caller) -> None:
    internal = caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"})
    assert caller.send("DELETE", f"record/v1/customer/{internal}").status == 204
    assert caller.query("SELECT recordid FROM deletedrecord") == [{"recordid": internal}]
    assert caller.query("SELECT id FROM customer") == []
    caller.put("customer", "CUS-1", companyName="Acme", subsidiary={"id": "2"})  # name and external id are free again


def test_a_field_renamed_by_the_vendor_is_unknown_under_its_old_name(caller: Caller) -> None:
    caller.firm()
    caller.fault("rename_field", object="customer", field="companyName", to="legalName")
    strict = {"x_netsuite_propertynamevalidation": "Error"}
    assert caller.get("customer", "CUS-1")["legalName"] == "Acme GmbH"
    refused = caller.refused("PATCH", "record/v1/customer/eid:CUS-1", {"companyName": "New"}, **strict)
    assert refused["o:errorCode"] == "NONEXISTENT_FIELD"
    caller.patch("customer", "CUS-1", {"legalName": "New"})
    assert caller.query("SELECT legalname FROM customer") == [{"legalname": "New"}]
    schema = json.loads(caller.send("GET", "record/v1/metadata-catalog/customer").body)
    assert {"legalName", "companyName"} & schema["properties"].keys() == {"legalName"}
