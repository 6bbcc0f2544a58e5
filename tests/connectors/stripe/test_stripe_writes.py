"""Writes: each makes one object, whatever is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from accord.connectors.stripe import CONNECTOR
from accord.engine.outcomes import Absent, Committed, Misconfigured, Rejected, Transient, Unknown
from tests.connectors.stripe.conftest import CUSTOMER, INVOICE, MILESTONE, SCHEDULE, TAX_RATE, Desk, line, money


async def test_check_says_who_we_are(desk: Desk) -> None:
    said = await CONNECTOR.check(desk.session)
    assert desk.simulator.account.id in said
    assert "Meridian Consulting Group" in said


async def test_a_customer_is_made_once_with_its_tax_number(desk: Desk) -> None:
    first = await desk.committed("customer", "put", CUSTOMER)
    desk.known.clear()
    again = await desk.committed("customer", "put", CUSTOMER, key="another effect")
    assert first.vendor_id == again.vendor_id
    (row,) = desk.rows("customer")
    assert (row["name"], row["address"]["country"], row["metadata"]["accord_id"]) == ("Acme GmbH", "DE", "CUS-1")
    assert [(each["type"], each["value"]) for each in desk.rows("tax_id")] == [("eu_vat", "DE136695976")]


async def test_a_customer_made_by_hand_is_found_and_marked_as_ours(desk: Desk) -> None:
    by_hand = await desk.session.call("POST", "v1/customers", form={"name": "ACME GmbH"})
    made = await desk.committed("customer", "put", CUSTOMER)
    assert made.vendor_id == by_hand.json()["id"]
    assert desk.rows("customer")[0]["metadata"] == {"accord_id": "CUS-1"}
    assert len(desk.rows("tax_id")) == 1


async def test_two_customers_of_one_name_are_a_persons_decision(desk: Desk) -> None:
    for _ in range(2):
        await desk.session.call("POST", "v1/customers", form={"name": "Acme GmbH"})
    outcome = await desk.send("customer", "put", CUSTOMER)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "ambiguous_customer"
    assert len(desk.rows("customer")) == 2


async def test_a_name_with_quotes_does_not_break_the_search(desk: Desk) -> None:
    body = {**CUSTOMER, "legal_name": 'The "Best" \\ Company'}
    await desk.committed("customer", "put", body)
    assert desk.rows("customer")[0]["name"] == 'The "Best" \\ Company'


@pytest.mark.parametrize(
    ("country", "number", "expected"),
    [
        ("DE", "DE 136 695 976", ("eu_vat", "DE136695976")),
        ("GR", "094259216", ("eu_vat", "EL094259216")),
        ("US", "911144442", ("us_ein", "91-1144442")),
        ("JP", "7010401022916", ("jp_cn", "7010401022916")),
        ("JP", "T7010401022916", ("jp_trn", "T7010401022916")),
    ],
)
async def test_tax_numbers_are_written_as_stripe_wants_them(
    desk: Desk, country: str, number: str, expected: tuple[str, str]
) -> None:
    await desk.committed("customer", "put", {**CUSTOMER, "tax_registration": {"country": country, "number": number}})
    assert [(each["type"], each["value"]) for each in desk.rows("tax_id")] == [expected]


async def test_a_tax_number_stripe_has_no_type_for_is_kept_in_the_metadata(desk: Desk) -> None:
    registration = {"country": "JO", "number": "12345"}
    await desk.committed("customer", "put", {**CUSTOMER, "tax_registration": registration})
    assert desk.rows("customer")[0]["metadata"]["tax_registration"] == "JO 12345"


async def test_a_tax_rate_is_found_by_our_id_and_never_changed(desk: Desk) -> None:
    first = await desk.committed("tax_rate", "put", TAX_RATE)
    desk.known.clear()
    again = await desk.committed("tax_rate", "put", TAX_RATE, key="another effect")
    assert first.vendor_id == again.vendor_id
    other = await desk.send("tax_rate", "put", {**TAX_RATE, "percentage": "20"}, key="a third")
    assert isinstance(other, Rejected)
    assert other.fields == ("percentage",)


async def test_a_milestone_is_a_product_with_our_id_and_a_price_in_one_call(desk: Desk) -> None:
    await desk.committed("scheduled_milestone", "put", MILESTONE)
    assert desk.calls() == 1
    (product,), (price,) = desk.rows("product"), desk.rows("price")
    assert (product["id"], product["name"], product["default_price"]) == ("MIL-1", "Go-live", price["id"])
    assert (price["unit_amount"], price["currency"]) == (123450, "eur")
    assert product["metadata"]["planned_on"] == "2026-12-31"


async def test_a_milestone_of_nothing_and_one_in_yen_keep_their_amounts(desk: Desk) -> None:
    await desk.committed("scheduled_milestone", "put", {**MILESTONE, "amount": money("0.00")})
    await desk.committed("scheduled_milestone", "put", {**MILESTONE, "id": "MIL-2", "amount": money("700000", "JPY")})
    assert [row["unit_amount"] for row in desk.rows("price")] == [0, 700000]


async def test_a_raised_amount_is_a_new_default_price_and_the_old_one_is_archived(desk: Desk) -> None:
    await desk.committed("scheduled_milestone", "put", MILESTONE)
    changed = {**MILESTONE, "amount": money("1500.00"), "planned_on": "2027-01-31"}
    await desk.committed("scheduled_milestone", "put", changed, key="v2", vendor_id="MIL-1")
    (product,) = desk.rows("product")
    old, new = desk.rows("price")
    assert (product["default_price"], product["metadata"]["planned_on"]) == (new["id"], "2027-01-31")
    assert (old["active"], new["active"], new["unit_amount"]) == (False, True, 150000)


async def test_a_cancelled_milestone_is_archived(desk: Desk) -> None:
    await desk.committed("scheduled_milestone", "put", MILESTONE)
    cancelled = {**MILESTONE, "status": "cancelled"}
    await desk.committed("scheduled_milestone", "put", cancelled, key="v2", vendor_id="MIL-1")
    assert desk.rows("product")[0]["active"] is False


async def test_a_recurring_schedule_runs_for_its_months(desk: Desk) -> None:
    await desk.ready()
    done = await desk.committed("recurring_schedule", "put", SCHEDULE)
    assert done.details["status"] == "active"
    desk.simulator.admin("shift_clock", {"seconds": 400 * 86400})
    invoices = desk.rows("invoice")
    assert len(invoices) == 12
    assert {(row["total"], row["total_excluding_tax"], row["currency"]) for row in invoices} == {
        (595000, 500000, "jpy")
    }
    assert invoices[3]["parent"]["subscription_details"]["metadata"]["accord_id"] == "SUB-1"


async def test_a_recurring_schedule_can_change_its_price_and_be_cancelled(desk: Desk) -> None:
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    dearer = changed(("CO-1", "2026-12-01", "600000", 12))
    await desk.committed("recurring_schedule", "put", dearer, key="v2", vendor_id=desk.known["SUB-1"])
    desk.simulator.admin("shift_clock", {"seconds": 35 * 86400})
    assert [row["subtotal"] for row in desk.rows("invoice")] == [500000, 600000]
    cancelled = {**dearer, "status": "cancelled"}
    await desk.committed("recurring_schedule", "put", cancelled, key="v3", vendor_id=desk.known["SUB-1"])
    desk.simulator.admin("shift_clock", {"seconds": 90 * 86400})
    assert len(desk.rows("invoice")) == 2
    assert desk.rows("subscription_schedule")[0]["status"] == "canceled"


def changed(*changes: tuple[str, str, str, int]) -> dict[str, Any]:
    """The schedule after change orders: number, day from which it holds, monthly price, months in all."""
    return {
        **SCHEDULE,
        "changes": [
            {
                "change_order": order, "signed_on": "2026-11-23", "from_on": from_on, "monthly": money(monthly, "JPY"),
                "months": months, "adds": money("0", "JPY"),
            }
            for order, from_on, monthly, months in changes
        ],
    }  # fmt: skip


async def billed_over(desk: Desk, days: int) -> list[int]:
    desk.simulator.admin("shift_clock", {"seconds": days * 86400})
    return [row["subtotal"] for row in desk.rows("invoice")]


@pytest.mark.parametrize(
    ("changes", "billed"),
    [
        # within a period: from the next one on
        ([("CO-1", "2026-12-10", "600000", 12)], [500000] + [600000] * 11),
        # from the day on which a period begins
        ([("CO-1", "2027-01-23", "600000", 12)], [500000] * 2 + [600000] * 10),
        # months later, and back again later still
        ([("CO-1", "2027-02-01", "700000", 12), ("CO-2", "2027-05-23", "500000", 12)],
         [500000] * 3 + [700000] * 3 + [500000] * 6),
        # the one that was agreed last counts from its day on
        ([("CO-1", "2027-02-01", "700000", 12), ("CO-2", "2027-01-10", "400000", 12)], [500000] * 2 + [400000] * 10),
        # fewer months, more months
        ([("CO-1", "2026-12-10", "500000", 3)], [500000] * 3),
        ([("CO-1", "2026-12-10", "500000", 1)], [500000]),
        ([("CO-1", "2027-11-23", "550000", 14)], [500000] * 12 + [550000] * 2),
    ],
)  # fmt: skip
async def test_a_running_schedule_is_billed_by_its_change_orders(
    desk: Desk, changes: list[tuple[str, str, str, int]], billed: list[int]
) -> None:
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    for count in range(1, len(changes) + 1):
        write = {"key": f"v{count + 1}", "vendor_id": desk.known["SUB-1"]}
        await desk.committed("recurring_schedule", "put", changed(*changes[:count]), **write)
    assert await billed_over(desk, 500) == billed
    assert desk.rows("subscription_schedule")[0]["status"] == "completed"


async def test_a_change_that_arrives_late_leaves_what_has_begun_and_holds_from_the_next_period_on(desk: Desk) -> None:
    """A change order of November that billing hears of in January: its settlement is the platform's."""
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    assert await billed_over(desk, 40) == [500000] * 2
    late = {"key": "v2", "vendor_id": desk.known["SUB-1"]}
    await desk.committed("recurring_schedule", "put", changed(("CO-1", "2026-12-10", "600000", 12)), **late)
    assert await billed_over(desk, 500) == [500000] * 2 + [600000] * 10


