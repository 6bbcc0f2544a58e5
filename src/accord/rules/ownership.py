"""Systems of record: which role owns a field of a canonical object.

CRM owns the customer's prospecting data, the opportunity and the commercial status of the contract; ERP the project,
approvals and the accounting outcome; billing the execution of schedules, invoices, payments and disputes
(vendors.md 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWNERS: Mapping[str, Mapping[str, str]] = {
    "deal": {"*": "crm"},
    "customer": {"*": "crm"},
    "milestone_approval": {"*": "erp"},
    "invoice": {"*": "billing"},
    "payment": {"*": "billing"},
    "payment_failure": {"*": "billing"},
    "payment_reversal": {"*": "billing"},
    "dispute": {"*": "billing"},
    "e_invoice": {"*": "e_invoicing"},
}


def owner_of(kind: str, field: str) -> str | None:
    """The role that owns a field, or None where nothing is declared (the platform's own objects)."""
    fields = OWNERS.get(kind, {})
    return fields.get(field) or fields.get("*")


def split_by_owner(
    kind: str, roles: frozenset[str], before: Mapping[str, Any], offered: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a system playing `roles` may change, and what it offers without owning it (only real differences)."""
    allowed, refused = {}, {}
    for field, value in offered.items():
        owner = owner_of(kind, field)
        if owner is None or owner in roles or field == "id":
            allowed[field] = value
        elif before.get(field) != value:
            refused[field] = value
    return allowed, refused
