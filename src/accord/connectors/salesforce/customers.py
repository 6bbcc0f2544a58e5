"""Accounts as customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pycountry

from accord.connect.connector import Observed, Page, Watermark
from accord.connect.mapping import Mapping, key, link, nested, number, own, text, version
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connectors.salesforce import flat
from accord.connectors.salesforce.naming import named
from accord.connectors.salesforce.soql import Record, moment
from accord.model.customer import Customer

CUSTOMER = Mapping(
    "salesforce.customer",
    "customer",
    "Account",
    of=Customer,
    rows=(
        key("Id"),
        version("SystemModstamp"),
        own("Accord_Customer__c", owner="accord"),
        text("legal_name", "Name", required=True, access="read", owner="crm"),
        text("country", "BillingCountryCode", access="read", owner="crm"),
        text("country_as_given", "BillingCountry", access="read", owner="crm"),
        text("currency", "CurrencyIsoCode", access="read", owner="crm"),
        link("parent_id", "ParentId", kind="customer", access="read", owner="crm"),
        link("merged_into", "MasterRecordId", kind="customer", access="read", owner="crm"),
        nested(
            "tax_registration",
            "",
            (text("number", "Tax_Registration__c"), text("country", "BillingCountryCode")),
            access="read",
            owner="crm",
        ),
        text("industry", "Industry", access="read", owner="crm"),
        number("payment_terms_days", "Payment_Terms_Days__c", minimum=0, access="read", owner="crm"),
        text("owner", "Owner.Name", access="read", owner="crm"),
    ),
)
_MORE = ("IsDeleted", "LastModifiedBy.Name")


def _select(session: Session) -> str:
    return f"SELECT {', '.join(dict.fromkeys((*named(session, CUSTOMER).fields(), *_MORE)))} FROM Account"


async def get(session: Session, ids: Sequence[str]) -> Sequence[Observed]:
    """Accounts by id, deleted and merged ones as tombstones; ids nobody has are left out. Raises CallFailed."""
    return await flat.by_id(session, _select(session), ids, lambda record: read(session, record))


def changed(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    """Accounts changed since the watermark, oldest change first. Raises CallFailed."""
    return flat.since(session, _select(session), "Account", since, lambda record: read(session, record))


def read(session: Session, record: Record) -> Observed:
    """One account. A tax number's own country prefix goes before the billing country."""
    seen = observed(named(session, CUSTOMER), record)
    body = dict(seen.body)
    problems = list(seen.problems)
    registration = _registration(body.pop("tax_registration", None))
    if registration and not registration.get("country"):
        problems.append("tax_registration: the country of the number is not known; enter the billing country")
    elif registration:
        body["tax_registration"] = registration
    return replace(
        seen,
        version=moment(seen.version),
        body=body,
        problems=tuple(problems),
        deleted=is_true(record.get("IsDeleted")),
        modified_by=modified_by(record),
    )


def _registration(given: Any) -> dict[str, str] | None:
    if not given or not given.get("number"):
        return None
    prefix = {"EL": "GR"}.get(given["number"][:2].upper(), given["number"][:2].upper())
    if prefix.isalpha() and pycountry.countries.get(alpha_2=prefix) is not None:
        return {"number": given["number"], "country": prefix}
    return dict(given)


def is_true(value: Any) -> bool:
    """A flag of JSON or of a bulk result."""
    return value is True or value == "true"


def modified_by(record: Record) -> str | None:
    """Who changed it last, for the timeline."""
    name = (record.get("LastModifiedBy") or {}).get("Name")
    return str(name) if name else None
