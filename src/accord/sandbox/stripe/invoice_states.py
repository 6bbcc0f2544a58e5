"""What becomes of an invoice: draft -> open -> paid | void | uncollectible."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.agenda import REMIND
from accord.sandbox.stripe.call import Call, Routes
from accord.sandbox.stripe.lines import totals
from accord.sandbox.stripe.payments import (
    DECLINES,
    METHODS,
    cancel_open,
    collected,
    declined,
    default_payment,
    fail,
    intent_of,
    new_intent,
    new_invoice_payment,
    succeed,
)
from accord.sandbox.stripe.refusals import Refused, refused
from accord.sandbox.stripe.shelf import Json

WILL_BE_DUE_SECONDS = 3 * 86_400  # a reminder before the due date; an account sets its own in Automations [K]


def finalize(account: Account, invoice: Json) -> Json:
    """Make a draft final: number, links, amounts due; an invoice of nothing is paid at once."""
    if invoice["status"] != "draft":
        raise refused(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            "invoice_not_editable",
        )
    customer, now = account.find("customer", invoice["customer"]), account.now()
    changes: Json = {
        "status": "open",
        "number": invoice["number"] or _number(account, customer),
        "effective_at": invoice["effective_at"] or now,
        "automatically_finalizes_at": None,
        "starting_balance": customer["balance"],
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{account.id}/{invoice['id']}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/{account.id}/{invoice['id']}/pdf",
        "status_transitions": {**invoice["status_transitions"], "finalized_at": now},
    }
    changes |= totals(account, {**invoice, **changes})
    changes["ending_balance"] = min(0, changes["total"] + customer["balance"])
    if changes["ending_balance"] != customer["balance"]:
        account.change(customer, {"balance": changes["ending_balance"]}, "customer.updated")
    account.change(invoice, changes, "invoice.updated", "invoice.finalized")
    if invoice["amount_due"] == 0:
        _paid(account, invoice)
        return invoice
    intent = new_intent(account, invoice["amount_due"], invoice["currency"], invoice["customer"])
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    new_invoice_payment(account, invoice, invoice["amount_due"], payment, is_default=True)
    _remind(account, invoice)
    return invoice


def _number(account: Account, customer: Json) -> str:
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    account.shelf("customer").change(customer, {"next_invoice_sequence": customer["next_invoice_sequence"] + 1})
    return number


def _remind(account: Account, invoice: Json) -> None:
    due = invoice["due_date"]
    if due is None:
        return
    soon = due - WILL_BE_DUE_SECONDS
    if soon > account.now():
        account.later(soon, REMIND, lambda: _tell_if_open(account, invoice, "invoice.will_be_due"))
    account.later(max(due, account.now()), REMIND, lambda: _overdue(account, invoice))


def _tell_if_open(account: Account, invoice: Json, event: str) -> None:
    if invoice["status"] == "open":
        account.emit(event, invoice)


def _overdue(account: Account, invoice: Json) -> None:
    if invoice["status"] == "open":
        account.emit("invoice.overdue", invoice)
        _subscription_becomes(account, invoice, "active", "past_due")


def _subscription_becomes(account: Account, invoice: Json, old: str, new: str) -> None:
    if invoice["parent"] is None:
        return
    subscription = account.shelf("subscription").get(invoice["parent"]["subscription_details"]["subscription"])
    if subscription is not None and subscription["status"] == old:
        account.change(subscription, {"status": new}, "customer.subscription.updated")


def advance(account: Account, invoice_id: str, at: int) -> None:
    """What Stripe does with an advancing draft when its hour is over; `at` guards against a stale plan."""
    invoice = account.shelf("invoice").get(invoice_id)
    if invoice is None or invoice["status"] != "draft" or invoice["automatically_finalizes_at"] != at:
        return
    finalize(account, invoice)
    if invoice["status"] != "open":
        return
    if invoice["collection_method"] == "send_invoice":
        account.emit("invoice.sent", invoice)
    else:
        failed_attempt(account, invoice, "card_declined")


def _paid(account: Account, invoice: Json, **amounts: int) -> None:
    transitions = {**invoice["status_transitions"], "paid_at": account.now()}
    changes = {
        **amounts,
        "status": "paid",
        "amount_remaining": 0,
        "attempted": True,
        "status_transitions": transitions,
    }
    account.change(invoice, changes, "invoice.updated", "invoice.paid", "invoice.payment_succeeded")
    _subscription_becomes(account, invoice, "past_due", "active")


def receive(account: Account, invoice: Json, amount: int, method: str) -> Json:
    """Money arrives for an open invoice: all, a part, or more than asked. Answers the invoice payment.

    `method` is a payment method type, or `out_of_band` for money Stripe did not move.
    """
    payment = _payment_for(account, invoice, amount, method)
    if method == "out_of_band":
        off_stripe = invoice["amount_paid_off_stripe"] + amount
        account.shelf("invoice").change(invoice, {"amount_paid_off_stripe": off_stripe})
    count(account, invoice, payment, amount)
    return payment


def count(account: Account, invoice: Json, payment: Json, amount: int) -> None:
    """Count money that was collected against what the invoice still asks for."""
    collected(account, payment, amount)
    counted = min(amount, invoice["amount_remaining"])
    changes: Json = {
        "amount_paid": invoice["amount_paid"] + counted,
        "amount_remaining": invoice["amount_remaining"] - counted,
        "amount_overpaid": invoice["amount_overpaid"] + amount - counted,
    }
    if changes["amount_remaining"] == 0:
        _after_last_payment(account, invoice, changes, amount - counted)
    else:
        account.change(invoice, changes, "invoice.updated")
        _ask_for_the_rest(account, invoice)


def _after_last_payment(account: Account, invoice: Json, changes: Json, over: int) -> None:
    _paid(account, invoice, **changes)
    if default_payment(account, invoice) is not None:
        cancel_open(account, invoice)
    if over:
        account.emit("invoice.overpaid", invoice)
        customer = account.find("customer", invoice["customer"])
        account.change(customer, {"balance": customer["balance"] - over}, "customer.updated")


def _payment_for(account: Account, invoice: Json, amount: int, method: str) -> Json:
    """The invoice payment that takes this money: the open default one for all of it, a new one otherwise."""
    if method == "out_of_band":
        payment = {"payment_record": account.new_id("payment_record"), "type": "payment_record"}
        return new_invoice_payment(account, invoice, amount, payment, is_default=False)
    standing = default_payment(account, invoice)
    intent = intent_of(account, standing) if standing and standing["amount_requested"] == amount else None
    if standing is not None and intent is not None:
        succeed(account, intent, method)
        return standing
    intent = new_intent(account, amount, invoice["currency"], invoice["customer"])
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    link = new_invoice_payment(account, invoice, amount, payment, is_default=False)
    succeed(account, intent, method)
    return link


def _ask_for_the_rest(account: Account, invoice: Json) -> None:
    standing = default_payment(account, invoice)
    intent = intent_of(account, standing) if standing else None
    if standing is not None and intent is not None:
        account.change(standing, {"amount_requested": invoice["amount_remaining"]})
        account.change(intent, {"amount": invoice["amount_remaining"]})


def reduced(account: Account, invoice: Json, changes: Json) -> None:
    """The amount due went down by a credit note, or up again when it was voided."""
    account.change(invoice, changes, "invoice.updated")
    if invoice["amount_remaining"] == 0:
        _paid(account, invoice)
        cancel_open(account, invoice)
    else:
        _ask_for_the_rest(account, invoice)


def failed_attempt(account: Account, invoice: Json, reason: str) -> Json | None:
    """An attempt to collect fails; answers the error the intent carries."""
    standing = default_payment(account, invoice)
    intent = intent_of(account, standing) if standing else None
    error = fail(account, intent, reason) if intent is not None else None
    changes = {"attempt_count": invoice["attempt_count"] + 1, "attempted": True}
    account.change(invoice, changes, "invoice.updated", "invoice.payment_failed")
    return error


def in_state(account: Account, invoice_id: str, *allowed: str) -> Json:
    """The invoice, if it is in one of these states. Raises Refused."""
    invoice = account.find("invoice", invoice_id)
    if invoice["status"] in allowed:
        return invoice
    if invoice["status"] == "paid":
        raise refused("Invoice is already paid", "invoice_already_paid")
    raise refused(
        f"You can only do this to {' or '.join(allowed)} invoices. This invoice is {invoice['status']}.",
        "invoice_not_open",
    )


def _finalize(call: Call) -> Json:
    advances = call.form.boolean("auto_advance")
    call.form.close()
    account = call.account
    invoice = finalize(account, account.find("invoice", call.ids[0]))
    if advances is not None:
        account.change(invoice, {"auto_advance": advances})
    return invoice


def _send(call: Call) -> Json:
    call.form.close()
    account = call.account
    invoice = account.find("invoice", call.ids[0])
    if invoice["collection_method"] != "send_invoice":
        raise refused("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] == "draft":
        finalize(account, invoice)
    elif invoice["status"] in ("void", "uncollectible"):
        raise refused(f"You can't send an invoice that is {invoice['status']}.", "invoice_not_open")
    account.emit("invoice.sent", invoice)
    return invoice


def _pay(call: Call) -> Json:
    form, account = call.form, call.account
    out_of_band, method = form.boolean("paid_out_of_band"), form.text("payment_method")
    form.set_aside("off_session", "mandate", "forgive")
    form.not_simulated("source")
    form.close()
    invoice = account.find("invoice", call.ids[0])
    if invoice["status"] == "draft":
        finalize(account, invoice)
    in_state(account, invoice["id"], "open", "uncollectible")
    if out_of_band:
        receive(account, invoice, invoice["amount_remaining"], "out_of_band")
    elif method in DECLINES:
        raise _decline(account, invoice, DECLINES[method])
    elif method in METHODS:
        receive(account, invoice, invoice["amount_remaining"], METHODS[method])
    else:
        raise refused(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a default "
            "payment method "
            "or pass one as `payment_method`.",
            "missing",
        )
    return invoice


def _decline(account: Account, invoice: Json, reason: str) -> Refused:
    error = failed_attempt(account, invoice, reason)
    payment = default_payment(account, invoice)
    intent = intent_of(account, payment) if payment else None
    if error is None or intent is None:
        return refused("This invoice has no payment to attempt.")
    return declined(error, intent)


def _void(call: Call) -> Json:
    call.form.close()
    account = call.account
    invoice = in_state(account, call.ids[0], "open", "uncollectible")
    if invoice["amount_paid"]:
        raise refused("You can't void an invoice that was paid in part. Issue a credit note instead.")
    transitions = {**invoice["status_transitions"], "voided_at": account.now()}
    changes = {
        "status": "void",
        "amount_remaining": invoice["amount_remaining"],
        "status_transitions": transitions,
    }
    account.change(invoice, changes, "invoice.updated", "invoice.voided")
    cancel_open(account, invoice)
    return invoice


def _mark_uncollectible(call: Call) -> Json:
    call.form.close()
    account = call.account
    invoice = in_state(account, call.ids[0], "open")
    transitions = {**invoice["status_transitions"], "marked_uncollectible_at": account.now()}
    changes = {"status": "uncollectible", "status_transitions": transitions}
    return account.change(invoice, changes, "invoice.updated", "invoice.marked_uncollectible")


ROUTES: Routes = {
    ("POST", "invoices/*/finalize"): _finalize,
    ("POST", "invoices/*/send"): _send,
    ("POST", "invoices/*/pay"): _pay,
    ("POST", "invoices/*/void"): _void,
    ("POST", "invoices/*/mark_uncollectible"): _mark_uncollectible,
}
