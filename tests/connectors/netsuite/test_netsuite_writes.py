"""Writes: each makes one record, by the rules of the account, whatever is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from accord.connect.registry import open_session
from accord.connectors.netsuite import CONNECTOR, concurrency_limit
from accord.connectors.netsuite.calls import holds
from accord.engine.outcomes import Absent, Committed, Misconfigured, Rejected, Transient, Unknown
from accord.errors import UsageError
from tests.connectors.netsuite.conftest import CUSTOMER, INVOICE, PAYMENT, PROJECT, TASK, Desk, connection_to, money


async def test_check_says_who_we_are_and_how_many_calls_may_run(desk: Desk) -> None:
    said = await CONNECTOR.check(desk.session)
    assert "1234567_SB1" in said
    assert "3 Meridian Deutschland GmbH" in said
    assert "100 calls at once" in said
    assert await concurrency_limit(desk.session) == 100


async def test_an_rsa_certificate_logs_in_too(desk: Desk) -> None:
    stored = connection_to(desk.served, **desk.simulator.logins.credentials("PS256"))
    credentials = {**stored.credentials, "private_key": stored.config["private_key"]}
    connection = replace(stored, credentials=credentials)
    async with open_session(connection, now=lambda: datetime.now(UTC), table=CONNECTOR) as session:
        assert "1234567_SB1" in await CONNECTOR.check(session)


@pytest.mark.parametrize(
    ("given", "secret"),
    [({"client_id": "c", "certificate_id": "i", "private_key": "k"}, "k"),
     ({"consumer_key": "c", "consumer_secret": "s", "token_id": "t", "token_secret": "ts"}, "ts")],
)  # fmt: skip
def test_the_login_follows_from_the_credentials(given: dict[str, str], secret: str) -> None:
    made = CONNECTOR.auth({"account_id": "1234567-sb1", **given})
    assert secret in made.secrets()
    assert CONNECTOR.base_url({"account_id": "1234567_SB1"}) == "https://1234567-sb1.suitetalk.api.netsuite.com"


def test_no_login_is_said_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="private_key"):
        CONNECTOR.auth({"account_id": "1"})


async def test_a_customer_is_made_with_its_first_entity_and_related_to_the_others(desk: Desk) -> None:
    await desk.committed("customer", CUSTOMER)
    (row,) = desk.rows("customer")
    assert (row["externalId"], row["companyName"], row["subsidiary"]["id"]) == ("CUS-1", "Acme GmbH", "3")
    assert (row["currency"]["refName"], row["terms"]["refName"], row["vatRegNumber"]) == (
        "Euro",
        "Net 30",
        "DE136695976",
    )
    relations = desk.rows("customerSubsidiaryRelationship")
    assert [(each["subsidiary"]["id"], each["isPrimarySub"]) for each in relations] == [("3", True), ("2", False)]


async def test_a_customer_written_again_keeps_its_primary_subsidiary_and_gains_a_relation(desk: Desk) -> None:
    await desk.committed("customer", CUSTOMER)
    changed = {**CUSTOMER, "entities": ["JP", "DE", "US"], "email": "new@acme.example"}
    await desk.committed("customer", changed, key="v2", vendor_id=desk.known["CUS-1"])
    (row,) = desk.rows("customer")
    assert (row["subsidiary"]["id"], row["email"]) == ("3", "new@acme.example")
    assert [each["subsidiary"]["id"] for each in desk.rows("customerSubsidiaryRelationship")] == ["3", "2", "4"]


async def _by_hand(desk: Desk, **fields: Any) -> str:
    body = {"companyName": "Acme GmbH", "subsidiary": {"id": "3"}, **fields}
    answer = await desk.session.call("POST", "services/rest/record/v1/customer", json=body)
    assert answer.status == 204, answer.text()
    return answer.headers["location"].rpartition("/")[2]


async def test_a_customer_made_by_hand_is_found_and_marked_as_ours(desk: Desk) -> None:
    by_hand = await _by_hand(desk)
    (done,) = await desk.committed("customer", CUSTOMER)
    assert done.vendor_id == by_hand
    (row,) = desk.rows("customer")
    assert row["externalId"] == "CUS-1"
    assert len(desk.rows("customerSubsidiaryRelationship")) == 2


async def test_another_integrations_external_id_is_left_alone(desk: Desk) -> None:
    by_hand = await _by_hand(desk, externalId="LEGACY-7")
    (done,) = await desk.committed("customer", CUSTOMER)
    assert done.vendor_id == by_hand
    (row,) = desk.rows("customer")
    assert (row["externalId"], row["email"]) == ("LEGACY-7", "ap@acme.example")
    await desk.committed("project", PROJECT)  # it refers to the customer by NetSuite's id
    assert desk.rows("job")[0]["parent"]["id"] == by_hand
    assert isinstance(await desk.probe("customer", CUSTOMER, vendor_id=by_hand), Committed)


async def test_a_customer_of_ours_with_the_same_name_is_another_one(desk: Desk) -> None:
    await desk.committed("customer", CUSTOMER)
    await desk.committed("customer", {**CUSTOMER, "id": "CUS-2"})
    assert sorted(row["externalId"] for row in desk.rows("customer")) == ["CUS-1", "CUS-2"]


async def test_two_customers_of_one_name_are_a_persons_decision(desk: Desk) -> None:
    await _by_hand(desk)
    await _by_hand(desk)
    outcome = await desk.one("customer", CUSTOMER)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "ambiguous_customer"


async def test_a_name_with_quotes_does_not_break_the_query(desk: Desk) -> None:
    await desk.committed("customer", {**CUSTOMER, "legal_name": "L'Oréal 'x'); DROP TABLE customer; --"})
    assert desk.rows("customer")[0]["companyName"].startswith("L'Oréal")


async def test_a_hundred_customers_cost_few_calls(desk: Desk) -> None:
    await CONNECTOR.check(desk.session)
    before = len(desk.calls())
    bodies = [{**CUSTOMER, "id": f"CUS-{n}", "legal_name": f"Customer {n}"} for n in range(100)]
    outcomes = await desk.committed("customer", *bodies)
    assert len({each.vendor_id for each in outcomes}) == 100
    assert len(desk.rows("customerSubsidiaryRelationship")) == 200
    assert len(desk.calls()) - before <= 10  # chart, look-up, two jobs of submit, looks and result
    assert len(desk.calls("PUT.*/customer$")) == 1


async def test_found_and_new_customers_in_one_batch_keep_their_order(desk: Desk) -> None:
    ids = [await _by_hand(desk, companyName=f"Customer {n}") for n in (1, 3)]
    bodies = [{**CUSTOMER, "id": f"CUS-{n}", "legal_name": f"Customer {n}"} for n in range(5)]
    outcomes = await desk.committed("customer", *bodies)
    assert [outcomes[1].vendor_id, outcomes[3].vendor_id] == ids
    rows = {row["externalId"]: row["companyName"] for row in desk.rows("customer")}
    assert rows == {f"CUS-{n}": f"Customer {n}" for n in range(5)}


async def test_an_entity_without_subsidiary_is_refused_before_any_write(desk: Desk) -> None:
    outcome = await desk.one("customer", {**CUSTOMER, "entities": ["DE", "FR"]})
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.fields) == ("unknown_subsidiary", ("legal_entity",))
    assert desk.rows("customer") == []


async def test_a_project_and_its_tasks(desk: Desk) -> None:
    await desk.project()
    phase = {"id": "TSK-0", "project_id": "PRJ-1", "name": "Phase 1"}
    await desk.committed("task", phase)
    await desk.committed("task", {**TASK, "parent_id": "TSK-0"})
    (job,) = desk.rows("job")
    assert (job["entityId"], job["subsidiary"]["id"], job["currency"]["refName"]) == ("P-1-DE", "3", "Euro")
    assert (job["custentity_accord_engagement"], job["entityStatus"]["refName"]) == ("DEA-1", "In Progress")
    milestone = desk.rows("projectTask")[1]
    assert (milestone["parent"]["externalId"], milestone["custevent_accord_milestone"]) == ("TSK-0", "MIL-1")
    assert (milestone["custevent_milestone_amount"], milestone["custevent_milestone_currency"]) == (95000.5, "EUR")
    assert (milestone["startDateTime"], milestone["endDate"]) == ("2026-12-01T00:00:00Z", "2026-12-31")


async def test_a_milestone_put_again_does_not_take_back_its_approval(desk: Desk) -> None:
    await desk.project()
    await desk.committed("task", TASK)
    desk.simulator.admin("approve_milestone", {"external_id": "MIL-1"})
    await desk.committed("task", {**TASK, "amount": money("99000.00")}, key="v2")
    (row,) = desk.rows("projectTask")
    assert (row["custevent_milestone_approved"], row["custevent_milestone_amount"]) == (True, 99000)


async def test_a_project_can_be_closed_and_loses_its_end(desk: Desk) -> None:
    await desk.project()
    await desk.committed("project", {**PROJECT, "ends_on": "2027-01-31"}, key="v2")
    await desk.committed("project", {**PROJECT, "status": "closed"}, key="v3")
    (job,) = desk.rows("job")
    assert job["entityStatus"]["id"] == "1"
    assert "projectedEndDate" not in job


async def test_a_project_number_that_is_taken_is_refused_with_netsuites_words(desk: Desk) -> None:
    await desk.project()
    outcome = await desk.one("project", {**PROJECT, "id": "PRJ-2"})
    assert isinstance(outcome, Rejected)
    assert outcome.code == "USER_ERROR"
    assert "already exists" in outcome.message


async def test_an_invoice_put_three_times_has_its_lines_once(desk: Desk) -> None:
    """The trap: without ?replace= a second write would append the lines to those of the first."""
    await desk.project()
    await desk.committed("invoice", {**INVOICE, "lines": INVOICE["lines"] * 3}, key="v0")
    await desk.committed("invoice", INVOICE)
    await desk.committed("invoice", INVOICE, key="again")
    assert desk.rows("invoice")[0]["total"] == 113050.6
    shorter = {**INVOICE, "lines": [{**INVOICE["lines"][0], "net": money("10.00"), "tax": money("1.90")}]}
    await desk.committed("invoice", shorter, key="v2")
    (row,) = desk.rows("invoice")
    assert [(line["amount"], line["taxAmount"]) for line in row["item"]["items"]] == [(10, 1.9)]
    assert (row["total"], row["otherRefNum"], row["custbody_accord_billing_id"]) == (11.9, "A-0001", "in_1")


async def test_amounts_in_yen_and_of_nothing_arrive_exactly(desk: Desk) -> None:
    await desk.committed("customer", {**CUSTOMER, "entities": ["JP"], "currency": "JPY"})
    line = {"item_id": "BIL-1", "text": "Go-live", "net": money("12500000", "JPY"), "tax": money("0", "JPY")}
    yen = {**INVOICE, "currency": "JPY", "legal_entity": "JP", "project_id": None, "lines": [line]}
    await desk.committed("invoice", yen)
    free = {**yen, "id": "INV-0", "lines": [{**line, "net": money("0", "JPY")}]}
    await desk.committed("invoice", free)
    assert [row["total"] for row in desk.rows("invoice")] == [12500000, 0]


async def test_a_payment_in_part_and_the_rest(desk: Desk) -> None:
    await desk.invoice()
    await desk.committed("payment", PAYMENT)
    await desk.committed("payment", PAYMENT, key="again")
    await desk.committed("payment", {**PAYMENT, "id": "PAY-2", "amount": money("63050.60")})
    (invoice,) = desk.rows("invoice")
    assert (invoice["status"]["id"], invoice["amountPaid"], invoice["amountRemaining"]) == ("paidInFull", 113050.6, 0)
    assert len(desk.rows("customerPayment")) == 2
    outcome = await desk.one("payment", {**PAYMENT, "id": "PAY-3", "amount": money("0.01")})
    assert isinstance(outcome, Rejected)
    assert "cannot be applied" in outcome.message


async def test_a_payment_moved_to_another_invoice_leaves_the_first(desk: Desk) -> None:
    await desk.invoice()
    await desk.committed("invoice", {**INVOICE, "id": "INV-2"})
    await desk.committed("payment", PAYMENT)
    await desk.committed("payment", {**PAYMENT, "invoice_id": "INV-2"}, key="v2")
    paid = {row["externalId"]: row["amountPaid"] for row in desk.rows("invoice")}
    assert paid == {"INV-1": 0, "INV-2": 50000}


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("task", {**TASK, "amount": money("1.00")}), ("invoice", {**INVOICE, "lines": INVOICE["lines"] * 2}),
     ("payment", {**PAYMENT, "amount": money("1.00")}), ("project", {**PROJECT, "status": "closed"}),
     ("customer", {**CUSTOMER, "entities": ["DE", "US", "JP"]}), ("customer", {**CUSTOMER, "email": "x@y.example"})],
)  # fmt: skip
async def test_an_older_state_is_as_good_as_none_to_the_probe(desk: Desk, kind: str, changed: dict[str, Any]) -> None:
    await desk.invoice()
    await desk.committed("task", TASK)
    await desk.committed("payment", PAYMENT)
    before = {"task": TASK, "invoice": INVOICE, "payment": PAYMENT, "project": PROJECT, "customer": CUSTOMER}[kind]
    assert isinstance(await desk.probe(kind, before), Committed)
    assert isinstance(await desk.probe(kind, changed), Absent)


async def test_a_closed_period_is_a_refusal_for_a_person(desk: Desk) -> None:
    await desk.project()
    desk.simulator.admin("close_period", {"name": "Nov 2026"})
    outcome = await desk.one("invoice", INVOICE)
    assert isinstance(outcome, Rejected)
    assert outcome.fields == ("postingPeriod",)
    assert "Nov 2026" in outcome.message
    desk.simulator.admin("open_period", {"on": "2026-11-23"})
    await desk.committed("invoice", INVOICE)


async def test_a_receivable_is_held_and_released(desk: Desk) -> None:
    await desk.invoice()
    hold = {"id": "INV-1", "on_hold": True, "reason": "fraudulent"}
    assert isinstance(await desk.probe("receivable_hold", hold), Absent)
    await desk.committed("receivable_hold", hold)
    (row,) = desk.rows("invoice")
    assert (row["custbody_accord_hold"], row["custbody_accord_hold_reason"]) == (True, "fraudulent")
    assert isinstance(await desk.probe("receivable_hold", hold), Committed)
    await desk.committed("receivable_hold", {"id": "INV-1", "on_hold": False})
    assert desk.rows("invoice")[0]["custbody_accord_hold"] is False
    assert "custbody_accord_hold_reason" not in desk.rows("invoice")[0]


async def test_a_hold_of_an_invoice_that_is_not_there_makes_none(desk: Desk) -> None:
    outcome = await desk.one("receivable_hold", {"id": "INV-404", "on_hold": True})
    assert isinstance(outcome, Rejected)
    assert outcome.code == "NONEXISTENT_ID"
    assert desk.rows("invoice") == []


async def test_a_credit_note_is_applied_with_its_share_of_tax(desk: Desk) -> None:
    await desk.invoice()
    credit = {"id": "CRN-1", "invoice_id": "INV-1", "amount": money("11305.06"), "reason": "goodwill",
              "issued_on": "2026-11-23"}  # fmt: skip
    await desk.committed("credit_note", credit)
    await desk.committed("credit_note", credit, key="again")
    (memo,) = desk.rows("creditMemo")
    assert (memo["subtotal"], memo["taxTotal"], memo["status"]["id"]) == (9500.05, 1805.01, "fullyApplied")
    assert desk.rows("invoice")[0]["amountRemaining"] == 101745.54


TASKS = [{**TASK, "id": f"TSK-{n}", "milestone_id": f"MIL-{n}", "name": f"Task {n}"} for n in range(6)]


async def test_half_of_a_batch_is_changed_by_another_and_tried_again(desk: Desk) -> None:
    await desk.project()
    desk.fault("partial_batch")
    outcomes = await desk.send("task", *TASKS)
    assert [type(each) for each in outcomes] == [Committed, Transient] * 3
    again = [task for task, outcome in zip(TASKS, outcomes, strict=True) if isinstance(outcome, Transient)]
    await desk.committed("task", *again, attempt=2)
    assert sorted(row["externalId"] for row in desk.rows("projectTask")) == [f"TSK-{n}" for n in range(6)]


async def test_a_lost_answer_to_a_batch_finds_the_same_job_again(desk: Desk) -> None:
    """The key is made of the writes' own keys: the second submission is answered with the first job."""
    await desk.project()
    desk.fault("lose_answer", method="PUT", path="projectTask$")
    first = await desk.send("task", *TASKS)
    assert all(isinstance(each, Unknown) for each in first)
    second = await desk.committed("task", *TASKS, attempt=2)
    assert [each.vendor_id for each in second] == [row["id"] for row in desk.rows("projectTask")]
    assert [row["lastModifiedDate"] == row["createdDate"] for row in desk.rows("projectTask")] == [True] * 6
    assert desk.simulator.jobs.waiting() == 0
    assert len(desk.calls("PUT.*projectTask")) == 2


