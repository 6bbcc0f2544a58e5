"""The demonstration firm: Meridian Consulting Group with legal entities in the US, Germany and Japan."""

from __future__ import annotations

from typing import Any

EU = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip

FIRM: dict[str, Any] = {
    "entities": {
        "US": {
            "name": "Meridian Consulting Inc.",
            "country": "US",
            "currency": "USD",
            "domestic_tax": "0",
            "tax_label": "No sales tax on services",
        },
        "DE": {
            "name": "Meridian Deutschland GmbH",
            "country": "DE",
            "currency": "EUR",
            "domestic_tax": "19",
            "tax_label": "USt 19 %",
            "union": "EU",
            "tax_number_required_at_home": False,
        },
        "JP": {
            "name": "Meridian Japan KK",
            "country": "JP",
            "currency": "JPY",
            "domestic_tax": "10",
            "tax_label": "JCT 10 %",
        },
    },
    "contract_types": ["fixed_fee", "managed_service", "mixed"],
    "regions": ["AMER", "EMEA", "APAC"],
    "terms": {"NET14": 14, "NET30": 30, "NET45": 45, "NET60": 60},
    "unions": {"EU": list(EU)},
    "products": [],
}

BINDINGS = (("crm", "salesforce"), ("erp", "netsuite"), ("billing", "stripe"))

# What each connection is told beyond its credentials.
SETTINGS: dict[str, dict[str, Any]] = {
    "salesforce": {},
    "netsuite": {"subsidiaries": {"US": "2", "DE": "3", "JP": "4"}},
    "stripe": {},
}
