"""What the connector writes back, and what becomes of it when things go wrong."""

from __future__ import annotations

from typing import Any

from accord.engine.outcomes import Absent, Committed, Misconfigured, Rejected, Transient, Unknown
from tests.connectors.salesforce.conftest import Desk, money

INVOICE: dict[str, Any] = {
    "id": "INV-1", "deal_id": "DEA-1", "customer_id": "CUS-1", "number": "DE-0001", "legal_entity": "DE",
    "currency": "EUR", "net": money("1000.00"), "tax": money("190.00"), "gross": money("1190.00"), "status": "open",
    "due_on": "2026-12-31", "disputed": False, "lines": [], "origin": "milestone",
}  # fmt: skip


def _ids(desk: Desk) -> dict[str, str]:
    made = desk.org.deal()
    return {"DEA-1": made["deal"], "CUS-1": made["account"]}


async def test_an_invoice_is_shown_to_sales_and_then_changed(desk: Desk) -> None:
    ids = _ids(desk)
    (made,) = await desk.send("invoice", INVOICE, ids=ids)
    assert isinstance(made, Committed)
    assert made.details == {"created": True}
    paid = {**INVOICE, "paid": money("1190.00"), "status": "paid"}
    (again,) = await desk.send("invoice", paid, ids=ids)
    assert again == Committed(made.vendor_id, {"created": False})
    (row,) = desk.org.rows("Invoice__c")
    assert (str(row["Gross__c"]), str(row["Paid__c"]), row["Name"]) == ("1190.00", "1190.00", "DE-0001")
    assert (row["Opportunity__c"], row["Account__c"]) == (ids["DEA-1"], ids["CUS-1"])


async def test_two_hundred_and_one_writes_are_two_calls(desk: Desk) -> None:
    ids = _ids(desk)
    await desk.send("invoice", INVOICE, ids=ids)
    before = len(desk.calls())
    outcomes = await desk.send("invoice", *({**INVOICE, "id": f"INV-{n}"} for n in range(201)), ids=ids)
    assert all(isinstance(each, Committed) for each in outcomes)
    assert len(desk.calls()) == before + 2


async def test_two_writes_of_one_record_go_one_after_the_other(desk: Desk) -> None:
    """Two handovers of one opportunity in a batch: the later one stands."""
    ids = _ids(desk)
    first = {"id": "N-1", "deal_id": "DEA-1", "project_status": "active"}
    outcomes = await desk.send("handover", first, {**first, "id": "N-2", "project_status": "closed"}, ids=ids)
    assert [type(each) for each in outcomes] == [Committed, Committed]
    assert desk.org.row(ids["DEA-1"])["Project_Status__c"] == "closed"


async def test_a_handover_never_changes_the_opportunitys_currency(desk: Desk) -> None:
    ids = _ids(desk)
    body = {"id": "N-1", "deal_id": "DEA-1", "billed": money("10.00", "USD"), "project_number": "P-1"}
    (refused,) = await desk.send("handover", body, ids=ids)
    assert isinstance(refused, Rejected)
    assert refused.code == "currency_differs"
    row = desk.org.row(ids["DEA-1"])
    assert (row["CurrencyIsoCode"], row.get("Billed_Amount__c")) == ("EUR", None)
    (done,) = await desk.send("handover", {**body, "billed": money("0.00")}, ids=ids)
    assert isinstance(done, Committed)
    assert str(row["Billed_Amount__c"]) == "0.00", "an amount of nothing is an amount"


async def test_a_receivable_of_another_currency_is_told_in_words(desk: Desk) -> None:
    ids = _ids(desk)
    body = {"id": "S-1", "customer_id": "CUS-1", "payment_status": "overdue", "receivable": money("99.50")}
    await desk.send("customer_status", body, ids=ids)
    row = desk.org.row(ids["CUS-1"])
    assert (str(row["AR_Balance__c"]), row["Payment_Status__c"]) == ("99.50", "overdue")
    await desk.send("customer_status", {**body, "receivable": money("12000", "JPY")}, ids=ids)
    assert (row["AR_Balance__c"], row["Payment_Status__c"]) == (None, "overdue: 12000 JPY")


async def test_a_notice_is_a_task_of_the_records_owner(desk: Desk) -> None:
    ids = _ids(desk)
    body = {
        "id": "NTC-1",
        "about_kind": "deal",
        "about_id": "DEA-1",
        "subject": "Disputed",
        "text": "Why",
        "urgent": True,
    }
    await desk.send("notice", body, ids=ids)
    (task,) = desk.org.rows("Task")
    assert (task["WhatId"], task["OwnerId"]) == (ids["DEA-1"], desk.org.row(ids["DEA-1"])["OwnerId"])
    assert (task["Priority"], task["Status"]) == ("High", "Not Started")
    desk.org.change(task["Id"], Status="Completed")
    await desk.send("notice", {**body, "text": "More"}, ids=ids)
    assert (task["Description"], task["Status"]) == ("More", "Completed"), "a task that is done stays done"