async def test_a_batch_sent_again_in_another_order_gives_each_write_its_own_record(desk: Desk) -> None:
    """The job of the first attempt answers in its own order: read in another, each customer would get another's id."""
    acme, other = CUSTOMER, {**CUSTOMER, "id": "CUS-2", "legal_name": "Beta GmbH"}
    desk.fault("lose_answer", method="PUT", path="customer$")
    lost = await desk.send("customer", acme, other)
    assert [type(each) for each in lost] == [Unknown, Unknown]
    done = await desk.send("customer", other, acme)
    ids = {row["externalId"]: row["id"] for row in desk.rows("customer")}
    assert [each.vendor_id for each in done if isinstance(each, Committed)] == [ids["CUS-2"], ids["CUS-1"]]


async def test_what_an_earlier_job_refused_is_sent_once_more(desk: Desk) -> None:
    """A person corrects the cause and retries: the old job's refusal must not come back for ever."""
    await desk.project()
    bad = [{**each, "parent_id": "TSK-P"} for each in TASKS[:2]]
    refused = await desk.send("task", *bad)
    assert all(isinstance(each, Rejected) for each in refused)
    parent = {"externalId": "TSK-P", "project": {"externalId": "PRJ-1"}, "title": "Phase"}
    await desk.session.call("POST", "services/rest/record/v1/projectTask", json=parent)
    await desk.committed("task", *bad, attempt=2)
    assert len(desk.rows("projectTask")) == 3


