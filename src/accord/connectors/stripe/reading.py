"""What Stripe holds, as canonical observations: invoices, payments, failed payments, disputes.

An invoice in an event is trusted as it is, and ordered by the event's time with its own progress behind the second:
events come twice and in any order, and a state never goes back. Payments, failures and disputes do not name our
invoice, so their events are only pointers: they are read again together with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from accord.connect.connector import Observed
from accord.connect.failures import Refused
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, listed, read
from accord.connectors.stripe.cash import record_of
from accord.connectors.stripe.invoices import LABELS, LINE_LABELS, day_of
from accord.connectors.stripe.minor_units import money_of
from accord.engine.outcomes import Rejected
from accord.model.identity import canonical_id, item_of_line
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
    own_id, details, labels = id_of(invoice), subscription_of(invoice), labels_of(invoice)
    body, problems = _gathered(
        {
            "currency": lambda: str(invoice["currency"]).upper(),
            "lines": lambda: [
                _line(line, own_id, number, of_period=details is not None)
                for number, line in enumerate(invoice["lines"]["data"], 1)
            ],
            "net": lambda: _amount(invoice, "total_excluding_tax"),
            "tax": lambda: _tax(invoice),
            "gross": lambda: _amount(invoice, "total"),
            "paid": lambda: _amount(invoice, "amount_paid"),
            "number": lambda: invoice["number"],
            "status": lambda: invoice["status"],
            "issued_on": lambda: _day_or_none(invoice["status_transitions"]["finalized_at"]),
            "due_on": lambda: _day_or_none(invoice["due_date"]),
        }
    )
    body |= {name: labels[name] for name in LABELS if name in labels}
    body.setdefault("legal_entity", "")
    body["billing_ref"] = invoice["id"]
    body["origin"] = "subscription" if details else labels.get("origin", "milestone")
    if details is not None:
        body["subscription_id"] = labels.get("accord_id") or details["subscription"]
    links = {} if "customer_id" in labels else {"customer_id": ("customer", str(invoice["customer"]))}
    version = _version(invoice, at)
    return Observed("invoice", str(invoice["id"]), version, body, own_id, links, problems=problems)


def _gathered(fields: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that can be read, and why the others cannot: all problems of an object at once."""
    body: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in fields.items():
        try:
            body[name] = value()
        except KeyError as missing:
            problems.append(f"{name}: Stripe's {missing} is not in the record; was it renamed or removed?")
        except (AttributeError, TypeError, ValueError) as unfit:
            problems.append(f"{name}: {unfit}")
    return body, tuple(problems)


def _amount(record: Json, field: str) -> dict[str, Any]:
    found: dict[str, Any] = to_plain(money_of(record[field], record["currency"]))
    return found


def _tax(invoice: Json) -> dict[str, Any]:
    found: dict[str, Any] = to_plain(money_of(invoice["total"] - invoice["total_excluding_tax"], invoice["currency"]))
    return found


def _day_or_none(at: int | None) -> str | None:
    return None if at is None else day_of(at)


def _line(line: Json, invoice_id: str, number: int, *, of_period: bool) -> dict[str, Any]:
    labels = line["metadata"] or {}
    taxes = line["taxes"] or ()
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    found: dict[str, Any] = {
        "item_id": item_of_line(invoice_id, number),
        **{name: labels[name] for name in LINE_LABELS if name in labels},
        "text": line["description"] or "",
        "net": to_plain(money_of(line["amount"] - inclusive, line["currency"])),
        "tax": to_plain(money_of(sum(tax["amount"] for tax in taxes), line["currency"])),
    }
    if of_period:
        found["service_from"] = day_of(line["period"]["start"])
        found["service_to"] = day_of(line["period"]["end"] - 1)
    return found


