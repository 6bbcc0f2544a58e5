"""The door for pushes, its pure part: size first, signature second, ids third. Nothing is stored or read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accord.connect.connector import Refusal, Webhook

_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 32_768
_MAX_EVENTS = 1_000
_MAX_EVENT_ID = 255


@dataclass(frozen=True, slots=True)
class Accepted:
    """A genuine push: the vendor's ids of the events in it, each once, and what to answer (content type, body)."""

    event_ids: tuple[str, ...]
    answer: tuple[str, bytes]


def receive(
    webhook: Webhook, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime
) -> Accepted | Refusal:
    """Whether a push may be stored, and under which ids. Never raises for anything a sender can send.

    A refusal says nothing a stranger could learn from. The body is to be stored byte by byte as it came.
    """
    named = {name.lower(): value for name, value in headers.items()}
    return _too_big(webhook, named, body) or _forged(webhook, named, body, secrets, now) or _read(webhook, named, body)


def _too_big(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    if len(body) > webhook.max_body:
        return Refusal(413, f"at most {webhook.max_body} bytes are accepted")
    if len(headers) > _MAX_HEADERS or sum(map(len, [*headers, *headers.values()])) > _MAX_HEADER_BYTES:
        return Refusal(431, "the headers are too long")
    return None


def _forged(
    webhook: Webhook, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Any], now: datetime
) -> Refusal | None:
    try:
        return webhook.verify(headers, body, secrets, now)
    except Exception:  # noqa: BLE001  (whatever a stranger sends to a verifier, the answer is no)
        return Refusal(401, "the signature cannot be checked")


def _read(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Accepted | Refusal:
    try:
        ids = tuple(dict.fromkeys(webhook.event_ids(headers, body)))
    except Exception:  # noqa: BLE001  (signed but not in the vendor's shape: the vendor changed it, a person must look)
        return Refusal(400, "the body is not in the vendor's shape")
    if not ids or len(ids) > _MAX_EVENTS or not all(map(_is_usable, ids)):
        return Refusal(400, "the body has no usable event ids")
    return Accepted(ids, webhook.answer)


def _is_usable(event_id: object) -> bool:
    return isinstance(event_id, str) and 0 < len(event_id) <= _MAX_EVENT_ID and event_id.isprintable()
