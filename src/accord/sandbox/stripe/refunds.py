"""Refunds: money back on a charge, never more than it collected."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, by, equal, listed
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def charges_of(account: Account, invoice: Json) -> list[Json]:
    """The charges that paid an invoice, latest first."""
    found: list[Json] = []
    for payment in account.shelf("invoice_payment").by("invoice", invoice["id"]):
        intent_id = payment["payment"].get("payment_intent")
        if payment["status"] == "paid" and intent_id:
            found.extend(row for row in account.shelf("charge").by("payment_intent", intent_id) if row["paid"])
    return found[::-1]


def refund(account: Account, charge: Json, amount: int | None, reason: str | None, metadata: dict[str, str]) -> Json:
    """Give back all of a charge that is left, or `amount` of it."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if amount is None else amount
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
    if charge["disputed"]:
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge_disputed")
    if amount > left:
        raise refused(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount")
    row = account.create(
        {
            "id": account.new_id("refund"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": account.new_id("txn"),
            "charge": charge["id"],
            "created": account.now(),
            "currency": charge["currency"],
            "destination_details": None,
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "succeeded",
            "transfer_reversal": None,
        }
    )
    refunded = charge["amount_refunded"] + amount
    changes = {"amount_refunded": refunded, "refunded": refunded == charge["amount_captured"]}
    account.change(charge, changes, "charge.refunded")
    return row


def refund_invoice(account: Account, invoice: Json, amount: int) -> list[Json]:
    """Refund `amount` of what paid an invoice, latest charge first."""
    rows: list[Json] = []
    for charge in charges_of(account, invoice):
        part = min(amount, charge["amount_captured"] - charge["amount_refunded"])
        if part > 0:
            rows.append(refund(account, charge, part, None, {}))
            amount -= part
    if amount:
        raise refused("The invoice has no charge left that could be refunded by this amount.", param="refund_amount")
    return rows


def create(call: Call) -> Json:
    form, account = call.form, call.account
    charge_id, intent_id = form.text("charge"), form.text("payment_intent")
    if (charge_id is None) == (intent_id is None):
        raise invalid("One of these parameters must be given: charge, payment_intent.", "charge")
    amount, reason, metadata = form.integer("amount", low=1), form.choice("reason", REASONS), form.metadata()
    form.set_aside("instructions_email")
    form.not_simulated("customer", "origin", "refund_application_fee", "reverse_transfer", "currency")
    form.close()
    if charge_id is None:
        intent = account.find("payment_intent", str(intent_id), "payment_intent")
        charge_id = intent["latest_charge"]
        if charge_id is None:
            raise refused(f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.")
    return refund(account, account.find("charge", charge_id, "charge"), amount, reason, metadata)


def update(call: Call) -> Json:
    row = call.account.find("refund", call.ids[0])
    metadata = call.form.metadata(row["metadata"])
    call.form.close()
    return call.account.change(row, {"metadata": metadata}, "refund.updated")


def list_refunds(call: Call) -> Json:
    intent = equal(call.form, "payment_intent")
    return listed(call, "refund", intent, index=by(call.form, "charge"))


ROUTES: Routes = {
    ("POST", "refunds"): create,
    ("GET", "refunds"): list_refunds,
    ("GET", "refunds/*"): lambda call: call.found("refund"),
    ("POST", "refunds/*"): update,
}