def _version(invoice: Json, at: int) -> str:
    """A time that sorts as text: the second, and behind it how far the invoice has come."""
    progress = ("amount_paid", "pre_payment_credit_notes_amount", "post_payment_credit_notes_amount")
    done = sum(int(invoice.get(name) or 0) for name in progress)
    share = min(99_999, done * 99_999 // max(1, abs(int(invoice.get("total") or 0))))
    return _instant(at, RANK.get(str(invoice.get("status")), 0) * 100_000 + share)


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
        if payment is None or payment["status"] != "paid" or not is_ours(payment["invoice"]):
            continue
        record = await record_of(session, payment)
        if record is None or "accord_id" not in (record["metadata"] or {}):  # what we reported is no news
            found.append(_payment(payment))
    return found


def _payment(payment: Json) -> Observed:
    paid_at = payment["status_transitions"]["paid_at"]
    body, problems = _gathered(
        {
            "invoice_id": lambda: id_of(payment["invoice"]),
            "amount": lambda: _amount(payment, "amount_paid"),
            "received_on": lambda: day_of(paid_at),
            "reference": lambda: payment["payment"][payment["payment"]["type"]],
        }
    )
    return Observed("payment", str(payment["id"]), _instant(paid_at), body, problems=problems)


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
    tried = [intent for intent in intents if intent and intent.get("last_payment_error")]
    error = tried[0]["last_payment_error"] if tried else {}
    at = max((intent["created"] for intent in tried), default=invoice["created"])
    body, problems = _gathered(
        {
            "invoice_id": lambda: id_of(invoice),
            "amount": lambda: _amount(invoice, "amount_remaining"),
            "failed_on": lambda: day_of(at),
            "reason": lambda: error.get("decline_code") or error.get("code"),
        }
    )
    own_id = canonical_id("payment", "failure", vendor_id)
    return Observed("payment_failure", vendor_id, _instant(at), body, own_id, problems=problems)


async def get_reversals(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Refunds that somebody made at Stripe: the payment has gone back. Those that Accord asked for are no news."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        refund = await _or_none(session, f"refunds/{vendor_id}", {})
        if refund is None or "accord_id" in (refund["metadata"] or {}):
            continue
        payment = await _paid_with(session, refund["payment_intent"])
        if payment is not None and refund["status"] == "succeeded":
            found.append(_reversal(refund, payment))
    return found


def _reversal(refund: Json, payment: Json) -> Observed:
    body, problems = _gathered(
        {
            "invoice_id": lambda: id_of(payment["invoice"]),
            "amount": lambda: _amount(refund, "amount"),
            "reason": lambda: f"refunded at Stripe: {refund['reason'] or 'no reason given'}",
            "reversed_on": lambda: day_of(refund["created"]),
        }
    )
    links = {"payment_id": ("payment", str(payment["id"]))}
    version = _instant(refund["created"])
    return Observed("payment_reversal", str(refund["id"]), version, body, links=links, problems=problems)


async def _paid_with(session: Session, intent: str | None) -> Json | None:
    """The payment of an invoice of ours that this money made."""
    if intent is None:
        return None
    query = {"payment": {"type": "payment_intent", "payment_intent": intent}, "expand": ["data.invoice"], "limit": 1}
    rows = (await read(session, "invoice_payments", query))["data"]
    return rows[0] if rows and is_ours(rows[0]["invoice"]) else None


async def get_disputes(session: Session, vendor_ids: Sequence[str]) -> list[Observed]:
    """Disputes with the invoice their payment was for: a dispute itself only names the charge."""
    found: list[Observed] = []
    for vendor_id in vendor_ids:
        dispute = await _or_none(session, f"disputes/{vendor_id}", {})
        payment = None if dispute is None else await _paid_with(session, dispute["payment_intent"])
        if dispute is not None and payment is not None:
            found.append(_dispute(dispute, payment))
    return found


def _dispute(dispute: Json, payment: Json) -> Observed:
    status = DISPUTE_STATUS.get(dispute["status"], "open")
    rank = 2 if status != "open" else 1 if "review" in dispute["status"] else 0
    body, problems = _gathered(
        {
            "invoice_id": lambda: id_of(payment["invoice"]),
            "amount": lambda: _amount(dispute, "amount"),
            "reason": lambda: dispute["reason"],
            "status": lambda: status,
            "opened_on": lambda: day_of(dispute["created"]),
        }
    )
    links = {"payment_id": ("payment", str(payment["id"]))}
    version = _instant(dispute["created"], rank)
    return Observed("dispute", str(dispute["id"]), version, body, links=links, problems=problems)
