"""Which problems can be cured here, and how: by saying what a source's text means, or by correcting one field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accord.engine.shell import Connection
from accord.rules.firm import Firm, country_suggestions, letters_and_digits
from accord.workbench.listing import Case

RECORDS_OF = """
SELECT d.body, k.body FROM (SELECT %(subject)s::text AS subject) s
LEFT JOIN record d ON d.kind = 'deal' AND d.id = s.subject
LEFT JOIN record k ON k.kind = 'customer' AND k.id = coalesce(d.body ->> 'customer_id', s.subject)
"""
FIRM = """
SELECT body FROM policy WHERE name = 'firm' AND valid_from <= current_date
ORDER BY valid_from DESC, version DESC LIMIT 1
"""

# Reference lists and the problem each cures.
LISTS: Mapping[str, str] = {
    "country": "country_unknown",
    "product": "product_unknown",
    "distinct_customers": "customer_duplicate",
    "time_project": "project_not_bound",
}
# Problems of the gate that a field of deal or customer cures until the CRM says otherwise: code -> (kind, path).
FIELDS: Mapping[str, tuple[str, str]] = {
    "contract_type": ("deal", "contract_type"),
    "delivery_region": ("deal", "delivery_region"),
    "legal_entity": ("deal", "legal_entity"),
    "billing_terms": ("deal", "contract.billing_terms"),
    "country_missing": ("customer", "country"),
    "tax_registration_missing": ("customer", "tax_registration"),
    "tax_registration_invalid": ("customer", "tax_registration"),
}

ALL_TRIED = "All cases this cures are tried again."


@dataclass(frozen=True, slots=True)
class Remedy:
    """A cure offered for one problem. `how` is reference or field; `choices` are suggestions (empty: any text);
    `effect` says what will happen when it is applied."""

    how: str
    code: str
    name: str
    given: str
    choices: tuple[str, ...]
    effect: str


async def of(db: Connection, case: Case) -> tuple[Remedy, ...]:
    """The cures of a case's problems, in the order of the problems."""
    codes = [str(problem["code"]) for problem in case.problems]
    wanted = {*LISTS.values(), *FIELDS}
    if case.process_id is None or not wanted & set(codes):
        return ()
    deal, customer = await _records(db, case.subject)
    row = await (await db.execute(FIRM)).fetchone()
    firm = None if row is None else Firm.parse(row[0])
    found: list[Remedy] = []
    for code in dict.fromkeys(codes):
        found.extend(_by_reference(code, case, deal, customer, firm))
        found.extend(_by_field(code, deal, customer, firm))
    return tuple(found)


async def _records(db: Connection, subject: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    row = await (await db.execute(RECORDS_OF, {"subject": subject})).fetchone()
    return (row[0] or {}, row[1] or {}) if row is not None else ({}, {})


def _by_reference(
    code: str, case: Case, deal: Mapping[str, Any], customer: Mapping[str, Any], firm: Firm | None
) -> Sequence[Remedy]:
    if code == "country_unknown":
        given = str(customer.get("country") or customer.get("country_as_given") or "")
        effect = f"Every customer whose country reads {given!r} is in the country you name. {ALL_TRIED}"
        return [
            Remedy("reference", code, "country", given, tuple(each[:2] for each in country_suggestions(given)), effect)
        ]
    if code == "product_unknown":
        given = str(deal.get("product_as_given") or "")
        choices = sorted(firm.products if firm else (), key=lambda each: not _alike(each, given))
        effect = f"Every deal whose product reads {given!r} sells the product you name. {ALL_TRIED}"
        return [Remedy("reference", code, "product", given, tuple(choices), effect)]
    if code == "customer_duplicate":
        effect = (
            "The two accounts are taken for two customers from now on; merge them in the CRM instead if they are one."
        )
        twins = [str(each["message"]).rpartition("(")[2].rstrip(").") for each in case.problems if each["code"] == code]
        mine = str(customer.get("id", ""))
        return [
            Remedy("reference", code, "distinct_customers", f"{mine} {twin}", ("distinct",), effect) for twin in twins
        ]
    return ()


def _alike(one: str, other: str) -> bool:
    return letters_and_digits(one)[:4] == letters_and_digits(other)[:4]


def _by_field(code: str, deal: Mapping[str, Any], customer: Mapping[str, Any], firm: Firm | None) -> Sequence[Remedy]:
    if code not in FIELDS:
        return ()
    kind, path = FIELDS[code]
    value: Any = deal if kind == "deal" else customer
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    given = f"{value.get('country')} {value.get('number')}" if isinstance(value, Mapping) else str(value or "")
    effect = (
        f"The {kind}'s {path.replace('.', ' ').replace('_', ' ')} becomes what you enter, here, until the CRM sends "
        "another value; the case is tried again. Enter it in the CRM too."
    )
    return [Remedy("field", code, f"{kind}.{path}", given, choices_of(f"{kind}.{path}", firm), effect)]


def choices_of(name: str, firm: Firm | None) -> tuple[str, ...]:
    """The values a field may take by the firm's policy; empty where any text may do."""
    if firm is None:
        return ()
    table = {
        "deal.contract_type": firm.contract_types,
        "deal.delivery_region": firm.regions,
        "deal.legal_entity": tuple(firm.entities),
        "deal.contract.billing_terms": tuple(firm.terms),
    }
    return table.get(name, ())
