"""What the simulated vendors hold that bears our keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accord.invariants import Holding
from accord.simulation.vendors import Vendors

Row = Mapping[str, Any]
MILESTONE = "MIL-"
WRITE_OFF = "WOF-"


def holdings_of(vendors: Vendors) -> list[Holding]:
    """Every object of the kinds that are compared."""
    return holdings({name: simulator.dump() for name, simulator in vendors.simulators.items()})


def holdings(states: Mapping[str, Mapping[str, Iterable[Row]]]) -> list[Holding]:
    """The same from what the simulators hold by vendor and kind, as their admin pages tell it."""
    return [*_stripe(states["stripe"]), *_netsuite(states["netsuite"]), *_salesforce(states["salesforce"])]


def _stripe(state: Mapping[str, Iterable[Row]]) -> Iterator[Holding]:
    for kind, name in (
        ("customer", "customer"), ("invoice", "invoice"), ("tax_rate", "tax_rate"),
        ("subscription_schedule", "recurring_schedule"), ("credit_note", "credit_note"),
    ):  # fmt: skip
        for row in state[kind]:
            key = (row.get("metadata") or {}).get("accord_id")
            # Billing makes the invoices of subscriptions itself; we write to them all the same, when one is given up.
            if (key is not None or kind == "invoice") and not row.get("deleted"):
                yield Holding("stripe", name, row["id"], key)
    for row in state["product"]:
        # A recurring schedule is sold by a product of its own, which bears the schedule's id.
        if row["id"].startswith(MILESTONE):
            yield Holding("stripe", "scheduled_milestone", row["id"], row["id"])


def _netsuite(state: Mapping[str, Iterable[Row]]) -> Iterator[Holding]:
    for kind, name in (
        ("customer", "customer"), ("job", "project"), ("projectTask", "task"), ("invoice", "invoice"),
        ("customerPayment", "payment"),
    ):  # fmt: skip
        for row in state[kind]:
            yield Holding("netsuite", name, str(row["id"]), row.get("externalId"))
    for row in state["creditMemo"]:
        # A debt that was given up is a credit memo too; its key says which of the two it is.
        key = row.get("externalId")
        name = "write_off" if str(key).startswith(WRITE_OFF) else "credit_note"
        yield Holding("netsuite", name, str(row["id"]), key)


def _salesforce(state: Mapping[str, Iterable[Row]]) -> Iterator[Holding]:
    for kind, name, key in (("Invoice__c", "invoice", "Accord_Invoice__c"), ("Task", "notice", "Accord_Notice__c")):
        for row in state[kind]:
            if not row.get("IsDeleted"):
                yield Holding("salesforce", name, row["Id"], row.get(key))
