"""What Stripe holds, as canonical observations: invoices, payments, failed payments, disputes.

An invoice in an event is trusted as it is, and ordered by the event's time with its own progress behind the second:
events come twice and in any order, and a state never goes back. Payments, failures and disputes do not name our
invoice, so their events are only pointers: they are read again together with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from accord.connect.connector import Observed
from accord.connect.failures import Refused
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, listed, read
from accord.connectors.stripe.invoices import LABELS, LINE_LABELS, day_of
from accord.connectors.stripe.minor_units import money_of
from accord.engine.outcomes import Rejected
from accord.model.identity import canonical_id
from accord.model.plain import to_plain

RANK = {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}
DISPUTE_STATUS = {"won": "won", "lost": "lost", "warning_closed": "withdrawn", "prevented": "won"}
_FIRST_PAGE = 10  # lines an invoice carries with it; more have to be paged


def subscription_of(invoice: Json) -> Json | None:
    """`parent.subscription_details` (vendors.md section 0.10), None for an invoice of no subscription."""
    parent = invoice.get("parent")
    return parent.get("subscription_details") if parent else None


def labels_of(invoice: Json) -> Mapping[str, str]:
    """Our metadata: the invoice's own, or what its subscription carried when the invoice was made."""
    details = subscription_of(invoice)
    found: Mapping[str, str] = (details["metadata"] if details else invoice["metadata"]) or {}
    return found


def is_ours(invoice: Json) -> bool:
    """Issued by us, or of a subscription; an invoice somebody made by hand is none of our business."""
    return subscription_of(invoice) is not None or "accord_id" in labels_of(invoice)


def id_of(invoice: Json) -> str:
    """Our id of an invoice: ours as written on it, or made of Stripe's for one that Stripe made."""
    if subscription_of(invoice) is None:
        return labels_of(invoice)["accord_id"]
    return canonical_id("invoice", "stripe", str(invoice["id"]))


def observed_invoice(invoice: Json, at: int) -> Observed:
    """An invoice of ours as it stood `at` (Unix seconds by Stripe's clock)."""
    currency, details, labels = invoice["currency"], subscription_of(invoice), labels_of(invoice)
    own_id = id_of(invoice)
    net, gross = money_of(invoice["total_excluding_tax"], currency), money_of(invoice["total"], currency)
    finalized = invoice["status_transitions"]["finalized_at"]
    body: dict[str, Any] = {
        "legal_entity": "",
        **{name: labels[name] for name in LABELS if name in labels},
        "currency": currency.upper(),
        "lines": [_line(line, own_id, by_subscription=details is not None) for line in invoice["lines"]["data"]],
        "net": to_plain(net),
        "tax": to_plain(gross - net),
        "gross": to_plain(gross),
        "paid": to_plain(money_of(invoice["amount_paid"], currency)),
        "origin": "subscription" if details else labels.get("origin", "milestone"),
        "number": invoice["number"],
        "billing_ref": invoice["id"],
        "status": invoice["status"],
        "issued_on": day_of(finalized) if finalized else None,
        "due_on": day_of(invoice["due_date"]) if invoice["due_date"] else None,
    }
    if details is not None:
        body["subscription_id"] = labels.get("accord_id") or details["subscription"]
    links = {} if "customer_id" in labels else {"customer_id": ("customer", str(invoice["customer"]))}
    return Observed("invoice", str(invoice["id"]), _version(invoice, at), body, own_id, links)


def _line(line: Json, invoice_id: str, *, by_subscription: bool) -> dict[str, Any]:
    labels = line["metadata"] or {}
    taxes = line["taxes"] or ()
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    found: dict[str, Any] = {
        "item_id": canonical_id("billable_item", invoice_id),
        **{name: labels[name] for name in LINE_LABELS if name in labels},
        "text": line["description"] or "",
        "net": to_plain(money_of(line["amount"] - inclusive, line["currency"])),
        "tax": to_plain(money_of(sum(tax["amount"] for tax in taxes), line["currency"])),
    }
    if by_subscription:
        found["service_from"] = day_of(line["period"]["start"])
        found["service_to"] = day_of(line["period"]["end"] - 1)
    return found


