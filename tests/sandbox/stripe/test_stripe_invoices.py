"""Invoices: drafts, tax, states, payments, credit notes, refunds and disputes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest


def test_an_invoice_goes_from_draft_to_paid_and_tells_each_step(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 10000)
    assert invoice["status"] == "open"
    assert invoice["number"].endswith("-0001")
    assert invoice["due_date"] == invoice["created"] + 30 * 86400
    caller.simulator.admin("pay_invoice", {"invoice": invoice["id"], "method": "card"})
    paid = caller.get(f"invoices/{invoice['id']}")
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 10000, 0)
    types = [each["type"] for each in caller.events() if each["type"].startswith("invoice.")]
    assert types == [
        "invoice.created",
        "invoice.updated",
        "invoice.updated",
        "invoice.finalized",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_tax_is_worked_out_per_line_and_rounded_half_up(caller: Any) -> None:
    rate = caller.tax_rate("19")
    invoice = caller.draft(caller.customer())
    form = {}
    for number, amount in enumerate((10050, 333, 10)):
        form[f"lines[{number}][amount]"] = amount
        form[f"lines[{number}][tax_rates][0]"] = rate
    shown = caller.post(f"invoices/{invoice}/add_lines", form)
    taxes = [line["taxes"][0]["amount"] for line in shown["lines"]["data"]]
    assert taxes == [1910, 63, 2]  # 1909.5, 63.27, 1.9
    assert (shown["subtotal"], shown["total"], shown["total_excluding_tax"]) == (10393, 12368, 10393)
    assert shown["total_taxes"][0]["amount"] == 1975
    assert shown["total_taxes"][0]["tax_rate_details"] == {"tax_rate": rate}


def test_an_inclusive_rate_is_taken_out_of_the_amount(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 11900, **{"tax_rates][0": caller.tax_rate("19", "true")})
    assert (invoice["total"], invoice["total_excluding_tax"]) == (11900, 10000)
    assert invoice["total_taxes"][0]["amount"] == 1900


def test_a_reverse_charge_customer_pays_no_tax_and_the_line_says_why(caller: Any) -> None:
    customer = caller.customer(tax_exempt="reverse")
    invoice = caller.issued(customer, 10000, **{"tax_rates][0": caller.tax_rate()})
    assert invoice["total"] == 10000
    assert invoice["total_taxes"][0]["taxability_reason"] == "reverse_charge"


def test_yen_have_no_decimals(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 500000, "jpy", **{"tax_rates][0": caller.tax_rate("10")})
    assert (invoice["currency"], invoice["total"]) == ("jpy", 550000)


def test_an_invoice_shows_ten_lines_and_pages_the_rest(caller: Any) -> None:
    invoice = caller.draft(caller.customer())
    form = {f"lines[{number}][amount]": number + 1 for number in range(12)}
    shown = caller.post(f"invoices/{invoice}/add_lines", form)
    assert (len(shown["lines"]["data"]), shown["lines"]["has_more"], shown["total"]) == (10, True, 78)
    rest = caller.get(f"invoices/{invoice}/lines", {"starting_after": shown["lines"]["data"][-1]["id"]})
    assert [line["amount"] for line in rest["data"]] == [11, 12]


def test_an_invoice_item_for_a_draft_becomes_a_line(caller: Any) -> None:
    customer = caller.customer()
    invoice = caller.draft(customer)
    form = {
        "customer": customer,
        "invoice": invoice,
        "amount": 700,
        "currency": "eur",
        "description": "Milestone",
    }
    item = caller.post("invoiceitems", form)["id"]
    line = caller.get(f"invoices/{invoice}")["lines"]["data"][0]
    assert (line["amount"], line["description"]) == (700, "Milestone")
    assert line["parent"]["invoice_item_details"]["invoice_item"] == item


def test_pending_items_wait_until_an_invoice_takes_them(caller: Any) -> None:
    customer = caller.customer()
    caller.post("invoiceitems", {"customer": customer, "amount": 700, "currency": "eur"})
    assert caller.get(f"invoices/{caller.draft(customer)}")["total"] == 0
    taken = caller.draft(customer, pending_invoice_items_behavior="include")
    assert caller.get(f"invoices/{taken}")["total"] == 700
    assert caller.get("invoiceitems", {"pending": "true", "customer": customer})["data"] == []


def test_a_line_can_charge_a_price(caller: Any) -> None:
    form = {
        "id": "MIL-1",
        "name": "Go-live",
        "default_price_data[currency]": "eur",
        "default_price_data[unit_amount]": 250,
    }
    price = caller.post("products", form)["default_price"]
    invoice = caller.draft(caller.customer())
    lines = {"lines[0][pricing][price]": price, "lines[0][quantity]": 3}
    line = caller.post(f"invoices/{invoice}/add_lines", lines)["lines"]["data"][0]
    assert (line["amount"], line["description"], line["quantity"]) == (750, "Go-live", 3)
    assert line["pricing"]["price_details"] == {"price": price, "product": "MIL-1"}


def test_a_line_of_another_currency_is_refused_and_adds_nothing(caller: Any) -> None:
    caller.post("products", {"id": "P", "name": "P"})
    price = caller.post("prices", {"product": "P", "currency": "usd", "unit_amount": 5})["id"]
    invoice = caller.draft(caller.customer())
    form = {"lines[0][amount]": 5, "lines[1][pricing][price]": price}
    assert "must match the currency" in caller.refused("POST", f"invoices/{invoice}/add_lines", form)["message"]
    assert caller.get(f"invoices/{invoice}")["lines"]["data"] == []


def test_a_final_invoice_cannot_be_changed_or_finalised_again(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 100)["id"]
    for path, form in (("add_lines", {"lines[0][amount]": 1}), ("finalize", {})):
        assert caller.refused("POST", f"invoices/{invoice}/{path}", form)["code"] == "invoice_not_editable"
    assert caller.refused("POST", f"invoices/{invoice}", {"days_until_due": 5})["code"] == "invoice_not_editable"
    assert caller.post(f"invoices/{invoice}", {"metadata[a]": "1"})["metadata"] == {"a": "1"}


def test_an_advancing_draft_becomes_final_and_is_sent_after_an_hour(caller: Any) -> None:
    invoice = caller.draft(caller.customer(), auto_advance="true")
    caller.post(f"invoices/{invoice}/add_lines", {"lines[0][amount]": 100})
    caller.shift(minutes=59)
    assert caller.get(f"invoices/{invoice}")["status"] == "draft"
    caller.shift(days=3)
    shown = caller.get(f"invoices/{invoice}")
    assert shown["status"] == "open"
    assert shown["status_transitions"]["finalized_at"] == shown["created"] + 3600  # dated when it was due
    assert caller.events("invoice.sent")


def test_a_draft_that_does_not_advance_stays_a_draft(caller: Any) -> None:
    invoice = caller.draft(caller.customer())
    caller.shift(days=40)
    assert caller.get(f"invoices/{invoice}")["status"] == "draft"
    caller.delete(f"invoices/{invoice}")
    assert caller.refused("GET", f"invoices/{invoice}", status=404)["code"] == "resource_missing"


def test_an_invoice_of_nothing_is_paid_at_once(caller: Any) -> None:
    assert caller.issued(caller.customer(), 0)["status"] == "paid"


def test_an_open_invoice_can_be_voided_or_written_off_but_not_when_paid_in_part(caller: Any) -> None:
    customer = caller.customer()
    one, two, three = (caller.issued(customer, 100)["id"] for _ in range(3))
    assert caller.post(f"invoices/{one}/void")["status"] == "void"
    assert caller.refused("POST", f"invoices/{one}/void")["code"] == "invoice_not_open"
    assert caller.post(f"invoices/{two}/mark_uncollectible")["status"] == "uncollectible"
    caller.simulator.admin("pay_invoice", {"invoice": three, "amount": 40})
    assert "paid in part" in caller.refused("POST", f"invoices/{three}/void")["message"]
    assert caller.simulator.dump()["payment_intent"][0]["status"] == "canceled"


def test_partial_payments_leave_the_invoice_open_until_all_is_there(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 10000)["id"]
    for amount, status, remaining in ((2500, "open", 7500), (2500, "open", 5000), (None, "paid", 0)):
        caller.simulator.admin("pay_invoice", {"invoice": invoice, **({"amount": amount} if amount else {})})
        shown = caller.get(f"invoices/{invoice}")
        assert (shown["status"], shown["amount_remaining"]) == (status, remaining)
    payments = caller.get("invoice_payments", {"invoice": invoice})["data"]
    assert sorted(each["amount_paid"] for each in payments) == [2500, 2500, 5000]
    assert {each["status"] for each in payments} == {"paid"}
    assert len(caller.events("invoice.paid")) == 1
    assert len(caller.events("invoice_payment.paid")) == 3


def test_too_much_money_is_kept_as_the_customers_balance(caller: Any) -> None:
    customer = caller.customer()
    invoice = caller.issued(customer, 100)["id"]
    caller.simulator.admin("pay_invoice", {"invoice": invoice, "amount": 130})
    shown = caller.get(f"invoices/{invoice}")
    assert (shown["status"], shown["amount_paid"], shown["amount_overpaid"]) == ("paid", 100, 30)
    assert caller.get(f"customers/{customer}")["balance"] == -30
    assert caller.events("invoice.overpaid")
    following = caller.issued(customer, 100)
    assert (following["total"], following["amount_due"], following["starting_balance"]) == (100, 70, -30)


def test_money_received_outside_stripe_has_no_charge(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 100)["id"]
    shown = caller.post(f"invoices/{invoice}/pay", {"paid_out_of_band": "true"})
    assert (shown["status"], shown["amount_paid_off_stripe"]) == ("paid", 100)
    assert caller.simulator.dump()["charge"] == []
    assert [each["payment"]["type"] for each in caller.get("invoice_payments", {"status": "paid"})["data"]] == [
        "payment_record"
    ]


def test_a_declined_card_is_402_and_tells_of_the_failure(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 100)["id"]
    form = {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"}
    error = caller.refused("POST", f"invoices/{invoice}/pay", form, 402)
    assert (error["type"], error["code"], error["decline_code"]) == (
        "card_error",
        "card_declined",
        "insufficient_funds",
    )
    shown = caller.get(f"invoices/{invoice}")
    assert (shown["status"], shown["attempt_count"]) == ("open", 1)
    assert len(caller.events("invoice.payment_failed", "payment_intent.payment_failed", "charge.failed")) == 3


def test_an_invoice_not_paid_in_time_is_overdue(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 100)
    caller.shift(days=31)
    overdue = caller.events("invoice.overdue")
    assert [each["data"]["object"]["id"] for each in overdue] == [invoice["id"]]
    assert overdue[0]["created"] == invoice["due_date"]


def test_a_credit_note_lowers_what_is_due_but_never_below_nothing(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    note = caller.post("credit_notes", {"invoice": invoice, "amount": 300, "reason": "order_change"})
    assert (note["type"], note["pre_payment_amount"], note["number"][-5:]) == ("pre_payment", 300, "CN-01")
    assert caller.get(f"invoices/{invoice}")["amount_remaining"] == 700
    assert (
        "more than what can be credited"
        in caller.refused("POST", "credit_notes", {"invoice": invoice, "amount": 701})["message"]
    )
    caller.post("credit_notes", {"invoice": invoice, "amount": 700})
    assert caller.get(f"invoices/{invoice}")["status"] == "paid"


def test_a_credit_note_by_line_carries_its_share_of_tax(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 10000, **{"tax_rates][0": caller.tax_rate()})
    line = invoice["lines"]["data"][0]["id"]
    form = {
        "invoice": invoice["id"],
        "lines[0][type]": "invoice_line_item",
        "lines[0][invoice_line_item]": line,
    }
    note = caller.post("credit_notes", {**form, "lines[0][amount]": 5000})
    assert (note["subtotal"], note["total"], note["total_taxes"][0]["amount"]) == (5000, 5950, 950)
    assert caller.get(f"invoices/{invoice['id']}")["amount_remaining"] == 5950


def test_a_paid_invoice_is_credited_by_refund_or_balance(caller: Any) -> None:
    customer = caller.customer()
    invoice = caller.issued(customer, 1000)["id"]
    caller.simulator.admin("pay_invoice", {"invoice": invoice})
    assert "must equal" in caller.refused("POST", "credit_notes", {"invoice": invoice, "amount": 400})["message"]
    form = {"invoice": invoice, "amount": 400, "refund_amount": 300, "credit_amount": 100}
    note = caller.post("credit_notes", form)
    assert (note["type"], note["post_payment_amount"], len(note["refunds"])) == ("post_payment", 400, 1)
    assert caller.get(f"customers/{customer}")["balance"] == -100
    assert caller.get("refunds")["data"][0]["amount"] == 300
    assert caller.get(f"invoices/{invoice}")["post_payment_credit_notes_amount"] == 400


def test_voiding_a_credit_note_asks_for_the_money_again(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    note = caller.post("credit_notes", {"invoice": invoice, "amount": 300})["id"]
    assert caller.post(f"credit_notes/{note}/void")["status"] == "void"
    assert caller.get(f"invoices/{invoice}")["amount_remaining"] == 1000


def test_a_refund_is_limited_to_the_charge(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    caller.simulator.admin("pay_invoice", {"invoice": invoice})
    charge = caller.get("charges")["data"][0]["id"]
    caller.post("refunds", {"charge": charge, "amount": 600})
    assert "greater than unrefunded" in caller.refused("POST", "refunds", {"charge": charge, "amount": 500})["message"]
    caller.post("refunds", {"charge": charge})
    assert caller.refused("POST", "refunds", {"charge": charge})["code"] == "charge_already_refunded"
    assert [each["data"]["object"]["amount_refunded"] for each in caller.events("charge.refunded")] == [
        600,
        1000,
    ]


@pytest.mark.parametrize(("outcome", "reinstated"), [("won", 1), ("lost", 0)])
def test_a_dispute_is_opened_answered_and_closed(caller: Any, outcome: str, reinstated: int) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    caller.simulator.admin("pay_invoice", {"invoice": invoice, "method": "card"})
    dispute = caller.simulator.admin("dispute_invoice", {"invoice": invoice, "reason": "general"})
    assert dispute["status"] == "needs_response"
    found = caller.get(
        "invoice_payments",
        {"payment[type]": "payment_intent", "payment[payment_intent]": dispute["payment_intent"]},
    )
    assert found["data"][0]["invoice"] == invoice
    answered = caller.post(f"disputes/{dispute['id']}", {"evidence[uncategorized_text]": "signed off"})
    assert answered["status"] == "under_review"
    caller.simulator.admin("close_dispute", {"dispute": dispute["id"], "outcome": outcome})
    assert caller.get(f"disputes/{dispute['id']}")["status"] == outcome
    assert len(caller.events("charge.dispute.funds_reinstated")) == reinstated


def test_an_unpaid_invoice_has_no_charge_to_dispute(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    with pytest.raises(ValueError, match="no undisputed charge"):
        caller.simulator.admin("dispute_invoice", {"invoice": invoice})


def test_an_unknown_admin_action_names_the_known_ones(caller: Any) -> None:
    with pytest.raises(ValueError, match="pay_invoice"):
        caller.simulator.admin("make_rich", {})


def test_updated_events_carry_what_changed(caller: Any) -> None:
    customer = caller.customer()
    caller.post(f"customers/{customer}", {"name": "Acme AG"})
    caller.post(f"customers/{customer}", {"name": "Acme AG"})
    updates = caller.events("customer.updated")
    assert len(updates) == 1
    assert updates[0]["data"]["previous_attributes"] == {"name": "Acme GmbH"}
    assert datetime.fromtimestamp(updates[0]["created"], caller.clock.at.tzinfo) == caller.clock.at


def test_events_are_listed_by_type_and_for_thirty_days(caller: Any) -> None:
    caller.issued(caller.customer(), 100)
    page = caller.get("events", {"types[]": ["invoice.finalized", "customer.*"]})
    assert [row["type"] for row in page["data"]] == ["invoice.finalized", "customer.created"]
    oldest = page["data"][-1]["id"]
    newer = caller.get("events", {"ending_before": oldest, "type": "invoice.*", "limit": 1})
    assert newer["data"][0]["type"] == "invoice.created"
    caller.shift(days=31)
    assert caller.get("events", {"type": "customer.created"})["data"] == []