async def test_a_notice_to_somebody_who_left_falls_to_the_integration_user(desk: Desk) -> None:
    ids = _ids(desk)
    desk.org.change(desk.org.row(ids["CUS-1"])["OwnerId"], IsActive=False)
    body = {"id": "NTC-1", "about_kind": "customer", "about_id": "CUS-1", "subject": "Late", "text": "Pays late"}
    (outcome,) = await desk.send("notice", body, ids=ids)
    assert isinstance(outcome, Committed)
    assert desk.org.rows("Task")[0]["OwnerId"] == desk.simulator.tokens.user["Id"]


async def test_accounts_are_never_made(desk: Desk) -> None:
    (outcome,) = await desk.send("customer", {"id": "CUS-9", "legal_name": "New"})
    assert isinstance(outcome, Rejected)
    assert desk.org.rows("Account") == []


async def test_a_lost_upsert_race_ends_as_an_update(desk: Desk) -> None:
    """DUPLICATE_VALUE on an upsert: somebody else's came first, ours is sent again and finds it."""
    ids = _ids(desk)
    desk.simulator.admin("race_upsert", {"object": "Invoice__c"})
    (outcome,) = await desk.send("invoice", INVOICE, ids=ids)
    assert isinstance(outcome, Committed)
    assert outcome.details == {"created": False}
    assert len(desk.org.rows("Invoice__c")) == 1


async def test_a_busy_row_is_tried_later_and_the_others_are_done(desk: Desk) -> None:
    desk.fault("partial_batch", path="composite/sobjects")
    outcomes = await desk.send("invoice", *({**INVOICE, "id": f"INV-{n}"} for n in range(4)), ids=_ids(desk))
    assert [type(each) for each in outcomes] == [Committed, Transient, Committed, Transient]
    assert "UNABLE_TO_LOCK_ROW" in outcomes[1].reason


async def test_one_bad_record_does_not_harm_the_others(desk: Desk) -> None:
    ids = _ids(desk)
    desk.simulator.admin("add_validation_rule", {"object": "Invoice__c", "name": "no", "when": "Number__c = 'X'",
                                                 "message": "Not X.", "field": "Number__c"})  # fmt: skip
    outcomes = await desk.send("invoice", INVOICE, {**INVOICE, "id": "INV-2", "number": "X"}, ids=ids)
    assert isinstance(outcomes[0], Committed)
    assert outcomes[1] == Rejected("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Not X.", ("Number__c",))


async def test_a_record_locked_by_an_approval_is_a_persons_matter(desk: Desk) -> None:
    ids = _ids(desk)
    desk.simulator.admin("lock_row", {"id": ids["DEA-1"], "reason": "approval"})
    (outcome,) = await desk.send("handover", {"id": "N", "deal_id": "DEA-1", "status": "x"}, ids=ids)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "ENTITY_IS_LOCKED"


async def test_the_days_calls_are_spent(desk: Desk) -> None:
    ids = _ids(desk)
    await desk.send("invoice", INVOICE, ids=ids)
    desk.simulator.admin("set_limit", {"daily_requests": 1})
    (outcome,) = await desk.send("invoice", INVOICE, ids=ids)
    assert isinstance(outcome, Transient)
    assert outcome.overload


async def test_a_missing_external_id_field_pauses_the_connection(desk: Desk) -> None:
    ids = _ids(desk)
    desk.simulator.admin("rename_field", {"object": "Invoice__c", "field": "Accord_Invoice__c", "to": "Other__c"})
    (outcome,) = await desk.send("invoice", INVOICE, ids=ids)
    assert isinstance(outcome, Misconfigured)


async def test_the_probe_tells_an_older_state_from_ours(desk: Desk) -> None:
    ids = _ids(desk)
    assert isinstance(await desk.probe("invoice", INVOICE, ids), Absent)
    await desk.send("invoice", INVOICE, ids=ids)
    assert isinstance(await desk.probe("invoice", INVOICE, ids), Committed)
    newer = {**INVOICE, "status": "paid"}
    assert isinstance(await desk.probe("invoice", newer, ids), Absent), "the update has not happened"


async def test_a_probe_that_gets_no_answer_knows_nothing(desk: Desk) -> None:
    ids = _ids(desk)
    await desk.send("invoice", INVOICE, ids=ids)
    desk.fault("lose_answer", path="/query", times=2)  # a read is tried twice
    assert isinstance(await desk.probe("invoice", INVOICE, ids), Unknown)


async def test_what_is_left_out_is_not_touched_and_none_empties(desk: Desk) -> None:
    ids = _ids(desk)
    await desk.send("handover", {"id": "N", "deal_id": "DEA-1", "project_number": "P-1", "status": "x"}, ids=ids)
    await desk.send("handover", {"id": "N", "deal_id": "DEA-1", "status": None}, ids=ids)
    row = desk.org.row(ids["DEA-1"])
    assert (row["Project_Number__c"], row["Accord_Status__c"]) == ("P-1", None)


async def test_our_client_is_the_origin_of_our_changes(desk: Desk) -> None:
    await desk.send("invoice", INVOICE, ids=_ids(desk))
    assert desk.simulator.org.changes[-1].origin == "Accord"
