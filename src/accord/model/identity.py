"""Canonical identities: short, readable, safe as an external id in every vendor (letters, digits, `-`)."""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b

PREFIXES = {
    "customer": "CUS",
    "deal": "DEA",
    "contract": "CON",
    "phase": "PHA",
    "milestone": "MIL",
    "service": "SVC",
    "project": "PRJ",
    "task": "TSK",
    "subscription": "SUB",
    "tax_rate": "TAX",
    "invoice": "INV",
    "payment": "PAY",
    "dispute": "DIS",
    "e_invoice": "EIN",
    "credit_note": "CRN",
    "unapplied_cash": "CSH",
    "refund": "RFD",
    "payment_reversal": "RVS",
    "write_off": "WOF",
    "write_up": "WUP",
    "work_transfer": "WTR",
    "service_settlement": "SST",
    "notice": "NTC",
    "billable_item": "BIL",
    "change": "CHG",
    "work": "WRK",
}


def item_of_line(invoice: str, line: int) -> str:
    """The item behind a line (from 1) of an invoice that billing has made by itself, such as a subscription's."""
    return canonical_id("billable_item", invoice, *([] if line == 1 else [str(line)]))


def canonical_id(kind: str, *about: str) -> str:
    """The identity of one object of `kind`, made of what it is about; the same words give the same identity.

    NetSuite allows letters, digits, `-` and `_` in an external id, and `|` breaks its parser (vendors.md 2.1), so the
    words are digested: 80 bits in base 32, 16 characters behind a prefix for the reader.
    """
    digest = blake2b("\x1f".join(about).encode(), digest_size=10, person=kind.encode()[:16]).digest()
    return f"{PREFIXES[kind]}-{b32encode(digest).decode()}"
