"""Webhook endpoints and what is pushed to them: signed, at least once, in no promised order, retried with
back-off."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from accord.sandbox.kit.faults import Faults
from accord.sandbox.kit.simulator import Delivery
from accord.sandbox.stripe.account import API_VERSION, Account, event_as_seen
from accord.sandbox.stripe.call import Call, Routes, listed
from accord.sandbox.stripe.refusals import invalid
from accord.sandbox.stripe.shelf import Json

# Stripe retries for up to three days with back-off (vendors.md section 4); the first retries come soon.
RETRY_SECONDS = (10, 60, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200)
ROLL_SECONDS = 24 * 3600  # how long the old secret still signs beside the new one, unless told otherwise
TOLERATED = 16  # endpoints an account may have (docs.stripe.com webhooks)


def signature(body: bytes, secrets: Sequence[str], at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `t.payload`, one v1 for every secret in force."""
    signed = str(at).encode() + b"." + body
    sums = (hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={at}", *(f"v1={each}" for each in sums)])


class Webhooks:
    """Subscriptions to events and the queue of pushes."""

    def __init__(self, account: Account, faults: Faults, retry_seconds: Sequence[float] = RETRY_SECONDS) -> None:
        self.account, self.faults, self.retry_seconds = account, faults, retry_seconds
        self._waiting: list[Delivery] = []
        self._secrets: dict[
            str, list[tuple[str, datetime | None]]
        ] = {}  # endpoint -> (secret, good until), newest first
        self._about: dict[str, tuple[str, str]] = {}  # delivery -> (event, endpoint)
        self._count = 0

    def new_secret(self, endpoint_id: str, keep_old_seconds: float = 0) -> str:
        """Give the endpoint a new secret; the old one signs along for a while."""
        until = self.account.wall.now() + timedelta(seconds=keep_old_seconds)
        secret = self.account.new_id("whsec", 32)
        old = [(each, until) for each, end in self._secrets.get(endpoint_id, []) if end is None]
        self._secrets[endpoint_id] = [(secret, None), *(old if keep_old_seconds else [])]
        return secret

    def secrets_of(self, endpoint_id: str) -> list[str]:
        now = self.account.wall.now()
        return [secret for secret, end in self._secrets.get(endpoint_id, []) if end is None or end > now]

    def forget(self, endpoint_id: str) -> None:
        self._secrets.pop(endpoint_id, None)
        self._waiting = [each for each in self._waiting if self._about[each.delivery_id][1] != endpoint_id]

    def announced(self, event: Json) -> int:
        """Queue a push to every endpoint that wants this event; answers how many."""
        wanting = [each for each in self.account.shelf("webhook_endpoint").all() if _wants(each, event["type"])]
        if wanting:
            body = self.body_of(event_as_seen({**event, "pending": len(wanting)}))
            due = datetime.fromtimestamp(event["created"], UTC)
            for endpoint in wanting:
                self.queue(event, endpoint, body, due)
        return len(wanting)

    @staticmethod
    def body_of(event: Json) -> bytes:
        return json.dumps(event, indent=2).encode()

    def queue(
        self, event: Json, endpoint: Json, body: bytes, due: datetime, signed_at: datetime | None = None
    ) -> Delivery:
        """One push of an event; `signed_at` makes it a replay with an old signature."""
        self._count += 1
        delivery = Delivery(
            delivery_id=f"{event['id']}-{self._count}",
            url=endpoint["url"],
            body=body,
            content_type="application/json; charset=utf-8",
            due_at=due,
            signer=self._signer(endpoint["id"], body, signed_at),
        )
        self._about[delivery.delivery_id] = (event["id"], endpoint["id"])
        self._waiting.append(delivery)
        return delivery

    def _signer(
        self, endpoint_id: str, body: bytes, signed_at: datetime | None
    ) -> Callable[[datetime], Mapping[str, str]]:
        def sign(_attempt: datetime) -> Mapping[str, str]:
            # The wall clock signs, so that a receiver's tolerance holds after a shift of the business clock.
            at = int((signed_at or self.account.wall.now()).timestamp())
            header = signature(body, self.secrets_of(endpoint_id), at)
            return {
                "Stripe-Signature": header,
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }

        return sign

    def take(self) -> list[Delivery]:
        """The pushes due now, after the event faults have had their way."""
        now = self.account.clock.now()
        due = [each for each in self._waiting if each.due_at <= now]
        self._waiting = [each for each in self._waiting if each.due_at > now]
        sent = [copy for each in due for copy in self._faulted(each, now)]
        if len(sent) > 1 and self.faults.take_event("reorder_events"):
            sent.reverse()
        return sent

    def _faulted(self, delivery: Delivery, now: datetime) -> list[Delivery]:
        if self.faults.take_event("drop_events"):
            self.delivered(delivery, None)
            return []
        delay = self.faults.take_event("delay_events")
        if delay is not None:
            self._waiting.append(replace(delivery, due_at=now + timedelta(seconds=delay.seconds)))
            return []
        return [delivery, delivery] if self.faults.take_event("duplicate_events") else [delivery]

    def delivered(self, delivery: Delivery, status: int | None) -> None:
        """Note the outcome of a push; anything but 2xx is tried again until the back-off is used up."""
        event_id, _ = self._about.get(delivery.delivery_id, ("", ""))
        event = self.account.shelf("event").get(event_id)
        if status is not None and 200 <= status < 300:
            if event is not None and self._about.pop(delivery.delivery_id, ("", ""))[0]:
                event["pending"] = max(0, event["pending"] - 1)
            return
        if event is not None:
            event["failed"] = True
        if delivery.attempt <= len(self.retry_seconds):
            wait = timedelta(seconds=self.retry_seconds[delivery.attempt - 1])
            again = replace(delivery, due_at=self.account.clock.now() + wait, attempt=delivery.attempt + 1)
            self._waiting.append(again)


def _wants(endpoint: Json, event_type: str) -> bool:
    wanted = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and (event_type in wanted or "*" in wanted)


def _url(call: Call) -> str:
    url = call.form.required("url")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("Not a valid URL", "url", "url_invalid")
    return url


def _create(call: Call, webhooks: Webhooks) -> Json:
    form = call.form
    url, events = _url(call), form.texts("enabled_events")
    if not events:
        raise form.missing("enabled_events")
    endpoint = {
        "id": call.account.new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "api_version": form.choice("api_version", [API_VERSION]),
        "application": None,
        "created": call.account.now(),
        "description": form.text("description"),
        "enabled_events": events,
        "livemode": False,
        "metadata": form.metadata(),
        "status": "enabled",
        "url": url,
    }
    form.set_aside("connect")
    form.close()
    if len(call.account.shelf("webhook_endpoint")) >= TOLERATED:
        raise invalid(f"You have reached the maximum of {TOLERATED} test webhook endpoints.")
    call.account.create(endpoint)
    return {**endpoint, "secret": webhooks.new_secret(str(endpoint["id"]))}


def _update(call: Call) -> Json:
    form, endpoint = call.form, call.account.find("webhook_endpoint", call.ids[0])
    changes: Json = {"metadata": form.metadata(endpoint["metadata"])}
    if form.given("url"):
        changes["url"] = _url(call)
    if events := form.texts("enabled_events"):
        changes["enabled_events"] = events
    if form.given("description"):
        changes["description"] = form.text("description")
    disabled = form.boolean("disabled")
    if disabled is not None:
        changes["status"] = "disabled" if disabled else "enabled"
    form.close()
    return call.account.change(endpoint, changes)


def _delete(call: Call, webhooks: Webhooks) -> Json:
    call.form.close()
    webhooks.forget(call.ids[0])
    return call.account.remove(call.account.find("webhook_endpoint", call.ids[0]))


def routes(webhooks: Webhooks) -> Routes:
    """The routes of webhook endpoints; the secret is only shown when an endpoint is made."""
    return {
        ("POST", "webhook_endpoints"): lambda call: _create(call, webhooks),
        ("GET", "webhook_endpoints"): lambda call: listed(call, "webhook_endpoint"),
        ("GET", "webhook_endpoints/*"): lambda call: call.found("webhook_endpoint"),
        ("POST", "webhook_endpoints/*"): _update,
        ("DELETE", "webhook_endpoints/*"): lambda call: _delete(call, webhooks),
    }
