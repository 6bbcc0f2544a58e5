"""`expand[]`: ids replaced by the objects they name, up to four levels, and lists shown only when asked
for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import list_object
from accord.sandbox.stripe.customers import embedded_tax_ids
from accord.sandbox.stripe.refusals import invalid
from accord.sandbox.stripe.shelf import Json

MAX_DEPTH = 4  # docs.stripe.com api/expanding_objects
FIELDS = {
    "customer": "customer", "invoice": "invoice", "product": "product", "default_price": "price",
    "price": "price",
    "subscription": "subscription", "latest_invoice": "invoice", "schedule": "subscription_schedule",
    "charge": "charge", "latest_charge": "charge", "payment_intent": "payment_intent", "refund": "refund",
}  # fmt: skip


def _payments(account: Account, invoice: Json) -> Json:
    rows = account.shelf("invoice_payment").by("invoice", invoice["id"])
    return list_object(f"/v1/invoice_payments?invoice={invoice['id']}", rows[::-1][:10], has_more=len(rows) > 10)


def _subscriptions(account: Account, customer: Json) -> Json:
    rows = [row for row in account.shelf("subscription").by("customer", customer["id"]) if row["status"] != "canceled"]
    return list_object(f"/v1/subscriptions?customer={customer['id']}", rows[::-1][:10], has_more=len(rows) > 10)


def _refunds(account: Account, charge: Json) -> Json:
    rows = account.shelf("refund").by("charge", charge["id"])
    return list_object(f"/v1/refunds?charge={charge['id']}", rows[::-1][:10], has_more=len(rows) > 10)


# Lists Stripe leaves out of an object unless they are expanded.
INCLUDED: dict[tuple[str, str], Callable[[Account, Json], Json]] = {
    ("invoice", "payments"): _payments,
    ("customer", "tax_ids"): embedded_tax_ids,
    ("customer", "subscriptions"): _subscriptions,
    ("charge", "refunds"): _refunds,
}


def expanded(account: Account, answer: Json, paths: Sequence[str]) -> Json:
    """The answer with these paths expanded. What is stored is not touched. Raises Refused for what cannot be
    expanded."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > MAX_DEPTH + (1 if steps[0] == "data" else 0):
            raise invalid(f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}", "expand")
        answer = _at(account, answer, steps, path)
    return answer


def _at(account: Account, node: Any, steps: Sequence[str], path: str) -> Any:
    if isinstance(node, list):
        return [_at(account, each, steps, path) for each in node]
    if not steps or node is None:
        return node
    if not isinstance(node, dict):
        raise _cannot(path)
    step = steps[0]
    value = node.get(step)
    include = INCLUDED.get((node.get("object", ""), step))
    if include is not None:
        value = include(account, node)
    elif step not in node:
        raise _cannot(path)
    elif isinstance(value, str):
        value = _object(account, step, value, path)
    elif len(steps) == 1 and value is not None:
        raise _cannot(path)
    return {**node, step: _at(account, value, steps[1:], path)}


def _object(account: Account, step: str, object_id: str, path: str) -> Json:
    kind = FIELDS.get(step)
    found = account.shelf(kind).get(object_id) if kind else None
    if found is None:
        if account.deleted.get(object_id) == kind and kind is not None:
            return {"id": object_id, "object": kind, "deleted": True}
        raise _cannot(path)
    return found


def _cannot(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
