"""Customers: ids are Stripe's, ours is in the metadata; one that exists is found, not made again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import key, own, text
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Steps, ours, read
from accord.engine.outcomes import Committed, Outcome, Rejected, Write
from accord.model.customer import Customer

CUSTOMER = Table(
    "stripe.customer",
    "customer",
    "Customer",
    of=Customer,
    null="",
    rows=(
        key("id"),
        own("metadata.accord_id"),
        text("legal_name", "name", required=True, max_length=256, cut=True),
        text("country", "address.country", max_length=2, sparse=True),
        text("email", "email", max_length=512),
    ),
)
_EU = [
    "AT",
    "BE",
    "BG",
    "HR",
    "CY",
    "CZ",
    "DE",
    "DK",
    "EE",
    "ES",
    "FI",
    "FR",
    "GR",
    "HU",
    "IE",
    "IT",
    "LT",
    "LU",
    "LV",
    "MT",
    "NL",
    "PL",
    "PT",
    "RO",
    "SE",
    "SI",
    "SK",
]
# Stripe's name for a country's tax number (stripe 16.1.0, TaxId.type). Elsewhere the number goes into the metadata.
TAX_ID_TYPES = {
    **dict.fromkeys(_EU, "eu_vat"), "US": "us_ein", "GB": "gb_vat", "CH": "ch_vat", "NO": "no_vat", "AU": "au_abn",
    "BR": "br_cnpj", "KR": "kr_brn", "IN": "in_gst", "CN": "cn_tin", "MX": "mx_rfc", "SG": "sg_uen", "KE": "ke_pin",
    "IL": "il_vat",
}  # fmt: skip


async def put(steps: Steps) -> Outcome:
    """Make Stripe's customer like this one: by its id, by our id in the metadata, by exact name, or new."""
    write = steps.write
    fields, problems = CUSTOMER.write({**write.body, "id": write.canonical_id})
    if problems:
        return Rejected("not_writable", "; ".join(map(str, problems)), tuple(each.field for each in problems))
    tax_id = _tax_id(write.body)
    if tax_id is None and (registration := write.body.get("tax_registration")):
        fields["metadata"]["tax_registration"] = f"{registration['country']} {registration['number']}"
    vendor_id = write.vendor_id
    if vendor_id is None:
        known = await _known(steps.session, write)
        if isinstance(known, Rejected):
            return known
        vendor_id = known
    if vendor_id is None:
        if tax_id is not None:
            fields["tax_id_data"] = [tax_id]
        made = await steps.post("create", "customers", fields)
        return Committed(str(made["id"]))
    kept = await steps.post("update", f"customers/{vendor_id}", {**fields, "expand": ["tax_ids"]})
    await _add_tax_id(steps, kept, tax_id)
    return Committed(vendor_id, {"found": write.vendor_id is None})


def _tax_id(body: Mapping[str, Any]) -> dict[str, str] | None:
    """The registration as Stripe takes it: without spaces, dots and dashes; EU numbers with their country."""
    registration = body.get("tax_registration")
    if not registration:
        return None
    country, number = (
        str(registration["country"]).upper(),
        re.sub(r"[\s.\-/]", "", str(registration["number"])).upper(),
    )
    if country == "JP":
        return {"type": "jp_trn" if number.startswith("T") else "jp_cn", "value": number}
    kind = TAX_ID_TYPES.get(country)
    if kind is None:
        return None
    prefix = {"GR": "EL"}.get(country, country)
    if kind == "eu_vat" and not number.startswith(prefix):
        number = prefix + number
    if kind == "us_ein" and len(number) == 9:
        number = f"{number[:2]}-{number[2:]}"
    return {"type": kind, "value": number}


async def _known(session: Session, write: Write) -> str | Rejected | None:
    """The customer that is there already: with our id, or without any and of exactly this name and
    country."""
    name = str(write.body["legal_name"])
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    query = f'metadata["accord_id"]:"{write.canonical_id}" OR name:"{quoted}"'
    rows = (await read(session, "customers/search", {"query": query, "limit": 100}))["data"]
    mine = next((row for row in rows if _accord_id(row) == write.canonical_id), None)
    if mine is None and write.attempt > 1:
        mine = await find(session, write)  # search lags: what was made a moment ago is only listed
    if mine is not None:
        return str(mine["id"])
    alike = [row for row in rows if _accord_id(row) is None and _alike(row, write.body)]
    if len(alike) > 1:
        ids = ", ".join(str(row["id"]) for row in alike)
        return Rejected(
            "ambiguous_customer",
            f"Stripe has several customers {name!r} ({ids}); merge or mark one.",
            ("legal_name",),
        )
    return str(alike[0]["id"]) if alike else None


def _accord_id(row: Json) -> str | None:
    return (row.get("metadata") or {}).get("accord_id")


def _alike(row: Json, body: Mapping[str, Any]) -> bool:
    country = (row.get("address") or {}).get("country")
    same_name = str(row.get("name") or "").casefold() == str(body["legal_name"]).casefold()
    return same_name and (not country or not body.get("country") or country == body["country"])


async def _add_tax_id(steps: Steps, customer: Json, tax_id: dict[str, str] | None) -> None:
    have = {row["value"] for row in (customer.get("tax_ids") or {}).get("data", ())}
    if tax_id is not None and tax_id["value"] not in have:
        await steps.post("tax-id", f"customers/{customer['id']}/tax_ids", tax_id)


async def find(session: Session, write: Write) -> Json | None:
    """For the probe: by Stripe's id, by search, then by listing the newest."""
    if write.vendor_id is not None:
        return await read(session, f"customers/{write.vendor_id}")
    query = f'metadata["accord_id"]:"{write.canonical_id}"'
    rows = (await read(session, "customers/search", {"query": query, "limit": 1}))["data"]
    return rows[0] if rows else await ours(session, "customers", {}, write.canonical_id)
