"""The account's business rules: subsidiaries, names, periods, money."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.netsuite.conftest import Caller


def test_a_customer_must_be_related_to_the_subsidiary_of_its_projects(caller: Caller) -> None:
    caller.firm()
    body = {"companyName": "P", "parent": {"externalId": "CUS-1"}, "subsidiary": {"externalId": "JP"}}
    refused = caller.refused("POST", "record/v1/job", body)
    assert (refused["o:errorCode"], refused["o:errorPath"]) == ("USER_ERROR", "subsidiary")
    relation = {"entity": {"externalId": "CUS-1"}, "subsidiary": {"externalId": "JP"}}
    caller.put("customerSubsidiaryRelationship", "CUS-1-JP", **relation)
    assert caller.send("POST", "record/v1/job", body).status == 204
    assert "already exists" in caller.refused("POST", "record/v1/customerSubsidiaryRelationship", relation)["detail"]


@pytest.mark.parametrize("subsidiary", ["GROUP", "US"])
def test_an_elimination_or_inactive_subsidiary_takes_no_records(caller: Caller, subsidiary: str) -> None:
    caller.simulator.admin("update", {"record": "subsidiary", "external_id": "US", "fields": {"isInactive": True}})
    body = {"companyName": "Acme", "subsidiary": {"externalId": subsidiary}}
    assert caller.refused("POST", "record/v1/customer", body)["o:errorPath"] == "subsidiary"


def test_a_name_is_taken_once_among_customers_and_projects(caller: Caller) -> None:
    caller.firm()
    body = {"companyName": "Q", "entityId": "p-1", "parent": {"externalId": "CUS-1"}}
    refused = caller.refused("POST", "record/v1/job", body)
    assert (refused["o:errorCode"], "already exists" in refused["detail"]) == ("USER_ERROR", True)
    caller.patch("job", "PRJ-1", {"entityId": "P-2"})
    assert caller.send("POST", "record/v1/job", body).status == 204


def test_a_task_hangs_below_a_task_of_its_own_project(caller: Caller) -> None:
    caller.firm()
    caller.put("job", "PRJ-2", companyName="Two", parent={"externalId": "CUS-1"})
    caller.put("projectTask", "A", title="A", project={"externalId": "PRJ-1"})
    strange = {"title": "B", "project": {"externalId": "PRJ-2"}, "parent": {"externalId": "A"}}
    assert caller.refused("POST", "record/v1/projectTask", strange)["o:errorPath"] == "parent"
    caller.put("projectTask", "B", title="B", project={"externalId": "PRJ-1"}, parent={"externalId": "A"})
    circle = {"parent": {"externalId": "B"}}
    assert "below itself" in caller.refused("PATCH", "record/v1/projectTask/eid:A", circle)["detail"]


def test_an_invoice_of_another_customers_project_is_refused(caller: Caller) -> None:
    caller.firm()
    caller.put("customer", "CUS-2", companyName="Other", subsidiary={"externalId": "DE"})
    body = {"entity": {"externalId": "CUS-2"}, "job": {"externalId": "PRJ-1"},
            "item": {"items": [{"item": {"id": "101"}, "amount": 1}]}}  # fmt: skip
    assert caller.refused("POST", "record/v1/invoice", body)["o:errorPath"] == "job"


def test_a_closed_period_refuses_postings_but_not_a_hold(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.simulator.admin("close_period", {"name": "Nov 2026"})
    refused = caller.refused("PATCH", "record/v1/invoice/eid:INV-1", {"item": {"items": [{"line": 1, "amount": 9}]}})
    assert (refused["o:errorPath"], "Nov 2026" in refused["detail"]) == ("postingPeriod", True)
    caller.patch("invoice", "INV-1", {"custbody_accord_hold": True, "custbody_accord_hold_reason": "disputed"})
    assert "closed period" in caller.refused("POST", "record/v1/customerPayment", caller.payment("P", 1, 1))["detail"]
    caller.invoice("INV-2", tranDate="2026-12-01")
    assert caller.get("invoice", "INV-2")["postingPeriod"]["refName"] == "Dec 2026"


def test_due_dates_follow_the_terms(caller: Caller) -> None:
    caller.firm()
    caller.invoice(terms={"id": "4"})
    caller.invoice("INV-2", terms={"id": "4"}, dueDate="2026-12-24")
    assert [caller.get("invoice", each)["dueDate"] for each in ("INV-1", "INV-2")] == ["2027-01-22", "2026-12-24"]


def test_payments_lower_what_is_left_and_cannot_take_more(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    assert caller.send("POST", "record/v1/customerPayment", caller.payment("PAY-1", 700, 600)).status == 204
    payment = caller.get("customerPayment", "PAY-1")
    assert (payment["applied"], payment["unapplied"], payment["total"]) == (600, 100, 700)
    invoice = caller.get("invoice", "INV-1")
    assert (invoice["amountPaid"], invoice["amountRemaining"], invoice["status"]["id"]) == (600, 590, "open")
    over = caller.refused("POST", "record/v1/customerPayment", caller.payment("PAY-2", 900, 590.01))
    assert over["o:errorPath"] == "apply.items[0].amount"
    more = caller.refused("POST", "record/v1/customerPayment", caller.payment("PAY-2", 100, 590))
    assert more["o:errorPath"] == "apply"
    caller.put("customerPayment", "PAY-2", **caller.payment("PAY-2", 590, 590))
    caller.put("customerPayment", "PAY-2", **caller.payment("PAY-2", 590, 590))
    assert caller.get("invoice", "INV-1")["status"] == {"id": "paidInFull", "refName": "Paid In Full"}


def test_a_smaller_application_gives_back_and_a_smaller_invoice_is_refused(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.put("customerPayment", "PAY-1", **caller.payment("PAY-1", 1190, 1190))
    less = {"item": {"items": [{"line": 1, "amount": 1}]}}
    assert "cannot be less" in caller.refused("PATCH", "record/v1/invoice/eid:INV-1", less)["detail"]
    caller.patch("customerPayment", "PAY-1", {"apply": caller.payment("", 0, 190)["apply"]}, {"replace": "apply"})
    assert caller.get("invoice", "INV-1")["amountRemaining"] == 1000


def test_a_credit_memo_takes_off_like_a_payment(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    items = {"items": [{"item": {"id": "101"}, "amount": 100, "taxAmount": 19}]}
    apply = {"items": [{"doc": {"externalId": "INV-1"}, "apply": True}]}
    wrong = {"entity": {"externalId": "CUS-1"}, "item": items, "apply": apply}
    assert "more than the amount" in caller.refused("POST", "record/v1/creditMemo", wrong)["detail"]
    apply["items"][0]["amount"] = 119
    caller.put("creditMemo", "CRN-1", **wrong)
    assert caller.get("creditMemo", "CRN-1")["status"]["id"] == "fullyApplied"
    assert caller.get("invoice", "INV-1")["amountRemaining"] == 1071


def test_the_balance_of_a_customer_is_what_is_open_in_the_base_currency(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    assert caller.get("customer", "CUS-1")["balance"] == 1285.2  # 1,190 EUR at 1.08
    caller.simulator.admin("shift_clock", {"seconds": 86400})
    assert caller.get("customer", "CUS-1")["overdueBalance"] == 1285.2


def test_amounts_are_rounded_to_the_currency(caller: Caller) -> None:
    caller.firm()
    relation = {"entity": {"externalId": "CUS-1"}, "subsidiary": {"externalId": "JP"}}
    caller.put("customerSubsidiaryRelationship", "R", **relation)
    yen: dict[str, Any] = {"currency": {"externalId": "JPY"}, "subsidiary": {"externalId": "JP"}}
    caller.invoice("INV-J", 1000.5, 100.4, **yen)
    assert caller.get("invoice", "INV-J")["total"] == 1101
    caller.invoice("INV-E", 0.005, 0)
    assert caller.get("invoice", "INV-E")["total"] == 0.01


def test_an_invoice_without_lines_or_item_is_refused(caller: Caller) -> None:
    caller.firm()
    entity = {"entity": {"externalId": "CUS-1"}}
    assert caller.refused("POST", "record/v1/invoice", entity)["o:errorPath"] == "item"
    no_item = {**entity, "item": {"items": [{"amount": 5}]}}
    assert caller.refused("POST", "record/v1/invoice", no_item)["o:errorPath"] == "item.items[0].item"
    no_amount = {**entity, "item": {"items": [{"item": {"id": "101"}}]}}
    assert caller.refused("POST", "record/v1/invoice", no_amount)["o:errorPath"] == "item.items[0].amount"


def test_what_others_need_cannot_be_deleted(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.put("customerPayment", "PAY-1", **caller.payment("PAY-1", 10, 10))
    for record, external_id in (("customer", "CUS-1"), ("invoice", "INV-1")):
        refused = caller.refused("DELETE", f"record/v1/{record}/eid:{external_id}")
        assert "dependent records" in refused["detail"]


def test_a_deleted_payment_gives_the_money_back(caller: Caller) -> None:
    caller.firm()
    caller.invoice()
    caller.put("customerPayment", "PAY-1", **caller.payment("PAY-1", 1190, 1190))
    assert caller.send("DELETE", "record/v1/customerPayment/eid:PAY-1").status == 204
    held = caller.get("invoice", "INV-1")
    assert (held["amountRemaining"], held["status"]["id"]) == (1190, "open")


def test_a_project_becomes_an_invoice_by_transform(caller: Caller) -> None:
    caller.firm()
    items = {"item": {"items": [{"item": {"id": "101"}, "amount": 100}]}}
    answer = caller.send("POST", "record/v1/job/eid:PRJ-1/!transform/invoice", items)
    path = answer.headers["location"].partition("/services/rest/")[2]
    invoice = json.loads(caller.send("GET", path).body)
    assert (invoice["entity"]["externalId"], invoice["job"]["externalId"], invoice["total"]) == ("CUS-1", "PRJ-1", 100)