def _version(invoice: Json, at: int) -> str:
    """A time that sorts as text: the second, and behind it how far the invoice has come."""
    done = (
        invoice["amount_paid"]
        + invoice["pre_payment_credit_notes_amount"]
        + invoice["post_payment_credit_notes_amount"]
    )
    share = min(99_999, done * 99_999 // max(1, abs(invoice["total"])))
    return _instant(at, RANK[invoice["status"]] * 100_000 + share)


def _instant(at: int, microseconds: int = 0) -> str:
    moment = datetime.fromtimestamp(at, UTC) + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds")


async def get_invoices(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Invoices read again, with all their lines, dated by their last change that has a time."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        invoice = await _or_none(session, f"invoices/{vendor_id}", {"expand": ["payments"]})
        if invoice is not None and is_ours(invoice) and invoice["status"] != "draft":
            found.append(observed_invoice(await _whole(session, invoice), _last_change(invoice)))
    return found


async def _whole(session: Session, invoice: Json) -> Json:
    if not invoice["lines"]["has_more"]:
        return invoice
    lines = [line async for line in listed(session, f"invoices/{invoice['id']}/lines", {})]
    return {**invoice, "lines": {"data": lines, "has_more": False}}


def _last_change(invoice: Json) -> int:
    times = [invoice["created"], *invoice["status_transitions"].values()]
    times += [payment["status_transitions"]["paid_at"] for payment in invoice["payments"]["data"]]
    return max(int(at) for at in times if at is not None)


async def _or_none(session: Session, path: str, query: Mapping[str, Any]) -> Json | None:
    try:
        return await read(session, path, query)
    except Refused as refused:
        if isinstance(refused.outcome, Rejected) and refused.outcome.code == "resource_missing":
            return None
        raise


async def get_payments(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Payments of our invoices, each read with its invoice; only money that has come in."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        payment = await _or_none(session, f"invoice_payments/{vendor_id}", {"expand": ["invoice"]})
        if payment is not None and payment["status"] == "paid" and is_ours(payment["invoice"]):
            found.append(_payment(payment))
    return found


def _payment(payment: Json) -> Observed:
    paid_at, how = payment["status_transitions"]["paid_at"], payment["payment"]
    body = {
        "invoice_id": id_of(payment["invoice"]),
        "amount": to_plain(money_of(payment["amount_paid"], payment["currency"])),
        "received_on": day_of(paid_at),
        "reference": how[how["type"]],
    }
    return Observed("payment", str(payment["id"]), _instant(paid_at), body)


def failure_id(invoice: Json) -> str:
    """One for each attempt: Stripe has no object of its own for a failed one."""
    return f"{invoice['id']}:{invoice['attempt_count']}"


async def get_failures(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Failed attempts, with the reason the payment gives now."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        invoice_id, _, _ = vendor_id.partition(":")
        expand = {"expand": ["payments.data.payment.payment_intent"]}
        invoice = await _or_none(session, f"invoices/{invoice_id}", expand)
        if invoice is not None and is_ours(invoice):
            found.append(_failure(invoice, vendor_id))
    return found


def _failure(invoice: Json, vendor_id: str) -> Observed:
    intents = [row["payment"].get("payment_intent") for row in invoice["payments"]["data"]]
    errors = [intent["last_payment_error"] for intent in intents if intent and intent.get("last_payment_error")]
    latest = max(intents, key=lambda intent: intent["created"] if intent else 0, default=None)
    at = latest["created"] if latest else invoice["created"]
    body = {
        "invoice_id": id_of(invoice),
        "amount": to_plain(money_of(invoice["amount_remaining"], invoice["currency"])),
        "failed_on": day_of(at),
        "reason": (errors[0].get("decline_code") or errors[0].get("code")) if errors else None,
    }
    return Observed("payment_failure", vendor_id, _instant(at), body, canonical_id("payment", "failure", vendor_id))


async def get_disputes(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Disputes with the invoice their payment was for: a dispute itself only names the charge."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        dispute = await _or_none(session, f"disputes/{vendor_id}", {})
        if dispute is None or not dispute["payment_intent"]:
            continue
        query = {
            "payment": {"type": "payment_intent", "payment_intent": dispute["payment_intent"]},
            "expand": ["data.invoice"],
            "limit": 1,
        }
        rows = (await read(session, "invoice_payments", query))["data"]
        if rows and is_ours(rows[0]["invoice"]):
            found.append(_dispute(dispute, rows[0]["invoice"]))
    return found


def _dispute(dispute: Json, invoice: Json) -> Observed:
    status = DISPUTE_STATUS.get(dispute["status"], "open")
    rank = 2 if status != "open" else 1 if "review" in dispute["status"] else 0
    body = {
        "invoice_id": id_of(invoice),
        "amount": to_plain(money_of(dispute["amount"], dispute["currency"])),
        "reason": dispute["reason"],
        "status": status,
        "opened_on": day_of(dispute["created"]),
    }
    return Observed("dispute", str(dispute["id"]), _instant(dispute["created"], rank), body)
