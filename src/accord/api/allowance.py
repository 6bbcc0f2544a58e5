"""How many requests a caller may make: a bucket each, in this process, told in RateLimit headers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PER_MINUTE = 1200
_REMEMBERED = 10_000  # callers; the longest silent is forgotten first


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whether a request may go on, and the headers that say how many more may follow."""

    ok: bool
    headers: dict[str, str]


class Allowance:
    """Token buckets by caller; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], per_minute: int = PER_MINUTE) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> Allowed:
        """Count one request of a caller."""
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(float(self._per_minute), now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        rate = self._per_minute / 60
        bucket.tokens = min(float(self._per_minute), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        ok = bucket.tokens >= 1
        if ok:
            bucket.tokens -= 1
        wait = 0 if bucket.tokens >= 1 else max(1, round((1 - bucket.tokens) / rate))
        headers = {
            "RateLimit-Policy": f'"key";q={self._per_minute};w=60',
            "RateLimit": f'"key";r={int(bucket.tokens)};t={wait}',
        }
        return Allowed(ok, headers if ok else {**headers, "Retry-After": str(max(1, wait))})
