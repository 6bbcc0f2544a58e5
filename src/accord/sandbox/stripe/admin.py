"""What happens on the vendor's side: customers pay, banks dispute, time passes, secrets are rolled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from accord.sandbox.stripe.account import event_as_seen
from accord.sandbox.stripe.disputes import OUTCOMES, close_dispute, open_dispute
from accord.sandbox.stripe.invoice_states import failed_attempt, receive
from accord.sandbox.stripe.payments import BANK_TRANSFER
from accord.sandbox.stripe.refunds import charges_of, refund
from accord.sandbox.stripe.shelf import Json
from accord.sandbox.stripe.webhooks import ROLL_SECONDS

if TYPE_CHECKING:
    from accord.sandbox.stripe.simulator import StripeSimulator

METHODS = {
    "card": "card",
    "bank_transfer": BANK_TRANSFER,
    "sepa_debit": "sepa_debit",
    "us_bank_account": "us_bank_account",
    "out_of_band": "out_of_band",
}
Arguments = Mapping[str, Any]


def perform(simulator: StripeSimulator, action: str, arguments: Arguments) -> Any:
    """Do one vendor-side action. Raises ValueError for an unknown action or one that cannot happen now."""
    known = ACTIONS.get(action)
    if known is None:
        raise ValueError(f"Unknown action {action!r}; known are {', '.join(sorted(ACTIONS))}.")
    simulator.account.catch_up()
    return known(simulator, arguments)


def _found(simulator: StripeSimulator, kind: str, arguments: Arguments, name: str = "") -> Json:
    name = name or kind
    row = simulator.account.shelf(kind).get(str(arguments.get(name, "")))
    if row is None:
        raise ValueError(f"{name}: no {kind} has the id {arguments.get(name)!r}.")
    return row


def _whole(arguments: Arguments, name: str) -> int | None:
    value = arguments.get(name)
    if value is None:
        return None
    if not str(value).lstrip("-").isdigit() or int(value) <= 0:
        raise ValueError(f"{name}: a positive whole number of minor units is expected, not {value!r}.")
    return int(value)


def _open_invoice(simulator: StripeSimulator, arguments: Arguments) -> Json:
    invoice = _found(simulator, "invoice", arguments)
    if invoice["status"] not in ("open", "uncollectible"):
        raise ValueError(f"The invoice {invoice['id']} is {invoice['status']}; only an open one can be paid.")
    return invoice


def pay_invoice(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{invoice, amount?, method?}`: money arrives; the whole rest unless `amount` says otherwise."""
    invoice = _open_invoice(simulator, arguments)
    method = str(arguments.get("method") or "bank_transfer")
    if method not in METHODS:
        raise ValueError(f"method: one of {', '.join(METHODS)} is expected, not {method!r}.")
    amount = _whole(arguments, "amount") or invoice["amount_remaining"]
    return receive(simulator.account, invoice, amount, METHODS[method])


