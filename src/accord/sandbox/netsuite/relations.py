"""Which subsidiary may do business with which customer."""

from __future__ import annotations

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.refusals import broken_rule


def posting_subsidiary(account: Account, subsidiary_id: str) -> Row:
    """The subsidiary, if it takes records at all. Raises Refused (USER_ERROR)."""
    subsidiary = account.find("subsidiary", subsidiary_id)
    if subsidiary.get("isInactive"):
        raise broken_rule(f"The subsidiary {subsidiary['name']} is inactive.", "subsidiary")
    if subsidiary.get("isElimination"):
        raise broken_rule(f"The elimination subsidiary {subsidiary['name']} takes no records.", "subsidiary")
    return subsidiary


def refuse_unrelated(account: Account, customer_id: str, subsidiary_id: str) -> None:
    """A customer must be related to the subsidiary of its projects and transactions."""
    for relation in account.table("customerSubsidiaryRelationship").by("entity", customer_id):
        if relation["subsidiary"] == subsidiary_id and not relation.get("isInactive"):
            return
    raise broken_rule(
        f"The customer {account.named('customer', customer_id)} has no relationship with the subsidiary "
        f"{account.named('subsidiary', subsidiary_id)}.",
        "subsidiary",
    )
