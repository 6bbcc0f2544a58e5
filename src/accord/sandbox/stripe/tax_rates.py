"""Tax rates: a percentage with a name, used on lines and invoices. They can be retired, never deleted."""

from __future__ import annotations

from decimal import Decimal

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, flag, listed
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.refusals import invalid, refused
from accord.sandbox.stripe.shelf import Json

TEXTS = ("country", "description", "jurisdiction", "state", "tax_type")


def create(call: Call) -> Json:
    form, account = call.form, call.account
    percentage, inclusive, active = (
        form.decimal("percentage"),
        form.boolean("inclusive"),
        form.boolean("active"),
    )
    if percentage is None:
        raise form.missing("percentage")
    if inclusive is None:
        raise form.missing("inclusive")
    if not 0 <= percentage <= 100 or percentage != percentage.quantize(Decimal("0.0001")):
        raise invalid("Invalid percentage: it must be between 0 and 100 with at most 4 decimals.", "percentage")
    rate = {
        "id": account.new_id("tax_rate"),
        "object": "tax_rate",
        "active": True if active is None else active,
        "created": account.now(),
        "display_name": form.required("display_name"),
        "effective_percentage": None,
        "flat_amount": None,
        "inclusive": inclusive,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": form.metadata(),
        "percentage": float(percentage),  # Stripe shows it as a JSON number
        "rate_type": "percentage",
        **{key: form.text(key) for key in TEXTS},
    }
    if rate["country"] is not None and len(str(rate["country"])) != 2:
        raise invalid(
            f"Country '{rate['country']}' is unknown. Try using a 2-character code.",
            "country",
            "country_code_invalid",
        )
    form.close()
    return account.create(rate)


def update(call: Call) -> Json:
    form, account = call.form, call.account
    rate = account.find("tax_rate", call.ids[0])
    changes: Json = {"metadata": form.metadata(rate["metadata"])}
    changes.update((key, form.text(key)) for key in TEXTS if form.given(key))
    if form.given("display_name"):
        changes["display_name"] = form.required("display_name")
    active = form.boolean("active")
    if active is not None:
        changes["active"] = active
    form.close()
    return account.change(rate, changes, "tax_rate.updated")


def rates_given(account: Account, form: Form, key: str = "tax_rates") -> list[str] | None:
    """The ids of a list of tax rates; None when the parameter was not sent."""
    ids = form.texts(key)
    for index, each in enumerate(ids or []):
        rate = account.find("tax_rate", each, f"{form.name(key)}[{index}]")
        if not rate["active"]:
            raise refused(f"The tax rate `{each}` is inactive.", param=f"{form.name(key)}[{index}]")
    return ids


ROUTES: Routes = {
    ("POST", "tax_rates"): create,
    ("GET", "tax_rates"): lambda call: listed(
        call, "tax_rate", flag(call.form, "active"), flag(call.form, "inclusive")
    ),
    ("GET", "tax_rates/*"): lambda call: call.found("tax_rate"),
    ("POST", "tax_rates/*"): update,
}
