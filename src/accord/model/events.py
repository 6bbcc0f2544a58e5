"""Facts: what happened, in the past tense. The event log holds nothing else.

A fact about a canonical object carries the object's plain form in `after`, and in `before` what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened. `type` is `noun.past_participle`; `subject` the canonical id it is about;
    `correlation` the engagement (or None where there is none); `occurred_at` ISO text, aware."""

    type: str
    subject: str
    occurred_at: str
    actor: str
    payload: dict[str, Any]
    correlation: str | None = None
    schema_version: int = 1


# Facts that start or wake processes; each is derived from a change of a canonical record (rules/facts.py)
DEAL_WON = "deal.won"
DEAL_CHANGED = "deal.changed"  # a won deal's content changed
DEAL_REOPENED = "deal.reopened"
CUSTOMER_SEEN = "customer.seen"
CUSTOMER_CHANGED = "customer.changed"
MILESTONE_APPROVED = "milestone.approved"
MILESTONE_UNAPPROVED = "milestone.unapproved"
SUBSCRIPTION_PERIOD_CLOSED = "subscription_period.closed"
SUBSCRIPTION_PERIOD_BILLED = "subscription_period.billed"  # told of changed services alone
SERVICE_CHANGED = "service.changed"  # by a signed change order
INVOICE_ISSUED = "invoice.issued"
INVOICE_CHANGED = "invoice.changed"
PAYMENT_RECEIVED = "payment.received"
PAYMENT_FAILED = "payment.failed"
DISPUTE_OPENED = "dispute.opened"
DISPUTE_CLOSED = "dispute.closed"
ENGAGEMENT_DECIDED = "engagement.decided"  # a person said what a re-opened deal means
E_INVOICE_REJECTED = "e_invoice.rejected"
E_INVOICE_ACCEPTED = "e_invoice.accepted"
PROPOSAL_APPROVED = "proposal.approved"
LINE_DISPUTE_OPENED = "line_dispute.opened"
LINE_DISPUTE_CLOSED = "line_dispute.closed"
CREDIT_NOTE_APPROVED = "credit_note.approved"
CREDIT_NOTE_ISSUED = "credit_note.issued"
PAYMENT_REVERSED = "payment.reversed"  # taken back by the payer or the bank
WRITE_OFF_APPROVED = "write_off.approved"
WRITE_UP_APPROVED = "write_up.approved"
WORK_TRANSFER_APPROVED = "work_transfer.approved"
RECEIPT_RECORDED = "receipt.recorded"  # money that came in beside billing
CASH_APPLIED = "cash.applied"
REFUND_APPROVED = "refund.approved"
PROJECT_ACTIVATED = "project.activated"
CONTRACT_PLAN_APPLIED = "contract_plan.applied"
