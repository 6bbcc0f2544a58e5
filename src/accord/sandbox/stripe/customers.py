"""Customers and their tax ids."""

from __future__ import annotations

import re

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, by, list_object, listed, searched
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.refusals import invalid, not_there
from accord.sandbox.stripe.shelf import Json

TEXTS = ("business_name", "description", "individual_name", "name", "phone")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
# The tax id types of the countries the demo firm sells to; Stripe has about 130 (stripe 16.1.0, TaxId.type).
TAX_ID_FORMS = {
    "eu_vat": r"[A-Z]{2}[0-9A-Z+*.]{2,12}", "us_ein": r"\d{2}-?\d{7}", "jp_cn": r"\d{13}", "jp_rn": r"\d{5}",
    "jp_trn": r"T\d{13}", "gb_vat": r"(GB)?(\d{9}|\d{12}|(GD|HA)\d{3})",
    "ch_vat": r"CHE-?[\d.]{9,11} ?(MWST|TVA|IVA)?",
    "au_abn": r"\d{11}", "ca_bn": r"\d{9}", "ca_gst_hst": r"\d{9}RT\d{4}", "in_gst": r"\d{2}[A-Z0-9]{13}",
    "kr_brn": r"\d{3}-?\d{2}-?\d{5}", "br_cnpj": r"[\d./-]{14,18}", "no_vat": r"\d{9}(MVA)?",
    "sg_uen": r"[0-9A-Z]{9,10}",
    "ke_pin": r"[A-Z]\d{9}[A-Z]", "ph_tin": r"\d{12}", "jo_crn": r".{1,50}", "pl_nip": r"\d{10}",
    "ro_tin": r"\d{13}",
    "be_vat": r"BE\d{10}", "il_vat": r"\d{9}", "cn_tin": r"[0-9A-Z]{18}", "pa_ruc": r".{1,50}",
    "mx_rfc": r"[A-Z&Ñ0-9]{12,13}",
}  # fmt: skip
_PREFIX_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def create(call: Call) -> Json:
    form, account = call.form, call.account
    tax_ids = [_tax_id_given(each) for each in form.hashes("tax_id_data") or []]
    fields = {key: form.text(key) for key in TEXTS}
    customer: Json = {
        "id": account.new_id("customer", 14),
        "object": "customer",
        "address": _address(form.inside("address")),
        "balance": form.integer("balance") or 0,
        "created": account.now(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        "email": _email(form),
        "invoice_prefix": form.text("invoice_prefix", limit=12) or _prefix(account),
        "invoice_settings": _invoice_settings(form),
        "livemode": False,
        "metadata": form.metadata(),
        "next_invoice_sequence": form.integer("next_invoice_sequence", low=1) or 1,
        "preferred_locales": form.texts("preferred_locales") or [],
        "shipping": None,
        "tax_exempt": form.choice("tax_exempt", ("none", "exempt", "reverse")) or "none",
        "test_clock": None,
        **fields,
    }
    _rest(form)
    account.create(customer)
    for tax_type, value in tax_ids:
        _add_tax_id(account, customer, tax_type, value)
    return customer


def update(call: Call) -> Json:
    form, account = call.form, call.account
    customer = account.find("customer", call.ids[0])
    changes: Json = {"metadata": form.metadata(customer["metadata"])}
    changes.update((key, form.text(key)) for key in TEXTS if form.given(key))
    if form.given("email"):
        changes["email"] = _email(form)
    if form.given("address"):
        changes["address"] = _address(form.inside("address"))
    if form.given("tax_exempt"):
        changes["tax_exempt"] = form.choice("tax_exempt", ("none", "exempt", "reverse")) or "none"
    for key in ("balance", "next_invoice_sequence"):
        if form.given(key):
            changes[key] = form.integer(key) or 0
    if form.given("invoice_prefix"):
        changes["invoice_prefix"] = form.required("invoice_prefix")
    if form.given("invoice_settings"):
        changes["invoice_settings"] = _invoice_settings(form)
    if form.given("preferred_locales"):
        changes["preferred_locales"] = form.texts("preferred_locales") or []
    _rest(form)
    return account.change(customer, changes, "customer.updated")


def _rest(form: Form) -> None:
    form.set_aside("shipping", "tax", "validate", "cash_balance")
    form.not_simulated("payment_method", "source", "default_source", "test_clock")
    form.close()


def _email(form: Form) -> str | None:
    email = form.text("email", limit=512)
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise invalid(f"Invalid email address: {email}", "email", "email_invalid")
    return email


def _address(form: Form | None) -> Json | None:
    return None if form is None else {key: form.text(key) for key in ADDRESS}


def _prefix(account: Account) -> str:
    return "".join(account.random.choices(_PREFIX_ALPHABET, k=8))


def _invoice_settings(form: Form) -> Json:
    settings = form.inside("invoice_settings")
    footer = settings.text("footer") if settings else None
    if settings:
        settings.set_aside("custom_fields", "default_payment_method", "rendering_options")
    return {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": footer,
        "rendering_options": None,
    }


def delete(call: Call) -> Json:
    call.form.close()
    return call.account.remove(call.account.find("customer", call.ids[0]), "customer.deleted")


def _tax_id_given(form: Form) -> tuple[str, str]:
    tax_type, value = form.required("type"), form.required("value")
    pattern = TAX_ID_FORMS.get(tax_type)
    if pattern is None:
        raise invalid(f"Invalid type: must be one of {', '.join(sorted(TAX_ID_FORMS))}", form.name("type"))
    if not re.fullmatch(pattern, value):
        raise invalid(f"Invalid value for {tax_type}.", form.name("value"), "tax_id_invalid")
    return tax_type, value


def _add_tax_id(account: Account, customer: Json, tax_type: str, value: str) -> Json:
    country = value[:2] if tax_type == "eu_vat" else tax_type[:2].upper()
    return account.create(
        {
            "id": account.new_id("tax_id"),
            "object": "tax_id",
            "country": country,
            "created": account.now(),
            "customer": customer["id"],
            "livemode": False,
            "owner": {"type": "customer", "customer": customer["id"]},
            "type": tax_type,
            "value": value,
            "verification": {"status": "unavailable", "verified_address": None, "verified_name": None},
        }
    )


def create_tax_id(call: Call) -> Json:
    customer = call.account.find("customer", call.ids[0])
    tax_type, value = _tax_id_given(call.form)
    call.form.close()
    return _add_tax_id(call.account, customer, tax_type, value)


def list_tax_ids(call: Call) -> Json:
    customer = call.account.find("customer", call.ids[0])
    return listed(call, "tax_id", index=("customer", customer["id"]))


def _tax_id(call: Call) -> Json:
    row = call.account.find("tax_id", call.ids[1])
    if row["customer"] != call.ids[0]:
        raise not_there("tax id", call.ids[1])
    call.form.close()
    return row


def delete_tax_id(call: Call) -> Json:
    return call.account.remove(_tax_id(call), "customer.tax_id.deleted")


def tax_ids_of(account: Account, customer_id: str) -> list[Json]:
    """`customer_tax_ids` as an invoice carries them."""
    return [
        {"type": each["type"], "value": each["value"]} for each in account.shelf("tax_id").by("customer", customer_id)
    ]


def embedded_tax_ids(account: Account, customer: Json) -> Json:
    rows = account.shelf("tax_id").by("customer", customer["id"])
    return list_object(f"/v1/customers/{customer['id']}/tax_ids", rows[::-1][:10], has_more=len(rows) > 10)


ROUTES: Routes = {
    ("POST", "customers"): create,
    ("GET", "customers"): lambda call: listed(call, "customer", index=by(call.form, "email")),
    ("GET", "customers/search"): lambda call: searched(call, "customer"),
    ("GET", "customers/*"): lambda call: call.found("customer"),
    ("POST", "customers/*"): update,
    ("DELETE", "customers/*"): delete,
    ("POST", "customers/*/tax_ids"): create_tax_id,
    ("GET", "customers/*/tax_ids"): list_tax_ids,
    ("GET", "customers/*/tax_ids/*"): _tax_id,
    ("DELETE", "customers/*/tax_ids/*"): delete_tax_id,
}
