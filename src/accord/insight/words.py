"""What each fact is called on a timeline. Declared as a table; a type that is not in it is shown by its own words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.model.money import Money, TooManyDecimals, UnknownCurrency

WORDS: Mapping[str, str] = {
    "deal.won": "Opportunity won",
    "deal.changed": "Deal changed in the CRM: {changed}",
    "deal.reopened": "Opportunity re-opened (stage {stage})",
    "deal.corrected": "Corrected here: {field}",
    "customer.changed": "Customer changed: {changed}",
    "customer.corrected": "Corrected here: {field}",
    "project.activated": "Engagement active: projects {projects}",
    "milestone.approved": "Milestone approved by {approved_by}",
    "milestone.unapproved": "Approval of the milestone withdrawn",
    "subscription_period.closed": "Subscription period closed: invoice {number}",
    "invoice.issued": "Invoice {number} issued",
    "invoice.changed": "Invoice {number} is {status}",
    "invoice.posted": "Invoice {number} stands in the ERP",
    "payment.received": "Payment received",
    "payment.failed": "Payment failed: {reason}",
    "dispute.opened": "Dispute opened: {reason}",
    "dispute.closed": "Dispute closed: {status}",
    "process.started": "Started: {what}",
    "process.finished": "Finished: {what}",
    "case.retried": "Case {case}: {what}",
    "case.resolved": "Case {case}: {what}",
    "effect.committed": "{what}",
}
_MONEY_FIELDS = ("money", "amount", "gross")


def words_of(type: str, payload: Mapping[str, Any]) -> str:
    """The sentence of a fact; what its payload lacks is left out with the words around it."""
    pattern = WORDS.get(type)
    if pattern is None:
        return type.replace(".", " ").replace("_", " ").capitalize()
    if type == "process.finished" and payload.get("cancelled"):
        pattern = "Cancelled: {what}"
    return _fill(pattern, payload)


def _fill(pattern: str, payload: Mapping[str, Any]) -> str:
    parts = []
    for part in pattern.replace("{", "\0{").split("\0"):
        if not part.startswith("{"):
            parts.append(part)
            continue
        name, _, rest = part[1:].partition("}")
        value = payload.get(name)
        if value in (None, "", []):
            return "".join(parts).rstrip(" :(").removesuffix(" by")
        text = ", ".join(str(each).replace("_", " ") for each in value) if isinstance(value, list) else str(value)
        parts.append(text + rest)
    return "".join(parts)


def money_of(payload: Mapping[str, Any]) -> Money | None:
    """The amount a fact is about, when it says one."""
    for name in _MONEY_FIELDS:
        found = payload.get(name)
        if isinstance(found, Mapping) and "amount" in found and "currency" in found:
            try:
                return Money.of(found["amount"], str(found["currency"]))
            except (UnknownCurrency, TooManyDecimals, ValueError):
                return None
    value = payload.get("value")
    if isinstance(value, list) and len(value) == 1:
        return money_of({"money": value[0]})
    return None
