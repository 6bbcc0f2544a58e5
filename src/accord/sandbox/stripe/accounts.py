"""The account itself, as its own key sees it."""

from __future__ import annotations

from accord.sandbox.stripe.call import Call, Routes
from accord.sandbox.stripe.prices import DEFAULT_CURRENCIES
from accord.sandbox.stripe.shelf import Json


def current(call: Call) -> Json:
    """Who the key belongs to: the cheapest call that proves a connection."""
    call.form.close()
    account = call.account
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {"name": account.name, "mcc": None, "url": None},
        "business_type": "company",
        "charges_enabled": True,
        "country": account.country,
        "created": account.now(),
        "default_currency": DEFAULT_CURRENCIES.get(account.country, "usd"),
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": account.name, "timezone": "Etc/UTC"}},
        "type": "standard",
    }


ROUTES: Routes = {("GET", "account"): current}
