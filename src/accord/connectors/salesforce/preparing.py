"""From a write to the record that is sent, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accord.connect.mapping import Mapping as Table
from accord.connect.session import Session
from accord.connectors.salesforce.customers import CUSTOMER
from accord.connectors.salesforce.naming import named
from accord.connectors.salesforce.writeback import CUSTOMER_STATUS, HANDOVER, INVOICE, NOTICE
from accord.connectors.salesforce.writes import Prepared, look_up
from accord.engine.outcomes import Rejected, Write

Ready = Sequence[Prepared | Rejected]
_STATUS_LENGTH = 40


async def customers(session: Session, writes: Sequence[Write]) -> Ready:
    """Our id on an account that is there; accounts are never made here."""
    ready: list[Prepared | Rejected] = []
    for write in writes:
        vendor_id = write.vendor_id or write.vendor_ids.get(write.canonical_id)
        ready.append(_updated("Account", vendor_id, _fields(session, CUSTOMER, write)))
    return ready


async def handovers(session: Session, writes: Sequence[Write]) -> Ready:
    """Project and payment status on the opportunity. Amounts of another currency than its own are refused."""
    ids = [write.vendor_ids.get(str(write.body.get("deal_id"))) for write in writes]
    sums = [vendor_id for vendor_id, write in zip(ids, writes, strict=True) if vendor_id and _has_money(write.body)]
    currencies = await _currencies(session, "Opportunity", sums)
    ready: list[Prepared | Rejected] = []
    for vendor_id, write in zip(ids, writes, strict=True):
        fields = _fields(session, HANDOVER, write)
        if isinstance(fields, dict):
            given, theirs = fields.pop("CurrencyIsoCode", None), currencies.get(str(vendor_id))
            if given is not None and theirs is not None and given != theirs:
                words = f"The amounts are in {given}, but the opportunity is in {theirs}."
                ready.append(Rejected("currency_differs", words, ("billed", "paid")))
                continue
        ready.append(_updated("Opportunity", vendor_id, fields))
    return ready


async def customer_statuses(session: Session, writes: Sequence[Write]) -> Ready:
    """Receivable and payment status on the account. A receivable of another currency than the account's cannot stand in
    its currency field: it is told in the status text, and the field is emptied."""
    ids = [write.vendor_ids.get(str(write.body.get("customer_id"))) for write in writes]
    currencies = await _currencies(session, "Account", [each for each in ids if each])
    ready: list[Prepared | Rejected] = []
    table = named(session, CUSTOMER_STATUS)
    balance = next(row.vendor for row in table.rows if row.field == "receivable")
    status = next(row.vendor for row in table.rows if row.field == "payment_status")
    for vendor_id, write in zip(ids, writes, strict=True):
        fields = _fields(session, CUSTOMER_STATUS, write)
        if isinstance(fields, dict):
            given, theirs = fields.pop("CurrencyIsoCode", None), currencies.get(str(vendor_id))
            if theirs is not None and given != theirs:
                receivable = write.body["receivable"]
                words = f"{fields[status]}: {receivable['amount']} {receivable['currency']}"
                fields |= {balance: None, status: words[:_STATUS_LENGTH]}
        ready.append(_updated("Account", vendor_id, fields))
    return ready


async def invoices(session: Session, writes: Sequence[Write]) -> Ready:
    """The invoice as sales sees it, by our id."""
    ready: list[Prepared | Rejected] = []
    for write in writes:
        fields = _fields(session, INVOICE, write)
        if isinstance(fields, dict):
            fields["Name"] = str(write.body.get("number") or write.canonical_id)[:80]
        ready.append(_upserted("Invoice__c", _own(named(session, INVOICE)), fields))
    return ready


async def notices(session: Session, writes: Sequence[Write]) -> Ready:
    """A task for whoever owns the record it is about; an inactive owner's falls to the integration user."""
    about = [write.vendor_ids.get(str(write.body.get("about_id"))) for write in writes]
    kinds = ["Opportunity" if write.body.get("about_kind") == "deal" else "Account" for write in writes]
    owners: dict[str, str] = {}
    for name in dict.fromkeys(kinds):
        ids = [vendor_id for vendor_id, kind in zip(about, kinds, strict=True) if vendor_id and kind == name]
        for found_id, record in (await look_up(session, name, ids, "OwnerId, Owner.IsActive")).items():
            if (record.get("Owner") or {}).get("IsActive"):
                owners[found_id] = str(record["OwnerId"])
    ready: list[Prepared | Rejected] = []
    for vendor_id, write in zip(about, writes, strict=True):
        fields = _fields(session, NOTICE, write)
        if isinstance(fields, dict) and vendor_id in owners:
            fields["OwnerId"] = owners[vendor_id]
        ready.append(_upserted("Task", _own(named(session, NOTICE)), fields))
    return ready


def _fields(session: Session, table: Table, write: Write) -> dict[str, Any] | Rejected:
    writing = named(session, table).write({**write.body, "id": write.canonical_id}, write.vendor_ids)
    return writing.rejected() or dict(writing.fields)


def _own(table: Table) -> str:
    return next(row.vendor for row in table.rows if row.type == "own")


def _updated(name: str, vendor_id: str | None, fields: dict[str, Any] | Rejected) -> Prepared | Rejected:
    if isinstance(fields, Rejected):
        return fields
    if vendor_id is None:
        return Rejected(
            "not_known_here", f"Salesforce's {name} for this is not known; it must be read from there first."
        )
    return Prepared(name, fields, id=vendor_id)


def _upserted(name: str, key: str, fields: dict[str, Any] | Rejected) -> Prepared | Rejected:
    return fields if isinstance(fields, Rejected) else Prepared(name, fields, key=key)


def _has_money(body: Mapping[str, Any]) -> bool:
    return body.get("billed") is not None or body.get("paid") is not None


async def _currencies(session: Session, name: str, ids: Sequence[str]) -> dict[str, str]:
    records = await look_up(session, name, ids, "CurrencyIsoCode") if ids else {}
    return {vendor_id: str(record["CurrencyIsoCode"]) for vendor_id, record in records.items()}
