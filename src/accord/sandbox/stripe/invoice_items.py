"""Invoice items: an amount for a customer, waiting for the next invoice or already on a draft."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.amounts import half_up
from accord.sandbox.stripe.call import Call, Routes, listed
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.lines import invoice_changed, line_of_item, on_draft
from accord.sandbox.stripe.prices import currency_given, price_data
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.tax_rates import rates_given

MAX_PENDING = 250  # docs.stripe.com api/invoiceitems


@dataclass(frozen=True, slots=True)
class Charged:
    """What an item charges: `amount` in the minor unit, and the price behind it where there is one."""

    amount: int
    currency: str
    quantity: int
    unit_amount: Decimal
    price: Json | None = None


def charged(account: Account, form: Form, currency: str | None) -> Charged | None:
    """The charge of an item: by amount, by unit amount, by a price, or by inline price data; None when none
    is given."""
    quantity = form.integer("quantity", low=0)
    form.not_simulated("quantity_decimal")
    count = 1 if quantity is None else quantity
    pricing, inline = form.inside("pricing"), form.inside("price_data")
    if pricing is not None or inline is not None:
        price = _price(account, pricing, inline)
        unit = Decimal(price["unit_amount_decimal"])
        _same_currency(form, price["currency"], currency)
        return Charged(half_up(unit * count), price["currency"], count, unit, price)
    amount, unit_amount = form.integer("amount"), form.decimal("unit_amount_decimal")
    if amount is None and unit_amount is None:
        return None
    own = currency_given(form) if form.given("currency") else currency
    if own is None:
        raise form.missing("currency")
    _same_currency(form, own, currency)
    if unit_amount is not None:
        return Charged(half_up(unit_amount * count), own, count, unit_amount)
    assert amount is not None  # one of the two was given
    if quantity not in (None, 1):
        raise invalid("You may only specify one of these parameters: amount, quantity.", form.name("amount"))
    return Charged(amount, own, 1, Decimal(amount))


def _price(account: Account, pricing: Form | None, inline: Form | None) -> Json:
    if inline is not None:
        if inline.given("product_data"):
            raise invalid("The sandbox does not simulate the parameter product_data.", inline.name("product_data"))
        return account.create(price_data(account, inline, needs_recurring=False))
    assert pricing is not None  # one of the two was given
    price = account.find("price", pricing.required("price"), pricing.name("price"))
    if price["type"] != "one_time":
        message = (
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`."
        )
        raise invalid(message, pricing.name("price"))
    if not price["active"]:
        raise refused("The price specified is inactive. This field only accepts active prices.", "price_inactive")
    return price


def _same_currency(form: Form, own: str, expected: str | None) -> None:
    if expected is not None and own != expected:
        message = f"The currency of the invoice item ({own}) must match the currency of the invoice ({expected})."
        raise invalid(message, form.name("currency"))


def new_item(
    account: Account,
    form: Form,
    customer: str,
    charge: Charged,
    *,
    invoice: str | None = None,
    subscription: str | None = None,
) -> Json:
    """An invoice item from the form's texts, period, metadata and tax rates; not yet shelved."""
    rates = rates_given(account, form) or []
    form.set_aside("discountable", "tax_behavior", "tax_code")
    form.not_simulated("discounts", "tax_amounts", "invoice_item")
    name = _product_name(account, charge.price)
    return item(
        account, customer, charge,
        description=form.text("description") or name, period=_period(account, form), metadata=form.metadata(),
        rates=rates, invoice=invoice, subscription=subscription,
    )  # fmt: skip


def _product_name(account: Account, price: Json | None) -> str | None:
    product = account.shelf("product").get(price["product"]) if price else None
    return product["name"] if product else None


def item(
    account: Account,
    customer: str,
    charge: Charged,
    *,
    description: str | None,
    period: Json,
    metadata: dict[str, str],
    rates: list[str],
    invoice: str | None = None,
    subscription: str | None = None,
    proration: bool = False,
) -> Json:
    details = {
        "subscription_details": {"subscription": subscription, "subscription_item": None},
        "type": "subscription_details",
    }
    return {
        "id": account.new_id("invoiceitem"),
        "object": "invoiceitem",
        "amount": charge.amount,
        "currency": charge.currency,
        "customer": customer,
        "date": account.now(),
        "description": description,
        "discountable": charge.amount >= 0,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata,
        "net_amount": charge.amount,
        "parent": details if subscription else None,
        "period": period,
        "pricing": pricing(charge.price, charge.unit_amount),
        "proration": proration,
        "quantity": charge.quantity,
        "quantity_decimal": str(charge.quantity),
        "tax_rates": [account.find("tax_rate", each) for each in rates],
        "test_clock": None,
    }