async def test_a_job_that_never_ends_is_unknown_and_the_probe_decides(desk: Desk) -> None:
    await desk.project()
    desk.simulator.admin("set_pace", {"queue_seconds": 3600})
    desk.session.config = {**desk.session.config, "job_seconds": 0.2}
    outcomes = await desk.send("task", *TASKS)
    assert all(isinstance(each, Unknown) for each in outcomes)
    assert isinstance(await desk.probe("task", TASKS[0]), Absent)


async def test_looking_after_a_job_survives_overload_and_lost_answers(desk: Desk) -> None:
    await desk.project()
    desk.fault("status", method="GET", path="async", status=429)
    desk.fault("lose_answer", method="GET", path="result")
    desk.fault("status", method="GET", path="task$", status=503)
    await desk.committed("task", *TASKS)


@pytest.mark.parametrize(
    "setting", [("batch_result", "task_per_record"), ("list_progress", False), ("locate_upserts", False)]
)
async def test_what_is_not_documented_may_be_either_way(desk: Desk, setting: tuple[str, Any]) -> None:
    name, value = setting
    target: Any = desk.simulator.records if name == "locate_upserts" else desk.simulator.jobs
    setattr(target, name, value)
    await desk.project()
    outcomes = await desk.committed("task", *TASKS)
    assert [each.vendor_id for each in outcomes] == [row["id"] for row in desk.rows("projectTask")]


