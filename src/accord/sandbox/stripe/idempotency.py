"""Stripe's idempotency store: the first answer under a key is the answer for a day."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from accord.sandbox.stripe.form import Pairs
from accord.sandbox.stripe.refusals import Refused, invalid

KEY_LENGTH = 255
LIFE_SECONDS = 24 * 3600  # "at least 24 hours", then it may be pruned (docs.stripe.com idempotent_requests)


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer under a key, and the request it answered."""

    request: tuple[str, str, Pairs]
    status: int
    body: bytes
    request_id: str
    at: int


class IdempotencyKeys:
    """Answers by key. Ages by the business clock: shifting it a day forward prunes them all."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._under_way: set[str] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def enter(self, key: str) -> None:
        """A request with this key starts. Raises Refused (409) while another one is being worked on."""
        if key in self._under_way:
            raise Refused(
                409,
                "There is currently another in-progress request using this idempotency key "
                f"(key: {key}). Please try again later.",
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        self._under_way.add(key)

    def leave(self, key: str) -> None:
        self._under_way.discard(key)

    def replay(self, key: str, request: tuple[str, str, Pairs], now: int) -> Kept | None:
        """The answer kept for this request, if any. Raises Refused when the key was used for another
        request."""
        if len(key) > KEY_LENGTH:
            raise invalid(f"Invalid idempotency key: it can be at most {KEY_LENGTH} characters.")
        self.prune(now)
        kept = self._kept.get(key)
        if kept is not None and kept.request != request:
            raise Refused(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first "
                "used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return kept

    def keep(self, key: str, kept: Kept) -> None:
        self._kept[key] = kept

    def prune(self, now: int) -> None:
        """Forget what is older than a day; keys are kept in the order they came."""
        while self._kept:
            oldest = next(iter(self._kept))
            if now - self._kept[oldest].at < LIFE_SECONDS:
                break
            del self._kept[oldest]
