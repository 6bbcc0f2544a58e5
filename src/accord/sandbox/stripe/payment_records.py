"""Payments that were made elsewhere and are reported: a transfer to the bank, or money that was there already."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes
from accord.sandbox.stripe.invoice_states import count, in_state
from accord.sandbox.stripe.payments import new_invoice_payment
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json

OUTCOMES = ("guaranteed", "failed", "canceled")


def report_payment(call: Call) -> Json:
    form, account = call.form, call.account
    asked = form.inside("amount_requested")
    if asked is None:
        raise form.missing("amount_requested")
    value, currency = asked.integer("value", low=1), asked.required("currency")
    if value is None:
        raise asked.missing("value")
    initiated = form.integer("initiated_at")
    if initiated is None:
        raise form.missing("initiated_at")
    details = form.inside("payment_method_details")
    if details is None:
        raise form.missing("payment_method_details")
    details.choice("type", ("custom",))
    details.set_aside("custom", "billing_details", "payment_method")
    outcome = form.choice("outcome", OUTCOMES)
    customer = form.inside("customer_details")
    whose = None if customer is None else customer.text("customer")
    if customer is not None:
        customer.set_aside("email", "name", "phone")
    metadata, description = form.metadata(), form.text("description")
    form.set_aside("guaranteed", "customer_presence", "processor_details", "shipping_details")
    form.not_simulated("failed", "canceled")
    form.close()
    if outcome != "guaranteed":
        raise refused("The sandbox reports payments that were made only: outcome guaranteed.", param="outcome")
    amount = {"currency": currency.lower(), "value": value}
    return account.create(
        {
            "id": account.new_id("payment_record"),
            "object": "payment_record",
            "amount": amount,
            "amount_guaranteed": amount,
            "amount_requested": amount,
            "created": account.now(),
            "customer_details": {"customer": whose, "email": None, "name": None, "phone": None},
            "description": description,
            "initiated_at": initiated,
            "livemode": False,
            "metadata": metadata,
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Reported", "type": None}},
            "reported_by": "self",
        }
    )


def attach_payment(call: Call) -> Json:
    form, account = call.form, call.account
    record_id, intent_id = form.text("payment_record"), form.text("payment_intent")
    form.close()
    if (record_id is None) == (intent_id is None):
        raise invalid("One of these parameters must be given: payment_intent, payment_record.", "payment_intent")
    invoice = in_state(account, call.ids[0], "open", "uncollectible")
    if record_id is not None:
        return attach(account, invoice, record_id)
    intent = account.find("payment_intent", str(intent_id), "payment_intent")
    if intent["customer"] != invoice["customer"] or intent["currency"] != invoice["currency"]:
        raise refused("The PaymentIntent has another customer or currency than the invoice.", param="payment_intent")
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    link = new_invoice_payment(account, invoice, intent["amount"], payment, is_default=False)
    if intent["status"] == "succeeded":
        count(account, invoice, link, intent["amount"])
    return invoice


def attach(account: Account, invoice: Json, record_id: str) -> Json:
    """Count a reported payment against an invoice; a record pays once."""
    record = account.find("payment_record", record_id, "payment_record")
    if record["amount"]["currency"] != invoice["currency"]:
        raise refused("The PaymentRecord has another currency than the invoice.", param="payment_record")
    if any(
        row["payment"].get("payment_record") == record_id for row in account.shelf("invoice_payment").all()
    ):  # fmt: skip
        raise refused("The PaymentRecord is attached to an invoice already.", param="payment_record")
    amount = record["amount"]["value"]
    payment = {"payment_record": record_id, "type": "payment_record"}
    link = new_invoice_payment(account, invoice, amount, payment, is_default=False)
    off_stripe = invoice["amount_paid_off_stripe"] + amount
    account.shelf("invoice").change(invoice, {"amount_paid_off_stripe": off_stripe})
    count(account, invoice, link, amount)
    return invoice


ROUTES: Routes = {
    ("POST", "payment_records/report_payment"): report_payment,
    ("POST", "invoices/*/attach_payment"): attach_payment,
    ("GET", "payment_records/*"): lambda call: call.found("payment_record"),
}
