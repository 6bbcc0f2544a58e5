"""The lines of an invoice, and the totals that follow from them."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.amounts import summed, tax_sums, taxes
from accord.sandbox.stripe.call import list_object
from accord.sandbox.stripe.refusals import refused
from accord.sandbox.stripe.shelf import Json

EMBEDDED = 10  # lines shown inside an invoice; the rest is paged from /lines
NOT_EDITABLE = "This invoice is no longer editable"


def on_draft(account: Account, invoice_id: str, param: str | None) -> Json:
    """The invoice, if its lines may still change."""
    invoice = account.find("invoice", invoice_id, param)
    if invoice["status"] != "draft":
        raise refused(NOT_EDITABLE, "invoice_not_editable", param)
    return invoice


def line_of_item(account: Account, invoice: Json, item: Json) -> Json:
    """Put an invoice item on a draft as a line."""
    details = {
        "invoice_item": item["id"],
        "proration": item["proration"],
        "proration_details": None,
        "subscription": item["parent"]["subscription_details"]["subscription"] if item["parent"] else None,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    line = new_line(account, invoice, item, parent)
    account.line_rates[line["id"]] = [rate["id"] for rate in item["tax_rates"]]
    account.lines[invoice["id"]].append(line)
    return line


def new_line(account: Account, invoice: Json, source: Json, parent: Json) -> Json:
    """A line with the amount, text, period, pricing and metadata of `source`; taxes follow with the
    totals."""
    return {
        "id": account.new_id("line_item"),
        "object": "line_item",
        "amount": source["amount"],
        "currency": source["currency"],
        "description": source["description"],
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": dict(source["metadata"]),
        "parent": parent,
        "period": dict(source["period"]),
        "pretax_credit_amounts": [],
        "pricing": source["pricing"],
        "quantity": source["quantity"],
        "quantity_decimal": str(source["quantity"]),
        "subscription": None,
        "subtotal": source["amount"],
        "taxes": [],
    }


def totals(account: Account, invoice: Json) -> Json:
    """What the invoice's amounts are for its lines as they stand; also writes each line's taxes."""
    lines = account.lines[invoice["id"]]
    default = [rate["id"] for rate in invoice["default_tax_rates"]]
    for line in lines:
        rates = account.line_rates.get(line["id"]) or default
        found = [account.find("tax_rate", each) for each in rates]
        line["taxes"] = taxes(line["amount"], found, invoice["customer_tax_exempt"] or "none")
    entries = [entry for line in lines for entry in line["taxes"]]
    exclusive, inclusive = tax_sums(entries)
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal + exclusive
    due = max(0, total + invoice["starting_balance"])
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": total,
        "total_excluding_tax": subtotal - inclusive,
        "total_taxes": summed(entries),
        "amount_due": due,
        "amount_remaining": max(0, due - invoice["amount_paid"]),
        "lines": list_object(f"/v1/invoices/{invoice['id']}/lines", lines[:EMBEDDED], has_more=len(lines) > EMBEDDED),
    }


def invoice_changed(account: Account, invoice: Json, **changes: object) -> Json:
    """Work the totals out again after a change of lines, and tell of the update."""
    return account.change(invoice, {**changes, **totals(account, invoice)}, "invoice.updated")
