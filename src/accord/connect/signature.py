"""Signatures of pushes: constant time, a secret and its predecessors, no older than a tolerance. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from accord.connect.connector import Refusal

REFUSED = Refusal(401, "the signature is missing or wrong")
STALE = Refusal(401, "the signature is too old")


def hmac_matches(secrets: Iterable[str], text: bytes, given: Iterable[str], algorithm: str = "sha256") -> bool:
    """Whether any given hex digest is the HMAC of the text under any of the secrets; every pair is tried, so that the
    time taken tells nothing."""
    expected = [hmac.new(secret.encode(), text, algorithm).hexdigest() for secret in secrets if secret]
    offered = [each.strip().lower().encode("utf-8", "replace") for each in given]
    hits = [hmac.compare_digest(mine.encode(), theirs) for mine in expected for theirs in offered]
    return any(hits)


def is_stale(signed_at: str | float, now: datetime, tolerance_seconds: float = 300.0) -> bool:
    """Whether a signature made at these epoch seconds is older than the tolerance, or no time at all."""
    try:
        return not (now.timestamp() - float(signed_at) <= tolerance_seconds)
    except (TypeError, ValueError):
        return True


def secrets_named(secrets: Mapping[str, Any], name: str) -> list[str]:
    """A secret and, while it is being rolled, its predecessor: `name` and `name_previous`, or a list under `name`."""
    found = [secrets.get(name), secrets.get(f"{name}_previous")]
    flat = [each for item in found for each in (item if isinstance(item, list | tuple) else [item])]
    return [each for each in flat if isinstance(each, str) and each]
