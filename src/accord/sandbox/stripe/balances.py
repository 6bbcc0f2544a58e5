"""The credit balance of a customer, which pays the next invoice by itself; each change of it is a transaction."""

from __future__ import annotations

from accord.sandbox.stripe.call import Call, Routes, listed
from accord.sandbox.stripe.refusals import refused
from accord.sandbox.stripe.shelf import Json


def create(call: Call) -> Json:
    form, account = call.form, call.account
    customer = account.find("customer", call.ids[0])
    amount, currency = form.integer("amount"), form.required("currency").lower()
    if amount is None:
        raise form.missing("amount")
    description, metadata = form.text("description", limit=350), form.metadata()
    form.close()
    if customer["currency"] not in (None, currency):
        raise refused("The currency is not that of the customer's balance.", param="currency")
    balance = customer["balance"] + amount
    account.change(customer, {"balance": balance}, "customer.updated")
    return account.create(
        {
            "id": account.new_id("customer_balance_transaction"),
            "object": "customer_balance_transaction",
            "amount": amount,
            "created": account.now(),
            "credit_note": None,
            "currency": currency,
            "customer": customer["id"],
            "description": description,
            "ending_balance": balance,
            "invoice": None,
            "livemode": False,
            "metadata": metadata,
            "type": "adjustment",
        }
    )


ROUTES: Routes = {
    ("POST", "customers/*/balance_transactions"): create,
    ("GET", "customers/*/balance_transactions"): lambda call: listed(
        call, "customer_balance_transaction", index=("customer", call.ids[0])
    ),
}