async def test_an_account_that_wants_the_external_id_under_id(desk: Desk) -> None:
    await desk.project()
    desk.simulator.records.batch_id_field = "id"
    desk.session.config = {**desk.session.config, "batch_id_field": "id"}
    await desk.committed("task", *TASKS)
    assert len(desk.rows("projectTask")) == 6


async def test_a_batch_refused_as_a_whole_is_sent_one_by_one(desk: Desk) -> None:
    await desk.project()
    desk.fault("status", method="PUT", path="projectTask$", status=400, code="INVALID_CONTENT")
    await desk.committed("task", *TASKS)
    assert len(desk.calls("PUT.*projectTask/eid")) == 6


async def test_a_firms_own_field_names_are_written(desk: Desk) -> None:
    await desk.project()
    desk.session.config = {**desk.session.config, "fields": {"task": {"milestone_id": "message"}}}
    await desk.committed("task", TASK)
    assert desk.rows("projectTask")[0]["message"] == "MIL-1"


async def test_a_renamed_field_pauses_the_connection_instead_of_being_dropped(desk: Desk) -> None:
    await desk.project()
    desk.fault("rename_field", object="projectTask", field="custevent_milestone_amount", to="custevent_price")
    outcome = await desk.one("task", TASK)
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == "NONEXISTENT_FIELD"


