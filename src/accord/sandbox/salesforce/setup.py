"""What a fresh org holds: itself, its people, its stages and its currencies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from accord.sandbox.salesforce.derivations import STAGES
from accord.sandbox.salesforce.org import Org, Writer
from accord.sandbox.salesforce.schema import Row

# First name, last name, division; the first is the integration user Accord logs in as.
_PEOPLE = (
    ("Accord", "Integration", "Operations"),
    ("Avery", "Quinn", "AMER"),
    ("Jonas", "Weber", "EMEA"),
    ("Yuki", "Tanaka", "APAC"),
)
_CURRENCIES = (("USD", "1", 2), ("EUR", "0.92", 2), ("JPY", "151", 0), ("GBP", "0.79", 2), ("CHF", "0.88", 2))


def populate(org: Org, domain: str) -> Row:
    """Fill a new org; answers the integration user."""
    user_id = org.ids.new("005")
    system = Writer(user_id)
    for number, (first, last, division) in enumerate(_PEOPLE):
        name = f"{first}.{last}@{domain}".lower()
        person: dict[str, Any] = {"Id": user_id} if number == 0 else {}
        person |= {"Username": name, "FirstName": first, "LastName": last, "Name": f"{first} {last}"}
        person |= {"Alias": first.lower()[:8], "Email": name, "IsActive": True, "UserType": "Standard"}
        org.insert_row(org.schema.objects["User"], {**person, "Division": division}, system)
    _settings(org, system)
    org.commit()
    return org.table("User").rows[user_id]


def _settings(org: Org, system: Writer) -> None:
    own = {"Id": org.id, "Name": org.name, "IsSandbox": True, "InstanceName": "SIM1"}
    org.insert_row(org.schema.objects["Organization"], {**own, "OrganizationType": "Enterprise Edition"}, system)
    for order, (name, closed, won, forecast, probability) in enumerate(STAGES, start=1):
        stage = {"MasterLabel": name, "ApiName": name, "IsActive": True, "SortOrder": order, "IsClosed": closed}
        stage |= {"IsWon": won, "ForecastCategory": forecast, "ForecastCategoryName": forecast}
        stage["DefaultProbability"] = Decimal(probability)
        org.insert_row(org.schema.objects["OpportunityStage"], stage, system)
    for code, rate, places in _CURRENCIES:
        currency = {"IsoCode": code, "ConversionRate": Decimal(rate), "DecimalPlaces": places, "IsActive": True}
        org.insert_row(org.schema.objects["CurrencyType"], {**currency, "IsCorporate": code == "USD"}, system)
