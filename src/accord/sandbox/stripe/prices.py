"""Prices: what one unit of a product costs, once or every period."""

from __future__ import annotations

from decimal import Decimal

from accord.model.money import UnknownCurrency, decimals_of
from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, Where, equal, flag, listed, searched
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json

DEFAULT_CURRENCIES = {"US": "usd", "DE": "eur", "JP": "jpy"}
INTERVALS = ("day", "week", "month", "year")
TAX_BEHAVIORS = ("exclusive", "inclusive", "unspecified")


def currency_given(form: Form) -> str:
    """A currency as Stripe writes it (lower case). Raises Refused for one Stripe does not know."""
    currency = form.required("currency").lower()
    try:
        decimals_of(currency.upper())
    except UnknownCurrency as error:
        message = (
            f"Invalid currency: {currency}. Stripe currently supports these currencies: usd, eur, jpy, gbp, chf, ..."
        )
        raise invalid(message, form.name("currency")) from error
    return currency


def unit_amount_given(form: Form) -> Decimal:
    """`unit_amount` or `unit_amount_decimal` in the minor unit: exactly one of them."""
    whole, exact = form.integer("unit_amount"), form.decimal("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise invalid(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
            form.name("unit_amount"),
        )
    amount = Decimal(whole) if whole is not None else exact
    if amount is None:
        raise form.missing("unit_amount")
    return amount


def recurring_given(form: Form | None) -> Json | None:
    if form is None:
        return None
    interval = form.choice("interval", INTERVALS)
    if interval is None:
        raise form.missing("interval")
    count = form.integer("interval_count", low=1, high=1095) or 1
    form.not_simulated("meter", "trial_period_days")
    usage = form.choice("usage_type", ("licensed",)) or "licensed"
    return {
        "interval": interval,
        "interval_count": count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": usage,
    }


def new_price(
    account: Account, form: Form, product: str, *, recurring: Json | None, lookup_key: str | None = None
) -> Json:
    """A price from `currency`, `unit_amount`, `tax_behavior`, `nickname`, `metadata` of the form; not yet
    shelved."""
    currency, amount = currency_given(form), unit_amount_given(form)
    if amount < 0:
        raise invalid("Invalid non-negative integer", form.name("unit_amount"), "parameter_invalid_integer")
    form.not_simulated("currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity")
    return {
        "id": account.new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": form.choice("billing_scheme", ("per_unit",)) or "per_unit",
        "created": account.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": lookup_key,
        "metadata": form.metadata(),
        "nickname": form.text("nickname"),
        "product": product,
        "recurring": recurring,
        "tax_behavior": form.choice("tax_behavior", TAX_BEHAVIORS) or "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": int(amount) if amount == amount.to_integral_value() else None,
        "unit_amount_decimal": f"{amount.normalize():f}",
    }


def price_data(account: Account, form: Form, *, needs_recurring: bool) -> Json:
    """An inline price: made and kept inactive, as Stripe does for `price_data`."""
    product = form.required("product")
    account.find("product", product, form.name("product"))
    recurring = recurring_given(form.inside("recurring"))
    if (recurring is not None) != needs_recurring:
        if needs_recurring:
            raise form.missing("recurring")
        raise invalid("The price specified is set to `type=recurring`.", form.name("recurring"))
    return {**new_price(account, form, product, recurring=recurring), "active": False}


def create(call: Call) -> Json:
    form, account = call.form, call.account
    product = form.required("product")
    account.find("product", product, "product")
    form.not_simulated("product_data")
    key, transfer = form.text("lookup_key", limit=200), form.boolean("transfer_lookup_key") or False
    price = new_price(account, form, product, recurring=recurring_given(form.inside("recurring")), lookup_key=key)
    active = form.boolean("active")
    price["active"] = True if active is None else active
    form.close()
    _claim(account, key, price["id"], transfer=transfer)
    return account.create(price)


def _claim(account: Account, lookup_key: str | None, price_id: str, *, transfer: bool) -> None:
    """Free the lookup key from the price that has it, or refuse."""
    for holder in account.shelf("price").by("lookup_key", lookup_key) if lookup_key else []:
        if holder["id"] == price_id:
            continue
        if not transfer:
            raise refused(
                f"A price (`{holder['id']}`) already uses that lookup key. Set `transfer_lookup_key=true` "
                "to transfer it.",
                "resource_already_exists",
                "lookup_key",
            )
        account.change(holder, {"lookup_key": None}, "price.updated")


def update(call: Call) -> Json:
    form, account = call.form, call.account
    price = account.find("price", call.ids[0])
    changes: Json = {"metadata": form.metadata(price["metadata"])}
    active, transfer = form.boolean("active"), form.boolean("transfer_lookup_key") or False
    if active is not None:
        changes["active"] = active
    if form.given("nickname"):
        changes["nickname"] = form.text("nickname")
    if form.given("lookup_key"):
        changes["lookup_key"] = form.text("lookup_key", limit=200)
    behavior = form.choice("tax_behavior", TAX_BEHAVIORS)
    if behavior is not None:
        changes["tax_behavior"] = behavior
    form.not_simulated("currency_options")
    form.close()
    _claim(account, changes.get("lookup_key"), price["id"], transfer=transfer)
    return account.change(price, changes, "price.updated")


def list_prices(call: Call) -> Json:
    form = call.form
    keys, product = form.texts("lookup_keys"), form.text("product")
    tests = [flag(form, "active"), equal(form, "currency"), equal(form, "type")]
    if form.given("recurring"):
        form.not_simulated("recurring")
    if keys and len(keys) > 10:
        raise invalid("Array too long: lookup_keys can have at most 10 items.", "lookup_keys")
    if keys and len(keys) == 1:
        return listed(call, "price", *tests, _of_product(product), index=("lookup_key", keys[0]))
    if keys:
        tests.append(lambda row: row["lookup_key"] in keys)
    return listed(call, "price", *tests, index=("product", product) if product else None)


def _of_product(product: str | None) -> Where | None:
    return None if product is None else lambda row: row["product"] == product


ROUTES: Routes = {
    ("POST", "prices"): create,
    ("GET", "prices"): list_prices,
    ("GET", "prices/search"): lambda call: searched(call, "price"),
    ("GET", "prices/*"): lambda call: call.found("price"),
    ("POST", "prices/*"): update,
}
