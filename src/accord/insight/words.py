"""What each fact is called on a timeline. A type that is not in the table is shown by its own words. Pure."""

from __future__ import annotations

import re
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
    "proposal.approved": "Invoice of work approved by {approved_by}",
    "subscription_period.closed": "Subscription period closed: invoice {number}",
    "subscription_period.billed": "Period of a changed service billed: invoice {invoice}",
    "service.changed": "{what}",
    "invoice.issued": "Invoice {number} issued",
    "invoice.changed": "Invoice {number} is {status}",
    "invoice.posted": "Invoice {number} stands in the ERP",
    "payment.received": "Payment received",
    "payment.failed": "Payment failed: {reason}",
    "dispute.opened": "Dispute opened: {reason}",
    "dispute.closed": "Dispute closed: {status}",
    "line_dispute.opened": "Lines {lines} disputed: {reason}",
    "line_dispute.closed": "Dispute of lines closed: {outcome}",
    "engagement.decided": "Re-opened deal: {choice}",
    "e_invoice.rejected": "E-invoice rejected: {reason}",
    "e_invoice.accepted": "E-invoice accepted",
    "credit_note.approved": "Credit approved by {approved_by}: {reason}",
    "credit_note.issued": "Credit note {number} issued",
    "write_off.approved": "Write-off approved by {approved_by}: {reason}",
    "write_up.approved": "Write-up approved by {approved_by}: {reason}",
    "contract_plan.applied": "Contract change {plan} applied: {why}",
    "work_transfer.approved": "Transfer of work approved by {approved_by}: {reason}",
    "receipt.recorded": "Receipt recorded: {reference}",
    "cash.applied": "Unapplied cash applied",
    "refund.approved": "Refund approved by {approved_by}: {reason}",
    "payment.reversed": "Payment taken back: {reason}",
    "process.started": "Started: {what}",
    "process.finished": "Finished: {what}",
    "case.retried": "Case {case}: {what}",
    "case.resolved": "Case {case}: {what}",
    "effect.committed": "{what}",
}
_NAMED = re.compile(r"\{(\w+)\}")
_LACKING = re.compile(r"(?:\s+by|:|\s*\(\w+)?\s*\0\)?")
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
    text = _NAMED.sub(lambda found: _text(payload.get(found[1])), pattern)
    return _LACKING.sub("", text)


def _text(value: Any) -> str:
    if value in (None, "", []):
        return "\0"
    return (
        ", ".join(str(each).replace("_", " ") for each in value)
        if isinstance(value, list)
        else str(value).replace("\0", "")
    )


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
