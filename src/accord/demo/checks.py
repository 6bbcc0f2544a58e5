"""What must hold after the story, checked against the vendors' own state and the ledger, not our own records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from accord.app import House
from accord.db.pool import transaction
from accord.demo.deal import DEARER, DEARER_AFTER_DAYS, MILESTONES, MONTHLY
from accord.demo.story import PAYMENTS as PAID
from accord.demo.story import Told
from accord.demo.world import World
from accord.engine import eventlog
from accord.ledger.explaining import disagreements
from accord.ledger.postings import Standing, standing
from accord.reconcile.running import breaks, reconcile
from accord.reconcile.unexplained import Unexplained, by_currency, standing_by_currency, unexplained
from accord.rules.proration import period

VENDORS = ("salesforce", "netsuite", "stripe")
ABOUT_THEMSELVES = ("changes", "outbound_messages", "api_usage", "event", "webhook_endpoint")
Objects = Mapping[str, Sequence[Mapping[str, Any]]]

INVOICES = """
SELECT r.body, n.body ->> 'erp_id',
       (SELECT vendor_id FROM crosswalk c
        WHERE c.connection = 'salesforce' AND c.kind = 'invoice' AND c.canonical_id = r.id)
FROM record r LEFT JOIN record n ON n.kind = 'invoice_posting' AND n.id = r.id
WHERE r.kind = 'invoice' AND r.correlation = %(deal)s ORDER BY r.body ->> 'number'
"""
PAYMENTS = "SELECT body FROM record WHERE kind = 'payment_application' AND correlation = %(deal)s ORDER BY id"
CASES = """
SELECT id, reason, state, resolution, owner, amount, currency FROM business_case
WHERE correlation = %(deal)s ORDER BY id
"""
TWICE = """
SELECT count(*) FROM (SELECT 1 FROM effect WHERE state = 2 AND correlation = %(deal)s
    GROUP BY connection, kind, canonical_id, verb, version HAVING count(*) > 1 AND version = 'once') twice
"""
WORK = """
SELECT count(*), count(*) FILTER (WHERE status = 'approved'),
    sum(quantity) FILTER (WHERE status = 'approved' AND kind = 'time'),
    (SELECT count(*) FROM billable_item i WHERE i.engagement = %(deal)s AND i.kind IN ('time', 'expense'))
FROM work_entry WHERE current AND engagement = %(deal)s
"""
UNFINISHED = "SELECT count(*) FROM effect WHERE state IN (0, 1, 3, 4, 7) AND correlation = %(deal)s"


Counts = Mapping[str, Mapping[str, int]]


async def held(world: World) -> Counts:
    """How many objects each vendor holds, by kind."""
    return {vendor: {kind: len(rows) for kind, rows in (await world.state(vendor)).items()} for vendor in VENDORS}


async def summarise(house: House, world: World, told: Told, before: Counts) -> dict[str, Any]:
    """The summary of one run; `checks` maps each check's name to whether it holds. `before` is what vendors held."""
    state = {vendor: await world.state(vendor) for vendor in VENDORS}
    async with house.pool.connection() as db:
        rows = await (await db.execute(INVOICES, {"deal": told.engagement})).fetchall()
        payments = [row[0] for row in await (await db.execute(PAYMENTS, {"deal": told.engagement})).fetchall()]
        cases = await (await db.execute(CASES, {"deal": told.engagement})).fetchall()
        ledger = await standing(db, told.engagement)
        twice = await (await db.execute(TWICE, {"deal": told.engagement})).fetchone()
        unfinished = await (await db.execute(UNFINISHED, {"deal": told.engagement})).fetchone()
        open_items = [each for each in await unexplained(db) if each.engagement == told.engagement]
        standing_now = await standing_by_currency(db)
        wrong_lines = [f"{each.document}/{each.line}" async for each in disagreements(db)]
        work = await (await db.execute(WORK, {"deal": told.engagement})).fetchone()
    async with transaction(house.pool) as db:
        matches = await reconcile(db, house.now(), at_rest=True)
        # Earlier demonstrations in this database had vendors of their own, which are gone.
        differing = [each for each in await breaks(db, limit=100_000) if each.engagement == told.engagement]
    async with house.pool.connection() as db:
        async with db.transaction():
            await eventlog.seal(db)
        async with db.transaction():
            broken = await eventlog.verify(db)
    invoices = [_invoice(*row) for row in rows]
    summary: dict[str, Any] = {
        "engagement": told.engagement,
        "systems": {vendor: _created(objects, before[vendor]) for vendor, objects in state.items()},
        "invoices": invoices,
        "payments": payments,
        "ledger": [_ledger(each) for each in ledger],
        "cases": [_case(row) for row in cases],
        "unexplained": {currency: str(amount) for currency, amount in _unexplained(standing_now, open_items).items()},
        "reconciliation": [
            {"match": each.match, "equal": each.matched, "breaks": sum(one.match == each.match for one in differing)}
            for each in matches
        ],
        "work": dict(zip(("entries", "approved", "hours", "items"), map(str, work or ()), strict=False)),
    }
    summary["checks"] = {
        "gate listed every problem at once": told.gate_problems >= 3,
        "every case is resolved": all(row[2] == "resolved" for row in cases) and len(cases) >= 3,
        "ledger explains every cent": bool(ledger) and all(each.unexplained == 0 for each in ledger),
        "no effect committed twice": twice is not None and twice[0] == 0,
        "no effect unfinished": unfinished is not None and unfinished[0] == 0,
        "audit chain verifies": not broken,
        "nothing is unexplained in any currency": not open_items,
        "every line explains itself and comes to what it says": not wrong_lines,
        "the systems agree": all(each.sees and (each.matched or not each.ours) for each in matches) and not differing,
        "a changed service is settled by its days": _settled(told, invoices),
        **_vendor_checks(state, invoices, payments),
    }
    return summary