def pricing(price: Json | None, unit_amount: Decimal) -> Json:
    details = {"price": price["id"], "product": price["product"]} if price else None
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": f"{unit_amount:f}"}


def _period(account: Account, form: Form) -> Json:
    period = form.inside("period")
    if period is None:
        return {"start": account.now(), "end": account.now()}
    start, end = period.integer("start"), period.integer("end")
    if start is None or end is None:
        raise period.missing("start" if start is None else "end")
    if end < start:
        raise invalid("The period's end must not be before its start.", period.name("end"))
    return {"start": start, "end": end}


def create(call: Call) -> Json:
    form, account = call.form, call.account
    customer = account.find("customer", form.required("customer"), "customer")
    invoice_id, subscription = form.text("invoice"), form.text("subscription")
    invoice = on_draft(account, invoice_id, "invoice") if invoice_id else None
    if invoice is not None and invoice["customer"] != customer["id"]:
        raise invalid("The invoice belongs to another customer.", "invoice")
    if subscription is not None:
        account.find("subscription", subscription, "subscription")
    charge = charged(account, form, invoice["currency"] if invoice else None)
    if charge is None:
        raise form.missing("amount")
    row = new_item(account, form, customer["id"], charge, invoice=invoice_id, subscription=subscription)
    form.close()
    if invoice is None and len(pending(account, customer["id"])) >= MAX_PENDING:
        raise refused(f"A customer can have at most {MAX_PENDING} pending invoice items.")
    account.create(row)
    if invoice is not None:
        line_of_item(account, invoice, row)
        invoice_changed(account, invoice)
    return row


def pending(account: Account, customer: str, currency: str | None = None) -> list[Json]:
    """The customer's items that wait for an invoice, oldest first."""
    rows = account.shelf("invoiceitem").by("customer", customer)
    return [row for row in rows if row["invoice"] is None and currency in (None, row["currency"])]


def update(call: Call) -> Json:
    form, account = call.form, call.account
    row = account.find("invoiceitem", call.ids[0])
    if row["invoice"] is not None:
        raise refused(
            "The invoice item is attached to an invoice: change it through the invoice's lines.",
            "invoice_not_editable",
        )
    changes: Json = {"metadata": form.metadata(row["metadata"])}
    if form.given("description"):
        changes["description"] = form.text("description")
    charge = charged(account, form, row["currency"])
    if charge is not None:
        changes |= {"amount": charge.amount, "net_amount": charge.amount, "quantity": charge.quantity}
        changes["pricing"] = pricing(charge.price, charge.unit_amount)
    rates = rates_given(account, form)
    if rates is not None:
        changes["tax_rates"] = [account.find("tax_rate", each) for each in rates]
    if form.given("period"):
        changes["period"] = _period(account, form)
    form.set_aside("discountable", "tax_behavior", "tax_code")
    form.close()
    return account.change(row, changes)


def delete(call: Call) -> Json:
    call.form.close()
    account = call.account
    row = account.find("invoiceitem", call.ids[0])
    if row["invoice"] is not None:
        invoice = on_draft(account, row["invoice"], None)
        account.lines[invoice["id"]] = [line for line in account.lines[invoice["id"]] if not _is_of(line, row["id"])]
        answer = account.remove(row, "invoiceitem.deleted")
        invoice_changed(account, invoice)
        return answer
    return account.remove(row, "invoiceitem.deleted")


def _is_of(line: Json, item_id: str) -> bool:
    details = line["parent"]["invoice_item_details"]
    return details is not None and bool(details["invoice_item"] == item_id)


def list_items(call: Call) -> Json:
    form = call.form
    customer, invoice, is_pending = form.text("customer"), form.text("invoice"), form.boolean("pending")
    index = ("invoice", invoice) if invoice else ("customer", customer) if customer else None
    where = None if is_pending is None else lambda row: (row["invoice"] is None) == is_pending
    owner = None if customer is None else lambda row: row["customer"] == customer
    return listed(call, "invoiceitem", where, owner, index=index)


ROUTES: Routes = {
    ("POST", "invoiceitems"): create,
    ("GET", "invoiceitems"): list_items,
    ("GET", "invoiceitems/*"): lambda call: call.found("invoiceitem"),
    ("POST", "invoiceitems/*"): update,
    ("DELETE", "invoiceitems/*"): delete,
}