async def test_a_schedule_that_has_not_begun_is_billed_by_its_change_orders(desk: Desk) -> None:
    await desk.ready()
    later = {"starts_on": "2027-02-01"}
    await desk.committed("recurring_schedule", "put", {**SCHEDULE, **later})
    change = {**changed(("CO-1", "2027-02-01", "450000", 2)), **later}
    await desk.committed("recurring_schedule", "put", change, key="v2", vendor_id=desk.known["SUB-1"])
    assert await billed_over(desk, 400) == [450000] * 2


@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize("fault", ["lose_request", "lose_answer"])
async def test_a_change_whose_answer_is_lost_is_looked_up_and_made_once(desk: Desk, fault: str, call: int) -> None:
    """The schedule is there either way: only its terms say whether the change has arrived."""
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    change = changed(("CO-1", "2026-12-10", "600000", 12))
    write = {"key": "v2", "vendor_id": desk.known["SUB-1"]}
    desk.fault(fault, method="POST", after=call)
    outcome = await desk.send("recurring_schedule", "put", change, **write)
    if isinstance(outcome, Unknown):
        told = await desk.probe("recurring_schedule", "put", change, **write)
        arrived = fault == "lose_answer" and call == 1  # the price is the first call, the schedule the second
        assert isinstance(told, Committed if arrived else Absent)
        if not arrived:
            await desk.committed("recurring_schedule", "put", change, **write, attempt=2)
    assert [row["unit_amount"] for row in desk.rows("price") if row["active"]] == [500000, 600000]
    assert await billed_over(desk, 500) == [500000] + [600000] * 11


