"""Tax: the treatment of a sale by a legal entity to a customer, and tax registrations."""

from __future__ import annotations

from decimal import Decimal

from stdnum import get_cc_module
from stdnum.exceptions import ValidationError

from accord.model.billing import TaxRate, TaxTreatment
from accord.model.customer import Customer, TaxRegistration
from accord.model.identity import canonical_id
from accord.model.money import Money, Rounding
from accord.rules.firm import Firm, LegalEntity


def registration_problem(registration: TaxRegistration) -> str | None:
    """Why a tax registration is not valid, by python-stdnum's module of its country; None when it is.

    A country without a module cannot be checked: that is said, not passed over.
    """
    country = registration.country.lower()
    module = get_cc_module(country, "vat") or get_cc_module(country, "businessid") or _NATIONAL.get(country)
    if isinstance(module, str):
        module = get_cc_module(country, module)
    if module is None:
        return f"tax numbers of {registration.country} cannot be checked"
    try:
        module.validate(registration.number)
    except ValidationError as error:
        return f"{registration.number!r} is not a valid tax number of {registration.country}: {error}"
    return None


# Where the registration is neither called VAT nor business id (python-stdnum 2).
_NATIONAL = {"us": "ein", "jp": "cn", "br": "cnpj", "cn": "uscc", "kr": "brn"}


def treatment(firm: Firm, entity: LegalEntity, customer: Customer) -> TaxTreatment:
    """How a service sold by `entity` to a business customer is taxed.

    Place of supply of business services is the customer's country (EU directive 2006/112/EC, article 44): domestic tax
    at home, reverse charge inside the entity's tax union for a registered customer, export elsewhere. An entity whose
    domestic rate is 0 charges none at home.
    """
    country = customer.country or ""
    if country == entity.country:
        kind = "domestic" if entity.domestic_tax else "none"
        return TaxTreatment(kind, entity.country, entity.domestic_tax, entity.tax_label)
    inside = entity.union is not None and country in firm.unions.get(entity.union, ())
    if inside and customer.tax_registration is not None:
        return TaxTreatment("reverse_charge", country, Decimal(0), "Reverse charge")
    if inside:
        return TaxTreatment("domestic", entity.country, entity.domestic_tax, entity.tax_label)
    return TaxTreatment("export", country, Decimal(0), "Outside scope")


def rate_for(entity: LegalEntity, how: TaxTreatment) -> TaxRate:
    """The tax rate object the billing platform needs for a treatment."""
    id = canonical_id("tax_rate", entity.code, how.kind, how.country, str(how.percentage))
    return TaxRate(id=id, label=how.label, country=how.country, percentage=how.percentage, kind=how.kind)


def tax_on(net: Money, how: TaxTreatment) -> Money:
    """Tax on one line, rounded half up to the minor unit of the currency."""
    return net.times(how.percentage / Decimal(100), Rounding.HALF_UP)
