"""Products: what is sold; their id may be the seller's own."""

from __future__ import annotations

import re

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, equal, flag, listed, searched
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.prices import new_price, recurring_given
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json

TEXTS = ("description", "statement_descriptor", "tax_code", "unit_label", "url")


def create(call: Call) -> Json:
    form, account = call.form, call.account
    product_id = _own_id(account, form) or account.new_id("product", 14)
    now = account.now()
    active = form.boolean("active")
    product: Json = {
        "id": product_id,
        "object": "product",
        "active": True if active is None else active,
        "created": now,
        "default_price": None,
        "images": form.texts("images") or [],
        "livemode": False,
        "marketing_features": [],
        "metadata": form.metadata(),
        "name": form.required("name"),
        "package_dimensions": None,
        "shippable": form.boolean("shippable"),
        "type": form.choice("type", ("service", "good")) or "service",
        "updated": now,
        **{key: form.text(key) for key in TEXTS},
    }
    data = form.inside("default_price_data")
    price = _default_price(account, data, product_id) if data else None
    form.set_aside("marketing_features", "package_dimensions", "tax_details")
    form.close()
    account.create(product)
    if price is not None:
        account.create(price)
        account.change(product, {"default_price": price["id"]}, "product.updated")
    return product


def _own_id(account: Account, form: Form) -> str | None:
    product_id = form.text("id", limit=255)
    if product_id is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]+", product_id):
        raise invalid("Invalid product id: only letters, digits, `_` and `-` are allowed.", "id")
    if account.shelf("product").get(product_id) is not None:
        raise refused(f"Product already exists: '{product_id}'", "resource_already_exists", "id")
    return product_id


def _default_price(account: Account, form: Form, product_id: str) -> Json:
    return new_price(account, form, product_id, recurring=recurring_given(form.inside("recurring")))


def update(call: Call) -> Json:
    form, account = call.form, call.account
    product = account.find("product", call.ids[0])
    changes: Json = {"metadata": form.metadata(product["metadata"])}
    changes.update((key, form.text(key)) for key in TEXTS if form.given(key))
    if form.given("name"):
        changes["name"] = form.required("name")
    active = form.boolean("active")
    if active is not None:
        changes["active"] = active
    if form.given("default_price"):
        changes["default_price"] = _price_of(account, form, product["id"])
    form.set_aside("marketing_features", "package_dimensions", "tax_details", "images", "shippable")
    form.close()
    if any(product.get(key) != value for key, value in changes.items()):
        changes["updated"] = account.now()
    return account.change(product, changes, "product.updated")


def _price_of(account: Account, form: Form, product_id: str) -> str | None:
    price_id = form.text("default_price")
    if price_id is None:
        return None
    price = account.find("price", price_id, "default_price")
    if price["product"] != product_id:
        raise invalid(f"The price `{price_id}` does not belong to the product `{product_id}`.", "default_price")
    if not price["active"]:
        raise invalid(f"The price `{price_id}` is inactive and cannot be the default price.", "default_price")
    return price_id


def delete(call: Call) -> Json:
    call.form.close()
    product = call.account.find("product", call.ids[0])
    if call.account.shelf("price").by("product", product["id"]):
        raise refused("This product cannot be deleted because it has one or more user-created prices.")
    return call.account.remove(product, "product.deleted")


def list_products(call: Call) -> Json:
    form = call.form
    ids = form.texts("ids")
    tests = [flag(form, "active"), flag(form, "shippable"), equal(form, "url"), equal(form, "type")]
    if ids:
        return listed(call, "product", *tests, lambda row: row["id"] in ids)
    return listed(call, "product", *tests)


ROUTES: Routes = {
    ("POST", "products"): create,
    ("GET", "products"): list_products,
    ("GET", "products/search"): lambda call: searched(call, "product"),
    ("GET", "products/*"): lambda call: call.found("product"),
    ("POST", "products/*"): update,
    ("DELETE", "products/*"): delete,
}