async def test_a_cancellation_that_has_not_arrived_is_not_taken_for_done(desk: Desk) -> None:
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    cancelled = {**SCHEDULE, "status": "cancelled"}
    write = {"key": "v2", "vendor_id": desk.known["SUB-1"]}
    assert isinstance(await desk.probe("recurring_schedule", "put", cancelled, **write), Absent)
    await desk.committed("recurring_schedule", "put", cancelled, **write)
    assert isinstance(await desk.probe("recurring_schedule", "put", cancelled, **write), Committed)


async def test_an_invoice_is_issued_in_three_calls_with_stripes_own_amounts(desk: Desk) -> None:
    await desk.ready()
    before = desk.calls()
    done = await desk.committed("invoice", "issue", INVOICE)
    assert desk.calls() - before == 3
    (row,) = desk.rows("invoice")
    assert (row["status"], row["total"], row["metadata"]["accord_id"]) == ("open", 119000, "INV-1")
    assert done.vendor_id == row["id"]
    assert done.details["number"] == row["number"]
    assert (done.details["net"], done.details["tax"], done.details["gross"]) == (
        money("1000.00"),
        money("190.00"),
        money("1190.00"),
    )
    assert done.details["due_on"] > done.details["issued_on"]


async def test_a_long_invoice_is_one_document(desk: Desk) -> None:
    lines = [line("1.00", "0.19", item_id=f"BIL-{number}") for number in range(620)]
    body = {**INVOICE, "lines": lines, "net": money("620.00"), "tax": money("117.80"), "gross": money("737.80")}
    await desk.invoice(body)
    (row,) = desk.rows("invoice")
    assert (row["total"], len(desk.rows("line_item"))) == (73780, 620)
    assert desk.served.journal.total("POST", "add_lines") == 3


