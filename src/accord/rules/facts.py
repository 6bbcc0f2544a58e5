"""What a change of a canonical record means: the facts it gives rise to. Pure.

Webhook and poll both end here, and the second to arrive sees no change; so both at once do not double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accord.model import events
from accord.model.events import Fact

Body = Mapping[str, Any]


def derive(kind: str, id: str, before: Body | None, after: Body, *, at: str, actor: str) -> list[Fact]:
    """The facts of one change of a record of `kind`; `before` is None for a record seen for the first time."""
    rule = _RULES.get(kind)
    if rule is None:
        return []
    return [Fact(type, id, at, actor, dict(payload)) for type, payload in rule(before, after)]


Found = list[tuple[str, Body]]


def _deal(before: Body | None, after: Body) -> Found:
    was_won = bool(before and before.get("is_won"))
    about = {"number": after.get("number"), "name": after.get("name"), "amount": after.get("amount")}
    if after.get("is_won") and not was_won:
        return [(events.DEAL_WON, about)]
    if was_won and not after.get("is_won"):
        return [(events.DEAL_REOPENED, {**about, "stage": after.get("stage")})]
    if was_won:
        return [(events.DEAL_CHANGED, {**about, "changed": _changed(before or {}, after)})]
    return []


def _customer(before: Body | None, after: Body) -> Found:
    if before is None:
        return [(events.CUSTOMER_SEEN, {"legal_name": after.get("legal_name")})]
    return [(events.CUSTOMER_CHANGED, {"changed": _changed(before, after)})]


def _milestone_approval(before: Body | None, after: Body) -> Found:
    was, is_now = bool(before and before.get("approved")), bool(after.get("approved"))
    if is_now and not was:
        return [(events.MILESTONE_APPROVED, after)]
    if was and not is_now:
        return [(events.MILESTONE_UNAPPROVED, after)]
    return []


def _invoice(before: Body | None, after: Body) -> Found:
    status, was = after.get("status"), (before or {}).get("status")
    about = {key: after.get(key) for key in ("number", "status", "gross", "paid", "origin", "issued_on", "due_on")}
    found: Found = []
    issued = status in ("open", "paid") and was in (None, "draft")
    if issued and after.get("origin") == "subscription":
        found.append((events.SUBSCRIPTION_PERIOD_CLOSED, about))
    if issued:
        found.append((events.INVOICE_ISSUED, about))
    elif before is not None:
        found.append((events.INVOICE_CHANGED, {**about, "changed": _changed(before, after)}))
    return found


def _payment(before: Body | None, after: Body) -> Found:
    return [(events.PAYMENT_RECEIVED, after)] if before is None else []


def _payment_failure(before: Body | None, after: Body) -> Found:
    return [(events.PAYMENT_FAILED, after)] if before is None else []


def _payment_reversal(before: Body | None, after: Body) -> Found:
    return [(events.PAYMENT_REVERSED, after)] if before is None else []


def _dispute(before: Body | None, after: Body) -> Found:
    is_open, was_open = after.get("status") == "open", bool(before and before.get("status") == "open")
    if is_open and not was_open:
        return [(events.DISPUTE_OPENED, after)]
    if was_open and not is_open:
        return [(events.DISPUTE_CLOSED, after)]
    return []


def _e_invoice(before: Body | None, after: Body) -> Found:
    """What a network says of the same sending again is nothing new."""
    said = (after.get("status"), after.get("attempt"))
    if before is not None and said == (before.get("status"), before.get("attempt")):
        return []
    told = {"rejected": events.E_INVOICE_REJECTED, "accepted": events.E_INVOICE_ACCEPTED}.get(str(said[0]))
    return [(told, after)] if told is not None else []


def _changed(before: Body, after: Body) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


_RULES: Mapping[str, Callable[[Body | None, Body], Found]] = {
    "deal": _deal,
    "customer": _customer,
    "milestone_approval": _milestone_approval,
    "invoice": _invoice,
    "payment": _payment,
    "payment_failure": _payment_failure,
    "payment_reversal": _payment_reversal,
    "dispute": _dispute,
    "e_invoice": _e_invoice,
}