def fail_payment(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{invoice, code?}`: an attempt to collect is declined."""
    invoice = _open_invoice(simulator, arguments)
    failed_attempt(simulator.account, invoice, str(arguments.get("code") or "card_declined"))
    return invoice


def dispute_invoice(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{invoice, reason?, amount?}`: the payer takes back the latest charge of a paid invoice, or a part of
    it."""
    invoice = _found(simulator, "invoice", arguments)
    charges = [charge for charge in charges_of(simulator.account, invoice) if not charge["disputed"]]
    if not charges:
        raise ValueError(f"The invoice {invoice['id']} has no undisputed charge: it must be paid through Stripe first.")
    amount = _whole(arguments, "amount") or charges[0]["amount"]
    if amount > charges[0]["amount"]:
        raise ValueError(f"amount: the charge is only {charges[0]['amount']}.")
    return open_dispute(simulator.account, charges[0], amount, str(arguments.get("reason") or "general"))


def end_dispute(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{dispute, outcome?}`: won | lost | warning_closed | prevented."""
    outcome = str(arguments.get("outcome") or "won")
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome: one of {', '.join(OUTCOMES)} is expected, not {outcome!r}.")
    return close_dispute(simulator.account, _found(simulator, "dispute", arguments), outcome)


def refund_charge(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{charge | invoice, amount?, reason?}`: money goes back."""
    if "invoice" in arguments:
        charges = charges_of(simulator.account, _found(simulator, "invoice", arguments))
        if not charges:
            raise ValueError("The invoice has no charge to refund.")
        charge = charges[0]
    else:
        charge = _found(simulator, "charge", arguments)
    return refund(simulator.account, charge, _whole(arguments, "amount"), arguments.get("reason"), {})


def shift_clock(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{seconds}`: the business clock jumps forward; all that falls due happens in order, dated when it was
    due."""
    seconds = float(arguments.get("seconds", 0))
    if seconds < 0:
        raise ValueError("seconds: the clock only goes forward.")
    shift = getattr(simulator.clock, "shift", None)
    if callable(shift):
        shift(timedelta(seconds=seconds))
    elif hasattr(simulator.clock, "at"):
        simulator.clock.at += timedelta(seconds=seconds)
    else:
        raise ValueError("This simulator's clock cannot be shifted.")
    simulator.account.catch_up()
    return {"now": simulator.clock.now().isoformat()}


def catch_up(simulator: StripeSimulator, _arguments: Arguments) -> Json:
    """Do what is due after the shared clock was shifted elsewhere."""
    return {"now": simulator.clock.now().isoformat()}


def roll_webhook_secret(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{endpoint?, keep_old_seconds?}`: a new signing secret; the old one signs along for a day by
    default."""
    endpoints = [_found(simulator, "webhook_endpoint", arguments, "endpoint")] if "endpoint" in arguments else None
    if endpoints is None:
        endpoints = list(simulator.account.shelf("webhook_endpoint").all())
    keep = float(arguments.get("keep_old_seconds", ROLL_SECONDS))
    return {each["id"]: simulator.webhooks.new_secret(each["id"], keep) for each in endpoints}


def resend_event(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{event, old_timestamp?}`: push an event again; `old_timestamp` (Unix seconds, or true for an hour ago)
    replays it with an old signature."""
    event = _found(simulator, "event", arguments)
    old = arguments.get("old_timestamp")
    signed_at: datetime | None = None
    if old is True:
        signed_at = simulator.account.wall.now() - timedelta(hours=1)
    elif old is not None and old is not False:
        signed_at = datetime.fromtimestamp(int(old), UTC)
    body = simulator.webhooks.body_of(event_as_seen(event))
    endpoints = [each for each in simulator.account.shelf("webhook_endpoint").all() if each["status"] == "enabled"]
    for endpoint in endpoints:
        simulator.webhooks.queue(event, endpoint, body, simulator.clock.now(), signed_at)
    return {"queued": len(endpoints)}


def set_rate_limit(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{per_second?, per_endpoint_per_second?}`; null switches a limit off."""
    for name in ("per_second", "per_endpoint_per_second"):
        if name in arguments:
            value = arguments[name]
            setattr(simulator.limits, name, None if value is None else int(value))
    return {
        "per_second": simulator.limits.per_second,
        "per_endpoint_per_second": simulator.limits.per_endpoint_per_second,
    }


def restrict_key(simulator: StripeSimulator, arguments: Arguments) -> Json:
    """`{permissions}`: what the restricted key may do, `{resource: "read" | "write"}`, e.g. `{"invoices":
    "write"}`."""
    permissions = {str(key): str(value) for key, value in dict(arguments.get("permissions") or {}).items()}
    simulator.keys.restrict(permissions)
    return {"api_key": simulator.keys.restricted, "permissions": permissions}


ACTIONS: dict[str, Callable[[StripeSimulator, Arguments], Any]] = {
    "pay_invoice": pay_invoice,
    "fail_payment": fail_payment,
    "dispute_invoice": dispute_invoice,
    "close_dispute": end_dispute,
    "refund": refund_charge,
    "shift_clock": shift_clock,
    "catch_up": catch_up,
    "roll_webhook_secret": roll_webhook_secret,
    "resend_event": resend_event,
    "set_rate_limit": set_rate_limit,
    "restrict_key": restrict_key,
}