async def test_an_invoice_that_adds_up_differently_is_not_issued(desk: Desk) -> None:
    await desk.ready()
    wrong = {**INVOICE, "gross": money("1190.01"), "tax": money("190.01")}
    outcome = await desk.send("invoice", "issue", wrong)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.fields) == ("amounts_differ", ("gross",))
    assert desk.rows("invoice") == []
    right = await desk.send("invoice", "issue", INVOICE, attempt=2)  # the same key, once the cause is mended
    assert isinstance(right, Committed)
    assert len(desk.rows("invoice")) == 1


async def test_an_invoice_for_a_customer_stripe_does_not_know_is_refused_before_any_call(desk: Desk) -> None:
    outcome = await desk.send("invoice", "issue", INVOICE)
    assert isinstance(outcome, Rejected)
    assert outcome.fields == ("customer_id", "lines[0].tax_rate_id")
    assert desk.calls() == 0


STEPS = [("customer", "put", CUSTOMER), ("tax_rate", "put", TAX_RATE), ("scheduled_milestone", "put", MILESTONE)]
STEPS += [("recurring_schedule", "put", SCHEDULE), ("invoice", "issue", INVOICE)]
KINDS = {"customer": "customer", "tax_rate": "tax_rate", "scheduled_milestone": "product", "invoice": "invoice"}
KINDS["recurring_schedule"] = "subscription_schedule"


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer"])
@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize(("kind", "verb", "body"), STEPS, ids=[step[0] for step in STEPS])
async def test_whatever_call_is_lost_the_object_is_made_once(
    desk: Desk, kind: str, verb: str, body: dict[str, Any], call: int, fault: str
) -> None:
    if kind in ("recurring_schedule", "invoice"):
        await desk.ready()
    desk.fault(fault, method="POST", after=call)
    outcome = await desk.send(kind, verb, body)
    if isinstance(outcome, Committed):
        return  # there are fewer calls than that
    assert isinstance(outcome, Unknown)
    told = await desk.probe(kind, verb, body, attempt=2)
    assert isinstance(told, Committed | Absent)
    again = told if isinstance(told, Committed) else await desk.committed(kind, verb, body, attempt=2)
    assert again.vendor_id
    assert len(desk.rows(KINDS[kind])) == 1
    if kind == "invoice":
        assert [(row["status"], row["total"]) for row in desk.rows("invoice")] == [("open", 119000)]


@pytest.mark.parametrize("call", range(3))
async def test_an_invoice_lost_for_longer_than_stripe_keeps_keys_is_still_made_once(desk: Desk, call: int) -> None:
    await desk.ready()
    desk.fault("lose_answer", method="POST", after=call)
    assert isinstance(await desk.send("invoice", "issue", INVOICE), Unknown)
    desk.simulator.admin("shift_clock", {"seconds": 2 * 86400})
    told = await desk.probe("invoice", "issue", INVOICE)
    if isinstance(told, Absent):
        await desk.committed("invoice", "issue", INVOICE, attempt=2)
    assert [(row["status"], row["total"]) for row in desk.rows("invoice")] == [("open", 119000)]
    assert len(desk.rows("line_item")) == 1


async def test_a_500_that_stripe_keeps_does_not_block_the_write_for_a_day(desk: Desk) -> None:
    desk.fault("status", method="POST", path="products", status=500)
    assert isinstance(await desk.send("scheduled_milestone", "put", MILESTONE), Unknown)
    assert isinstance(await desk.probe("scheduled_milestone", "put", MILESTONE), Absent)
    await desk.committed("scheduled_milestone", "put", MILESTONE, attempt=2)
    assert len(desk.rows("product")) == 1