def _settled(told: Told, invoices: Sequence[Mapping[str, Any]]) -> bool:
    """The first period from the day of the change on, the second one whole, each at what the price rose by."""
    assert told.deal is not None
    first = period(told.deal.sold_on, 0)
    more = Decimal(DEARER) - Decimal(MONTHLY)
    by_days = more * (first.days - DEARER_AFTER_DAYS) / first.days
    settled = sorted(Decimal(each["net"]) for each in invoices if each["origin"] == "service_change")
    return len(settled) == 2 and abs(settled[0] - by_days) < Decimal("0.01") and settled[1] == more


def _unexplained(standing_now: Mapping[str, Decimal], found: Sequence[Unexplained]) -> dict[str, Decimal]:
    return dict.fromkeys(sorted(standing_now), Decimal(0)) | by_currency(found)


def _created(objects: Objects, before: Mapping[str, int]) -> dict[str, int]:
    """Objects by kind that were not there before the story; what simulators keep about themselves is left out."""
    counts = {kind: len(rows) - before.get(kind, 0) for kind, rows in sorted(objects.items())}
    return {kind: count for kind, count in counts.items() if count and kind not in ABOUT_THEMSELVES}


def _invoice(body: Mapping[str, Any], erp_id: str | None, crm_id: str | None) -> dict[str, Any]:
    return {
        "entity": body["legal_entity"],
        "currency": body["currency"],
        "net": body["net"]["amount"],
        "tax": body["tax"]["amount"],
        "gross": body["gross"]["amount"],
        "status": body["status"],
        "origin": body["origin"],
        "number": body.get("number"),
        "crm_id": crm_id,
        "erp_id": erp_id,
        "billing_id": body.get("billing_ref"),
    }


def _ledger(each: Standing) -> dict[str, Any]:
    return {
        "entity": each.legal_entity,
        "currency": each.currency,
        "approved": str(each.approved),
        "dispositions": {name: str(value) for name, value in sorted(each.dispositions.items())},
        "unexplained": str(each.unexplained),
    }


def _case(row: Sequence[Any]) -> dict[str, Any]:
    names = ("case", "reason", "state", "resolution", "owner", "amount", "currency")
    return {name: (str(value) if isinstance(value, Decimal) else value) for name, value in zip(names, row, strict=True)}


def _vendor_checks(
    state: Mapping[str, Objects], invoices: Sequence[Mapping[str, Any]], payments: Sequence[Any]
) -> dict[str, bool]:
    """Each system holds each object once, and all systems agree about the money."""
    erp, billing, crm = state["netsuite"], state["stripe"], state["salesforce"]
    milestone = {each["entity"]: each for each in invoices if each["origin"] == "milestone"}
    expected = {"US": ("120000.00", "0.00"), "DE": ("95000.50", "18050.10"), "JP": ("12500000", "0")}
    right = all(
        entity in milestone and (milestone[entity]["net"], milestone[entity]["tax"]) == amounts
        for entity, amounts in expected.items()
    )
    subscription = [each for each in invoices if each["origin"] == "subscription"]
    return {
        "one customer in the ERP": _count(erp, "customer") == 1,
        "one customer in billing": _count(billing, "customer") == 1,
        "one project per legal entity": _count(erp, "job") == len({entity for _, entity, *_ in MILESTONES}),
        "milestone invoices have the right entity, currency and tax": right,
        "subscription invoices are for the monthly amount": bool(subscription)
        and all(each["net"] == MONTHLY for each in subscription),
        "every invoice is in billing, ERP and CRM": all(
            each["crm_id"] and each["erp_id"] and each["billing_id"] for each in invoices
        ),
        "ERP holds each invoice once": _count(erp, "invoice") == len(invoices),
        "CRM holds each invoice once": _count(crm, "Invoice__c") == len(invoices),
        "ERP holds each payment once": _count(erp, "customerPayment") == len(payments) == PAID,
        "no external id twice": all(_unique(rows) for rows in erp.values()),
    }


def _count(objects: Objects, kind: str) -> int:
    return len(objects.get(kind, ()))


def _unique(rows: Sequence[Mapping[str, Any]]) -> bool:
    ids = Counter(row["externalId"] for row in rows if row.get("externalId"))
    return all(count == 1 for count in ids.values())