async def test_what_looks_like_a_login_problem_under_overload_does_not_pause(desk: Desk) -> None:
    await desk.project()
    desk.simulator.admin("set_concurrency", {"limit": 1, "answer": "slow_login", "slow_seconds": 0})
    desk.simulator.governance.under_way = 1
    outcome = await desk.one("task", TASK)
    assert isinstance(outcome, Transient)
    assert outcome.overload


async def test_a_sandbox_refresh_is_misconfigured(desk: Desk) -> None:
    await CONNECTOR.check(desk.session)
    desk.simulator.admin("refresh_sandbox", {})
    outcome = await desk.one("task", TASK)
    assert isinstance(outcome, Misconfigured)


async def test_the_account_is_asked_for_its_ids_when_the_settings_do_not_say_them(desk: Desk) -> None:
    desk.session.config = {**desk.session.config, "subsidiaries": {}}
    await desk.project()
    assert desk.rows("job")[0]["subsidiary"]["externalId"] == "DE"
    assert len(desk.calls("suiteql")) == 2  # the chart, and the customer's look-up


@pytest.mark.parametrize(
    ("held", "written", "same"),
    [
        ({"id": "3", "externalId": "DE"}, {"externalId": "DE"}, True),
        ({"id": "3", "externalId": "DE"}, {"id": "4"}, False),
        (113050.6, 113050.60, True),
        (None, None, True),
        (None, False, True),
        (True, False, False),
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00.000+00:00", True),
        ({"id": "open", "refName": "Open"}, "open", True),
        ({"items": [{"line": 1, "amount": 5}]}, {"items": [{"line": 1, "amount": 5}, {"line": 2, "amount": 5}]}, False),
        ("Acme", None, False),
        ("Acme", "Acne", False),
    ],
)
def test_the_probe_compares_what_was_written_with_what_is_there(held: Any, written: Any, same: Any) -> None:
    assert holds(held, written) is same
