"""Credit notes: less to pay on an open invoice, money or credit back on a paid one; never more than the
invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.amounts import half_up, summed, tax_sums, taxes
from accord.sandbox.stripe.call import Call, Routes, by, equal, list_object, listed
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.invoice_lines import line_of
from accord.sandbox.stripe.invoice_states import reduced
from accord.sandbox.stripe.refunds import refund_invoice
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.tax_rates import rates_given

REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")


def create(call: Call) -> Json:
    invoice, note, back = _wanted(call)
    return _issue(call.account, invoice, note, back)


def preview(call: Call) -> Json:
    """What a credit note would be, without issuing it."""
    _, note, _ = _wanted(call)
    return note


def _wanted(call: Call) -> tuple[Json, Json, dict[str, int]]:
    form, account = call.form, call.account
    invoice = account.find("invoice", form.required("invoice"), "invoice")
    amount, lines = form.integer("amount", low=1), _lines(account, form, invoice)
    back = {key: form.integer(key, low=0) or 0 for key in ("credit_amount", "refund_amount", "out_of_band_amount")}
    fields = {
        "reason": form.choice("reason", REASONS),
        "memo": form.text("memo"),
        "metadata": form.metadata(),
        "effective_at": form.integer("effective_at") or account.now(),
    }
    form.set_aside("email_type")
    form.not_simulated("refunds", "shipping_cost")
    form.close()
    if (amount is None) == (not lines):
        raise invalid("You must specify exactly one of these parameters: amount, lines.", "amount")
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise refused(
            f"You cannot create a credit note for an invoice that is {invoice['status']}.", "invoice_not_open"
        )
    note = _note(account, invoice, lines or [_whole(account, amount or 0)], fields)
    _split(invoice, note, back)
    return invoice, note, back


def _lines(account: Account, form: Form, invoice: Json) -> list[Json]:
    return [_line(account, each, invoice) for each in form.hashes("lines") or []]


def _line(account: Account, form: Form, invoice: Json) -> Json:
    kind = form.choice("type", ("invoice_line_item", "custom_line_item"))
    if kind is None:
        raise form.missing("type")
    metadata = form.metadata()
    form.not_simulated("tax_amounts")
    if kind == "custom_line_item":
        quantity, unit = form.integer("quantity", low=1) or 1, form.integer("unit_amount")
        if unit is None:
            raise form.missing("unit_amount")
        rates = [account.find("tax_rate", each) for each in rates_given(account, form) or []]
        entries = taxes(unit * quantity, rates, invoice["customer_tax_exempt"] or "none")
        return _shown(
            account, unit * quantity, form.required("description"), entries,
            type=kind, quantity=quantity, unit_amount=unit, tax_rates=rates, metadata=metadata,
        )  # fmt: skip
    source = line_of(account, invoice, form.required("invoice_line_item"), form.name("invoice_line_item"))
    given: int | None = form.integer("amount", low=0)
    count = form.integer("quantity", low=1)
    if given is None:
        given = half_up(Decimal(source["amount"]) * (count or source["quantity"]) / source["quantity"])
    if given > source["amount"]:
        raise refused(
            f"The amount to credit ({given}) is more than the line's ({source['amount']}).",
            param=form.name("amount"),
        )
    entries = [_share(entry, given, source["amount"]) for entry in source["taxes"]]
    return _shown(
        account, given, source["description"], entries,
        type=kind, quantity=count, invoice_line_item=source["id"], metadata=metadata,
    )  # fmt: skip


def _share(entry: Json, part: int, whole: int) -> Json:
    ratio = Decimal(part) / Decimal(whole) if whole else Decimal(0)
    return {
        **entry,
        "amount": half_up(entry["amount"] * ratio),
        "taxable_amount": half_up(entry["taxable_amount"] * ratio),
    }


def _whole(account: Account, amount: int) -> Json:
    """The line behind a credit note given by amount alone: no tax is worked out for it."""
    return _shown(account, amount, "Credit", [], type="custom_line_item", quantity=1, unit_amount=amount)


def _shown(account: Account, amount: int, description: str | None, entries: list[Json], **fields: Any) -> Json:
    return {
        "id": account.new_id("credit_note_line_item"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": description,
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice_line_item": None,
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": None,
        "tax_rates": [],
        "taxes": entries,
        "unit_amount": None,
        "unit_amount_decimal": None,
        **fields,
    }


def _note(account: Account, invoice: Json, lines: list[Json], fields: Json) -> Json:
    entries = [entry for line in lines for entry in line["taxes"]]
    exclusive, inclusive = tax_sums(entries)
    subtotal = sum(line["amount"] for line in lines)
    count = len(account.shelf("credit_note").by("invoice", invoice["id"])) + 1
    note_id = account.new_id("credit_note")
    return {
        "id": note_id,
        "object": "credit_note",
        "amount": subtotal + exclusive,
        "amount_shipping": 0,
        "created": account.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice": invoice["id"],
        "lines": list_object(f"/v1/credit_notes/{note_id}/lines", lines, has_more=False),
        "livemode": False,
        "number": f"{invoice['number']}-CN-{count:02d}",
        "out_of_band_amount": None,
        "pdf": f"https://pay.stripe.com/credit_notes/{account.id}/{note_id}/pdf",
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": subtotal + exclusive,
        "total_excluding_tax": subtotal - inclusive,
        "total_taxes": summed(entries),
        "type": "pre_payment",
        "voided_at": None,
        **fields,
    }


def _split(invoice: Json, note: Json, back: dict[str, int]) -> None:
    """What reduces the amount due, and what goes back of money paid. Raises Refused above the invoice."""
    total = note["total"]
    before = min(total, invoice["amount_remaining"])
    after = total - before
    returnable = invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
    if after > returnable:
        limit = invoice["amount_remaining"] + returnable
        raise refused(
            f"The credit note amount ({total}) is more than what can be credited on the invoice ({limit}).",
            param="amount",
        )
    if sum(back.values()) != after:
        raise refused(
            f"The sum of credit amount, refund amount and out of band amount ({sum(back.values())}) must "
            "equal the credit "
            f"note's amount after payment ({after}).",
            param="amount",
        )
    kind = "mixed" if before and after else "post_payment" if after else "pre_payment"
    note.update(pre_payment_amount=before, post_payment_amount=after, type=kind)
    note["out_of_band_amount"] = back["out_of_band_amount"] or None


def _issue(account: Account, invoice: Json, note: Json, back: dict[str, int]) -> Json:
    if back["refund_amount"]:
        refunds = refund_invoice(account, invoice, back["refund_amount"])
        note["refunds"] = [
            {
                "amount_refunded": each["amount"],
                "payment_record_refund": None,
                "refund": each["id"],
                "type": "refund",
            }
            for each in refunds
        ]
    if back["credit_amount"]:
        customer = account.find("customer", invoice["customer"])
        account.change(customer, {"balance": customer["balance"] - back["credit_amount"]}, "customer.updated")
    account.create(note)
    changes = {
        "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] + note["pre_payment_amount"],
        "post_payment_credit_notes_amount": invoice["post_payment_credit_notes_amount"] + note["post_payment_amount"],
        "amount_due": invoice["amount_due"] - note["pre_payment_amount"],
        "amount_remaining": invoice["amount_remaining"] - note["pre_payment_amount"],
    }
    if note["pre_payment_amount"]:
        reduced(account, invoice, changes)
    else:
        account.change(invoice, changes, "invoice.updated")
    return note


def void(call: Call) -> Json:
    call.form.close()
    account = call.account
    note = account.find("credit_note", call.ids[0])
    invoice = account.find("invoice", note["invoice"])
    if note["status"] == "void":
        raise refused("This credit note is already void.")
    if note["type"] != "pre_payment" or invoice["status"] != "open":
        raise refused("You can only void a credit note of an open invoice.")
    account.change(note, {"status": "void", "voided_at": account.now()}, "credit_note.updated", "credit_note.voided")
    back = note["pre_payment_amount"]
    changes = {
        "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] - back,
        "amount_due": invoice["amount_due"] + back,
        "amount_remaining": invoice["amount_remaining"] + back,
    }
    reduced(account, invoice, changes)
    return note


def update(call: Call) -> Json:
    form, note = call.form, call.account.find("credit_note", call.ids[0])
    changes: Json = {"metadata": form.metadata(note["metadata"])}
    if form.given("memo"):
        changes["memo"] = form.text("memo")
    form.close()
    return call.account.change(note, changes, "credit_note.updated")


def list_notes(call: Call) -> Json:
    customer = equal(call.form, "customer")
    return listed(call, "credit_note", customer, index=by(call.form, "invoice"))


def list_lines(call: Call) -> Json:
    call.form.set_aside("limit", "starting_after", "ending_before")
    call.form.close()
    return {**call.account.find("credit_note", call.ids[0])["lines"]}


ROUTES: Routes = {
    ("POST", "credit_notes"): create,
    ("GET", "credit_notes"): list_notes,
    ("GET", "credit_notes/preview"): preview,
    ("GET", "credit_notes/*"): lambda call: call.found("credit_note"),
    ("GET", "credit_notes/*/lines"): list_lines,
    ("POST", "credit_notes/*"): update,
    ("POST", "credit_notes/*/void"): void,
}
