"""Invoices: drafts and their lines, reading and listing. What happens to one afterwards is in
`invoice_states`."""

from __future__ import annotations

from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.agenda import FINALISE
from accord.sandbox.stripe.call import (
    Call,
    Routes,
    Where,
    between,
    equal,
    list_object,
    listed,
    searched,
)
from accord.sandbox.stripe.customers import tax_ids_of
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.invoice_items import pending
from accord.sandbox.stripe.invoice_states import advance
from accord.sandbox.stripe.lines import line_of_item, totals
from accord.sandbox.stripe.prices import DEFAULT_CURRENCIES, currency_given
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.tax_rates import rates_given

DAY = 86_400
DRAFT_SECONDS = 3600  # Stripe finalises an advancing draft about an hour after it was made [K, vendors.md section 10]
COLLECTION = ("charge_automatically", "send_invoice")
NOT_SIMULATED = (
    "from_invoice", "shipping_cost", "transfer_data", "application_fee_amount", "on_behalf_of", "discounts",
    "default_payment_method", "default_source",
)  # fmt: skip
SET_ASIDE = (
    "automatic_tax", "custom_fields", "issuer", "payment_settings", "rendering", "shipping_details",
    "statement_descriptor", "account_tax_ids",
)  # fmt: skip


def new_invoice(
    account: Account,
    customer: Json,
    currency: str,
    *,
    collection_method: str,
    billing_reason: str,
    **fields: Any,
) -> Json:
    """A draft without lines, not yet shelved."""
    now = account.now()
    invoice_id = account.new_id("invoice")
    invoice: Json = {
        "id": invoice_id,
        "object": "invoice",
        "account_country": account.country,
        "account_name": account.name,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "automatically_finalizes_at": None,
        "billing_reason": billing_reason,
        "collection_method": collection_method,
        "created": now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": tax_ids_of(account, customer["id"]),
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": list_object(f"/v1/invoices/{invoice_id}/lines", [], has_more=False),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {"default_mandate": None,
                             "payment_method_options": None, "payment_method_types": None},
        "period_end": now,
        "period_start": now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_details": None,
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        **fields,
    }  # fmt: skip
    account.lines[invoice_id] = []
    return invoice


def shelve(account: Account, invoice: Json) -> Json:
    """Shelve a new draft with its totals, and put its finalisation on the agenda if it advances by itself."""
    invoice.update(totals(account, invoice))
    account.create(invoice)
    plan_advance(account, invoice)
    return invoice


def plan_advance(account: Account, invoice: Json) -> None:
    at = invoice["automatically_finalizes_at"]
    if invoice["auto_advance"] and at is not None and invoice["status"] == "draft":
        account.later(at, FINALISE, lambda: advance(account, invoice["id"], at))


def create(call: Call) -> Json:
    form, account = call.form, call.account
    customer = account.find("customer", form.required("customer"), "customer")
    currency = currency_given(form) if form.given("currency") else _currency_of(account, customer)
    method = form.choice("collection_method", COLLECTION) or "charge_automatically"
    fields = _fields(account, form)
    _due(form, fields, method, account.now())
    auto_advance = form.boolean("auto_advance") or False
    finalizes_at = form.integer("automatically_finalizes_at")
    if auto_advance:
        fields["automatically_finalizes_at"] = finalizes_at or account.now() + DRAFT_SECONDS
    include = form.choice("pending_invoice_items_behavior", ("exclude", "include")) == "include"
    number = form.text("number", limit=26)
    fields |= {"auto_advance": auto_advance, "metadata": form.metadata(), "number": number}
    _rest(form, "subscription")
    _number_free(account, number)
    invoice = new_invoice(account, customer, currency, collection_method=method, billing_reason="manual", **fields)
    if include:
        _take_pending(account, invoice)
    return shelve(account, invoice)


def _rest(form: Form, *more: str) -> None:
    form.set_aside(*SET_ASIDE)
    form.not_simulated(*NOT_SIMULATED, *more)
    form.close()


def _currency_of(account: Account, customer: Json) -> str:
    return customer["currency"] or DEFAULT_CURRENCIES.get(account.country, "usd")


def _fields(account: Account, form: Form) -> Json:
    """The fields a draft can be given at creation and later."""
    fields: Json = {key: form.text(key) for key in ("description", "footer") if form.given(key)}
    rates = rates_given(account, form, "default_tax_rates")
    if rates is not None:
        fields["default_tax_rates"] = [account.find("tax_rate", each) for each in rates]
    if form.given("effective_at"):
        fields["effective_at"] = form.integer("effective_at")
    return fields