async def test_a_first_send_that_meets_a_kept_500_asks_before_it_tries_again(desk: Desk) -> None:
    desk.fault("status", method="POST", path="products", status=500)
    await desk.send("scheduled_milestone", "put", MILESTONE)
    assert isinstance(await desk.send("scheduled_milestone", "put", MILESTONE), Unknown)
    assert desk.rows("product") == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 429, "retry_after": 3.0}, Transient("", 3.0, overload=True)),
        ({"status": 429, "code": "lock_timeout"}, Transient("")),
        ({"status": 503}, Unknown("")),
        ({"status": 401}, Misconfigured("", "")),
        ({"status": 403, "code": "insufficient_permissions"}, Misconfigured("", "")),
        ({"status": 409, "code": "idempotency_key_in_use"}, Transient("")),
        ({"status": 402, "code": "card_declined"}, Rejected("", "")),
    ],
)
async def test_refusals_are_classed_by_what_to_do_next(desk: Desk, fault: dict[str, Any], expected: Any) -> None:
    desk.fault("status", method="POST", path="products", **fault)
    outcome = await desk.send("scheduled_milestone", "put", MILESTONE)
    assert type(outcome) is type(expected)
    if isinstance(outcome, Transient):
        assert (outcome.retry_after_seconds, outcome.overload) == (expected.retry_after_seconds, expected.overload)
    if not isinstance(outcome, Rejected | Misconfigured):
        await desk.send("scheduled_milestone", "put", MILESTONE, attempt=2)
        assert len(desk.rows("product")) == 1


async def test_a_wrong_key_pauses_the_connection_and_is_nowhere_in_the_message(desk: Desk) -> None:
    old = desk.simulator.keys.secret
    desk.fault("expire_tokens")
    outcome = await desk.send("customer", "put", CUSTOMER)
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == "api_key_expired"
    assert old not in outcome.message


async def test_a_renamed_field_pauses_the_connection(desk: Desk) -> None:
    desk.fault("rename_field", object="product", field="name", to="title")
    outcome = await desk.send("scheduled_milestone", "put", MILESTONE)
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == "parameter_unknown"


async def test_voiding_is_done_once_and_a_paid_invoice_is_not_voided(desk: Desk) -> None:
    done = await desk.invoice()
    await desk.committed("invoice", "void", INVOICE, vendor_id=done.vendor_id)
    assert isinstance(await desk.probe("invoice", "void", INVOICE, vendor_id=done.vendor_id), Committed)
    await desk.committed("invoice", "void", INVOICE, vendor_id=done.vendor_id, key="again")
    other = await desk.committed("invoice", "issue", {**INVOICE, "id": "INV-2"})
    desk.simulator.admin("pay_invoice", {"invoice": other.vendor_id})
    outcome = await desk.send("invoice", "void", {**INVOICE, "id": "INV-2"}, vendor_id=other.vendor_id)
    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize("paid", [None, 59000, 119000])
async def test_a_credit_note_takes_what_is_open_first(desk: Desk, paid: int | None) -> None:
    done = await desk.invoice()
    if paid:
        desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "amount": paid})
    note = {
        "id": "CRN-1",
        "invoice_id": "INV-1",
        "amount": money("800.00"),
        "reason": "agreed",
        "issued_on": "2026-11-23",
    }
    desk.fault("lose_answer", method="POST", path="credit_notes")
    assert isinstance(await desk.send("credit_note", "put", note), Unknown)
    found = await desk.probe("credit_note", "put", note)
    assert isinstance(found, Committed)
    assert (await desk.committed("credit_note", "put", note, attempt=2)).vendor_id == found.vendor_id
    (row,) = desk.rows("credit_note")
    assert row["pre_payment_amount"] == min(80000, 119000 - (paid or 0))


async def test_a_credit_above_the_invoice_is_refused(desk: Desk) -> None:
    await desk.invoice()
    note = {"id": "CRN-1", "invoice_id": "INV-1", "amount": money("1190.01"), "reason": "x", "issued_on": "2026-11-23"}
    assert isinstance(await desk.send("credit_note", "put", note), Rejected)


async def test_a_crash_between_any_two_calls_of_an_invoice_leaves_no_second_draft(desk: Desk) -> None:
    await desk.ready()
    for call in range(3):
        body = {**INVOICE, "id": f"INV-{call}"}
        desk.fault("status", method="POST", path="invoices", after=call, status=503)
        assert not isinstance(await desk.send("invoice", "issue", body), Committed)
        await desk.committed("invoice", "issue", body, attempt=2)
    assert [row["status"] for row in desk.rows("invoice")] == ["open"] * 3
