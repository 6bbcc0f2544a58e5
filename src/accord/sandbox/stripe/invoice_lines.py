"""Adding, changing and removing the lines of a draft in bulk, and paging through them."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, list_object, page_limit
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.invoice_items import charged, new_item
from accord.sandbox.stripe.lines import invoice_changed, line_of_item, on_draft
from accord.sandbox.stripe.refusals import invalid, not_there
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.tax_rates import rates_given

MAX_LINES_A_CALL = 250  # docs.stripe.com api/invoices/add_lines


def add_lines(call: Call) -> Json:
    form, account = call.form, call.account
    invoice = on_draft(account, call.ids[0], None)
    given = _lines_given(form)
    metadata = form.metadata(invoice["metadata"], "invoice_metadata")
    items = [_item_for(account, each, invoice) for each in given]
    form.close()
    for item in items:
        account.create(item)
        line_of_item(account, invoice, item)
    return invoice_changed(account, invoice, metadata=metadata)


def _lines_given(form: Form) -> list[Form]:
    given = form.hashes("lines")
    if not given:
        raise form.missing("lines")
    if len(given) > MAX_LINES_A_CALL:
        raise invalid(f"Array too long: lines can have at most {MAX_LINES_A_CALL} items.", "lines")
    return given


def _item_for(account: Account, form: Form, invoice: Json) -> Json:
    pending_item = form.text("invoice_item")
    if pending_item is not None:
        raise invalid("The sandbox does not simulate the parameter invoice_item.", form.name("invoice_item"))
    charge = charged(account, form, invoice["currency"])
    if charge is None:
        raise form.missing("amount")
    return new_item(account, form, invoice["customer"], charge, invoice=invoice["id"])


def update_lines(call: Call) -> Json:
    form, account = call.form, call.account
    invoice = on_draft(account, call.ids[0], None)
    changes = [_line_change(account, each, invoice) for each in _lines_given(form)]
    metadata = form.metadata(invoice["metadata"], "invoice_metadata")
    form.close()
    for line, change, rates in changes:
        line.update(change)
        if rates is not None:
            account.line_rates[line["id"]] = rates
    return invoice_changed(account, invoice, metadata=metadata)


def _line_change(account: Account, form: Form, invoice: Json) -> tuple[Json, Json, list[str] | None]:
    line = line_of(account, invoice, form.required("id"), form.name("id"))
    change: Json = {"metadata": form.metadata(line["metadata"])}
    if form.given("description"):
        change["description"] = form.text("description")
    amount = form.integer("amount")
    if amount is not None:
        change |= {"amount": amount, "subtotal": amount}
    form.set_aside("discountable")
    form.not_simulated("price_data", "pricing", "quantity", "quantity_decimal", "tax_amounts", "discounts", "period")
    return line, change, rates_given(account, form)


def remove_lines(call: Call) -> Json:
    form, account = call.form, call.account
    invoice = on_draft(account, call.ids[0], None)
    gone: list[tuple[Json, bool]] = []
    for each in _lines_given(form):
        line = line_of(account, invoice, each.required("id"), each.name("id"))
        gone.append((line, each.choice("behavior", ("delete", "unassign")) == "unassign"))
    metadata = form.metadata(invoice["metadata"], "invoice_metadata")
    form.close()
    for line, unassign in gone:
        account.lines[invoice["id"]].remove(line)
        _free_item(account, line, unassign=unassign)
    return invoice_changed(account, invoice, metadata=metadata)


def _free_item(account: Account, line: Json, *, unassign: bool) -> None:
    details = line["parent"].get("invoice_item_details")
    item = account.shelf("invoiceitem").get(details["invoice_item"]) if details else None
    if item is not None and unassign:
        account.change(item, {"invoice": None})
    elif item is not None:
        account.remove(item, "invoiceitem.deleted")


def line_of(account: Account, invoice: Json, line_id: str, param: str | None = None) -> Json:
    for line in account.lines[invoice["id"]]:
        if line["id"] == line_id:
            return line
    raise not_there("line item", line_id, param)


def list_lines(call: Call) -> Json:
    invoice = call.account.find("invoice", call.ids[0])
    limit, after, before = (
        page_limit(call.form),
        call.form.text("starting_after"),
        call.form.text("ending_before"),
    )
    call.form.close()
    lines = call.account.lines[invoice["id"]]
    if before is not None:
        end = lines.index(line_of(call.account, invoice, before, "ending_before"))
        return list_object(call.path, lines[max(0, end - limit) : end], has_more=end > limit)
    start = lines.index(line_of(call.account, invoice, after, "starting_after")) + 1 if after else 0
    return list_object(call.path, lines[start : start + limit], has_more=len(lines) > start + limit)


ROUTES: Routes = {
    ("POST", "invoices/*/add_lines"): add_lines,
    ("POST", "invoices/*/update_lines"): update_lines,
    ("POST", "invoices/*/remove_lines"): remove_lines,
    ("GET", "invoices/*/lines"): list_lines,
}