def _due(form: Form, fields: Json, method: str, now: int) -> None:
    days, due = form.integer("days_until_due", low=0, high=3650), form.integer("due_date")
    if days is not None and due is not None:
        raise invalid("You may only specify one of these parameters: days_until_due, due_date.", "days_until_due")
    if method == "charge_automatically":
        if days is not None or due is not None:
            name = "days_until_due" if days is not None else "due_date"
            raise invalid(f"`{name}` can only be set if `collection_method` is `send_invoice`.", name)
        return
    if days is None and due is None:
        raise invalid(
            "If `collection_method` is `send_invoice`, you must specify `days_until_due` or `due_date`.",
            "due_date",
        )
    if due is not None and due <= now:
        raise invalid("The due date must be in the future.", "due_date")
    fields["due_date"] = due if due is not None else now + (days or 0) * DAY


def _number_free(account: Account, number: str | None) -> None:
    if number is not None and any(each["number"] == number for each in account.shelf("invoice").all()):
        raise refused(f"The invoice number {number} is already in use.", param="number")


def _take_pending(account: Account, invoice: Json) -> None:
    for item in pending(account, invoice["customer"], invoice["currency"]):
        account.change(item, {"invoice": invoice["id"]})
        line_of_item(account, invoice, item)


def update(call: Call) -> Json:
    form, account = call.form, call.account
    invoice = account.find("invoice", call.ids[0])
    changes: Json = {"metadata": form.metadata(invoice["metadata"]), **_fields(account, form)}
    method = form.choice("collection_method", COLLECTION) or invoice["collection_method"]
    if form.given("days_until_due") or form.given("due_date") or method != invoice["collection_method"]:
        _due(form, changes, method, account.now())
        changes["collection_method"] = method
    if form.given("number"):
        changes["number"] = form.text("number", limit=26)
        _number_free(account, changes["number"])
    advances = form.boolean("auto_advance")
    at = form.integer("automatically_finalizes_at")
    _rest(form)
    if invoice["status"] != "draft" and changes.keys() - {"metadata", "description", "footer"}:
        raise refused("Finalized invoices can't be updated in this way", "invoice_not_editable")
    if advances is not None:
        changes["auto_advance"] = advances
        if invoice["status"] == "draft":
            changes["automatically_finalizes_at"] = (at or account.now() + DRAFT_SECONDS) if advances else None
    if invoice["status"] == "draft":
        changes |= totals(account, {**invoice, **changes})
    account.change(invoice, changes, "invoice.updated")
    if advances:
        plan_advance(account, invoice)
    return invoice


def delete(call: Call) -> Json:
    call.form.close()
    account = call.account
    invoice = account.find("invoice", call.ids[0])
    if invoice["status"] != "draft" or invoice["parent"]:
        raise refused(
            "You can only delete draft invoices which are not part of a subscription.", "invoice_not_editable"
        )
    for item in account.shelf("invoiceitem").by("invoice", invoice["id"]):
        account.remove(item, "invoiceitem.deleted")
    del account.lines[invoice["id"]]
    return account.remove(invoice, "invoice.deleted")


def list_invoices(call: Call) -> Json:
    form = call.form
    customer, subscription = form.text("customer"), form.text("subscription")
    status = form.choice("status", ("draft", "open", "paid", "uncollectible", "void"))
    tests = [equal(form, "collection_method"), between(form, "due_date"), _of_subscription(subscription)]
    if status:
        tests.append(lambda row: row["status"] == status)
    if customer is None and subscription is not None:
        customer = call.account.find("subscription", subscription, "subscription")["customer"]
    return listed(call, "invoice", *tests, index=("customer", customer) if customer else None)


def subscription_of(invoice: Json) -> str | None:
    """The subscription behind an invoice: `parent.subscription_details.subscription` (vendors.md 0.10)."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent else None


def _of_subscription(subscription: str | None) -> Where | None:
    return None if subscription is None else lambda row: subscription_of(row) == subscription


ROUTES: Routes = {
    ("POST", "invoices"): create,
    ("GET", "invoices"): list_invoices,
    ("GET", "invoices/search"): lambda call: searched(call, "invoice"),
    ("GET", "invoices/*"): lambda call: call.found("invoice"),
    ("POST", "invoices/*"): update,
    ("DELETE", "invoices/*"): delete,
}
