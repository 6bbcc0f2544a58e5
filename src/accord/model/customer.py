"""The customer and what finance knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class TaxRegistration:
    """A tax number as the customer gave it, and the country it belongs to (ISO 3166 alpha-2)."""

    country: str
    number: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A party the firm sells to. `country` is ISO 3166 alpha-2 once known; `country_as_given` is the source's text.

    `entities` are the codes of the firm's legal entities that do business with it; filled by the process that needs it.
    `merged_into` is the customer that stands for it since the two were found to be one; it is deleted then.
    """

    id: str
    legal_name: str
    country: str | None = None
    country_as_given: str | None = None
    currency: str | None = None
    parent_id: str | None = None
    tax_registration: TaxRegistration | None = None
    email: str | None = None
    industry: str | None = None
    payment_terms_days: int | None = None
    entities: tuple[str, ...] = ()
    owner: str | None = None
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerStatus:
    """What finance tells sales about a customer: written to the CRM, owned by the ERP and billing side."""

    id: str
    customer_id: str
    payment_status: str
    receivable: Money


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the account team, as a task in the CRM. `about_id` is the deal or customer it hangs on."""

    id: str
    about_kind: str
    about_id: str
    subject: str
    text: str
    urgent: bool = False
