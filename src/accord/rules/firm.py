"""The firm's own facts and policies, as the rules use them: legal entities, tax positions, terms, reference lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pycountry


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """One legal entity: `code` is its name in every rule; `domestic_tax` the percentage on sales at home, with the
    label that goes on the invoice; `union` the tax union it belongs to (reverse charge inside it), such as EU."""

    code: str
    name: str
    country: str
    currency: str
    domestic_tax: Decimal
    tax_label: str
    union: str | None = None
    tax_number_required_at_home: bool = False


@dataclass(frozen=True, slots=True)
class Firm:
    """The firm's policy `firm`, one version of it.

    `contract_types` and `regions` are the ones that may be activated; `terms` maps billing terms to days; `unions` tax
    unions to countries; `products` the catalogue (empty: not checked); `references` lists of translations by list name
    {given: meaning}.
    """

    version: int
    entities: Mapping[str, LegalEntity]
    contract_types: tuple[str, ...]
    regions: tuple[str, ...]
    terms: Mapping[str, int]
    unions: Mapping[str, tuple[str, ...]]
    products: tuple[str, ...] = ()
    references: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    milestones_may_be_implied: bool = False

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Firm:
        """From the policy's JSON; KeyError or ValueError name what is missing or wrong."""
        entities = {
            code: LegalEntity(
                code=code,
                name=each["name"],
                country=each["country"],
                currency=each["currency"],
                domestic_tax=Decimal(str(each["domestic_tax"])),
                tax_label=each["tax_label"],
                union=each.get("union"),
                tax_number_required_at_home=bool(each.get("tax_number_required_at_home", False)),
            )
            for code, each in plain["entities"].items()
        }
        return cls(
            version=int(plain.get("version", 1)),
            entities=entities,
            contract_types=tuple(plain["contract_types"]),
            regions=tuple(plain["regions"]),
            terms={name: int(days) for name, days in plain["terms"].items()},
            unions={name: tuple(countries) for name, countries in plain.get("unions", {}).items()},
            products=tuple(plain.get("products", ())),
            references=plain.get("references", {}),
            milestones_may_be_implied=bool(plain.get("milestones_may_be_implied", False)),
        )


@dataclass(frozen=True, slots=True)
class Translation:
    """A source's text and what it means to the firm, with the rule that said so."""

    list: str
    given: str
    meaning: str
    rule: str


def letters_and_digits(text: str) -> str:
    """The text without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", text).casefold()


def product_of(firm: Firm, given: str) -> Translation | None:
    """The catalogue product a text means: the same words, a declared translation, or exactly one product with the same
    letters and digits. None when none of these says so: similarity alone is never taken."""
    if given in firm.products:
        return Translation("product", given, given, "catalogue")
    declared = firm.references.get("product", {}).get(given)
    if declared is not None:
        return Translation("product", given, declared, "declared")
    same = [product for product in firm.products if letters_and_digits(product) == letters_and_digits(given)]
    return Translation("product", given, same[0], "same letters and digits") if len(same) == 1 else None


def country_of(firm: Firm, given: str) -> Translation | None:
    """The ISO 3166 alpha-2 code a text means: a declared translation, a code, or the exact name of just one country."""
    declared = firm.references.get("country", {}).get(given)
    if declared is not None:
        return Translation("country", given, declared, "declared")
    text = given.strip()
    if len(text) == 2 and pycountry.countries.get(alpha_2=text.upper()):
        return Translation("country", given, text.upper(), "ISO 3166 code")
    named = {
        country.alpha_2
        for country in pycountry.countries
        for attribute in ("name", "official_name", "common_name", "alpha_3")
        if getattr(country, attribute, "").casefold() == text.casefold()
    }
    return Translation("country", given, named.pop(), "ISO 3166 name") if len(named) == 1 else None


def country_suggestions(given: str) -> tuple[str, ...]:
    """Countries a text may have meant, for a person to choose from; never applied by itself."""
    try:
        found = pycountry.countries.search_fuzzy(given)
    except LookupError:
        found = []
    if not found:
        from difflib import get_close_matches

        names = {country.name: country for country in pycountry.countries}
        found = [names[name] for name in get_close_matches(given, list(names), n=3, cutoff=0.7)]
    return tuple(f"{country.alpha_2} {country.name}" for country in found[:3])
