"""Payments: intents, the charges they make, and how they count against invoices."""

from __future__ import annotations

from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, by, equal, listed, searched
from accord.sandbox.stripe.prices import currency_given
from accord.sandbox.stripe.refusals import Refused, invalid, refused
from accord.sandbox.stripe.shelf import Json

# Test payment methods (docs.stripe.com/testing): what an intent confirmed with one comes to.
METHODS = {
    "pm_card_visa": "card",
    "pm_card_mastercard": "card",
    "pm_sepaDebit": "sepa_debit",
    "pm_usBankAccount": "us_bank_account",
}
DECLINES = {
    "pm_card_chargeDeclined": "card_declined",
    "pm_card_visa_chargeDeclined": "card_declined",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
    "pm_card_chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
DECLINE_CODES = {"insufficient_funds": "card_declined"}  # reason -> the code it comes under
BANK_TRANSFER = "customer_balance"
CARD = {
    "brand": "visa",
    "country": "US",
    "exp_month": 12,
    "exp_year": 2030,
    "funding": "credit",
    "last4": "4242",
}


def new_intent(account: Account, amount: int, currency: str, customer: str | None, **fields: Any) -> Json:
    intent_id = account.new_id("payment_intent")
    return account.create(
        {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic",
            "client_secret": f"{intent_id}_secret_{account.new_id('x', 20)[2:]}",
            "confirmation_method": "automatic",
            "created": account.now(),
            "currency": currency,
            "customer": customer,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": {},
            "next_action": None,
            "payment_method": None,
            "payment_method_types": ["card", BANK_TRANSFER],
            "receipt_email": None,
            "setup_future_usage": None,
            "status": "requires_payment_method",
            **fields,
        }
    )


def succeed(account: Account, intent: Json, method_type: str) -> Json:
    """The intent collects its money; answers the charge."""
    charge = _charge(account, intent, method_type, paid=True)
    account.emit("charge.succeeded", charge)
    account.change(
        intent,
        {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "payment_method": charge["payment_method"],
            "last_payment_error": None,
        },
        "payment_intent.succeeded",
    )
    return charge


def fail(account: Account, intent: Json, reason: str) -> Json:
    """The intent's attempt is declined; answers the error as the intent shows it."""
    code = DECLINE_CODES.get(reason, reason)
    charge = _charge(account, intent, "card", paid=False, failure_code=reason)
    account.emit("charge.failed", charge)
    error = {
        "charge": charge["id"],
        "code": code,
        "decline_code": reason if code == "card_declined" else None,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": charge["failure_message"],
        "type": "card_error",
    }
    changes = {
        "status": "requires_payment_method",
        "last_payment_error": error,
        "latest_charge": charge["id"],
    }
    account.change(intent, changes, "payment_intent.payment_failed")
    return error


def _charge(account: Account, intent: Json, method_type: str, *, paid: bool, failure_code: str | None = None) -> Json:
    message = "Your card was declined." if failure_code else None
    return account.create(
        {
            "id": account.new_id("charge"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if paid else 0,
            "amount_refunded": 0,
            "application": None,
            "balance_transaction": account.new_id("txn") if paid else None,
            "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
            "captured": paid,
            "created": account.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_code": failure_code,
            "failure_message": message,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": account.new_id("pm"),
            "payment_method_details": {
                "type": method_type,
                method_type: dict(CARD) if method_type == "card" else {},
            },
            "receipt_url": None,
            "refunded": False,
            "status": "succeeded" if paid else "failed",
        }
    )


def new_invoice_payment(account: Account, invoice: Json, amount: int, payment: Json, *, is_default: bool) -> Json:
    """The link between an invoice and the money asked for it."""
    return account.create(
        {
            "id": account.new_id("invoice_payment"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": amount,
            "created": account.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": is_default,
            "livemode": False,
            "payment": payment,
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def default_payment(account: Account, invoice: Json) -> Json | None:
    """The payment Stripe itself opens when an invoice becomes final, while it is still open."""
    for row in account.shelf("invoice_payment").by("invoice", invoice["id"]):
        if row["is_default"] and row["status"] == "open":
            return row
    return None


def intent_of(account: Account, payment: Json) -> Json | None:
    intent_id = payment["payment"].get("payment_intent")
    return account.shelf("payment_intent").get(intent_id) if intent_id else None


def collected(account: Account, payment: Json, amount: int) -> None:
    transitions = {**payment["status_transitions"], "paid_at": account.now()}
    changes = {"amount_paid": amount, "status": "paid", "status_transitions": transitions}
    account.change(payment, changes, "invoice_payment.paid")


def cancel_open(account: Account, invoice: Json) -> None:
    """The invoice will not be paid any more: cancel what is still open on it."""
    payment = default_payment(account, invoice)
    if payment is None:
        return
    transitions = {**payment["status_transitions"], "canceled_at": account.now()}
    account.change(payment, {"status": "canceled", "status_transitions": transitions})
    intent = intent_of(account, payment)
    if intent is not None:
        changes = {"status": "canceled", "canceled_at": account.now(), "cancellation_reason": "void_invoice"}
        account.change(intent, changes, "payment_intent.canceled")


def confirm_with(account: Account, intent: Json, method: str) -> Json:
    """Confirm an intent with a test payment method. Raises Refused (402) when it is declined."""
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        raise refused(
            f"This PaymentIntent's state does not allow confirming it (status: {intent['status']}).",
            "payment_intent_unexpected_state",
        )
    if method in DECLINES:
        error = fail(account, intent, DECLINES[method])
        raise declined(error, intent)
    if method not in METHODS:
        raise invalid(f"No such PaymentMethod: '{method}'", "payment_method", "resource_missing")
    return succeed(account, intent, METHODS[method])


def declined(error: Json, intent: Json) -> Refused:
    more = {"decline_code": error["decline_code"], "charge": error["charge"], "payment_intent": dict(intent)}
    return Refused(402, error["message"], kind="card_error", code=error["code"], began=True, more=more)


def create_intent(call: Call) -> Json:
    form, account = call.form, call.account
    amount = form.integer("amount", low=1)
    if amount is None:
        raise form.missing("amount")
    currency, customer = currency_given(form), form.text("customer")
    if customer is not None:
        account.find("customer", customer, "customer")
    confirm, method = form.boolean("confirm"), form.text("payment_method")
    fields = {"description": form.text("description"), "metadata": form.metadata()}
    form.set_aside("automatic_payment_methods", "payment_method_types", "off_session", "receipt_email", "return_url")
    form.set_aside(
        "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix", "payment_method_options"
    )
    form.close()
    intent = new_intent(account, amount, currency, customer, **fields)
    if confirm:
        confirm_with(account, intent, method or "")
    return intent


def confirm_intent(call: Call) -> Json:
    intent = call.account.find("payment_intent", call.ids[0])
    method = call.form.required("payment_method")
    call.form.set_aside("off_session", "return_url", "receipt_email")
    call.form.close()
    confirm_with(call.account, intent, method)
    return intent


def list_invoice_payments(call: Call) -> Json:
    form = call.form
    invoice, status = form.text("invoice"), equal(form, "status")
    payment = form.inside("payment")
    tests = [status]
    if payment is not None:
        kind = payment.choice("type", ("payment_intent", "charge", "payment_record"))
        if kind is None:
            raise payment.missing("type")
        wanted = payment.required(kind)
        tests.append(lambda row: row["payment"].get(kind) == wanted)
    return listed(call, "invoice_payment", *tests, index=("invoice", invoice) if invoice else None)


def list_charges(call: Call) -> Json:
    customer = equal(call.form, "customer")
    return listed(call, "charge", customer, index=by(call.form, "payment_intent"))


ROUTES: Routes = {
    ("POST", "payment_intents"): create_intent,
    ("GET", "payment_intents"): lambda call: listed(call, "payment_intent", index=by(call.form, "customer")),
    ("GET", "payment_intents/search"): lambda call: searched(call, "payment_intent"),
    ("GET", "payment_intents/*"): lambda call: call.found("payment_intent"),
    ("POST", "payment_intents/*/confirm"): confirm_intent,
    ("GET", "invoice_payments"): list_invoice_payments,
    ("GET", "invoice_payments/*"): lambda call: call.found("invoice_payment"),
    ("GET", "charges"): list_charges,
    ("GET", "charges/search"): lambda call: searched(call, "charge"),
    ("GET", "charges/*"): lambda call: call.found("charge"),
}
