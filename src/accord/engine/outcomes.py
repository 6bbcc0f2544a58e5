"""What the engine hands to a connector for one write, and the answers it understands. Pure.

Outcome
├── Committed      the vendor holds it; `vendor_id` and what it told us
├── Rejected       the vendor refused it; repeating the same will be refused again      -> a case
├── Unknown        it may or may not have happened                                      -> probe, then decide
├── Absent         (answer of a probe only) it surely did not happen                    -> may be sent again
├── Transient      it surely did not happen and may succeed later                       -> retry, honouring the
vendor's wait
└── Misconfigured  the connection itself is wrong (credentials, permissions, schema)    -> the connection pauses
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Write:
    """One write to one system (not frozen, as `Effect` is not). `body` is the plain form of the canonical object.

    `key` is the business key, never reused for another write: seed vendor idempotency keys from it.
    `vendor_ids` maps each canonical id the body links to onto the id this system knows it by; `vendor_id` is the
    object's own id there when it is known already. `attempt` counts sends, from 1.
    """

    effect_id: int
    key: str
    kind: str
    verb: str
    canonical_id: str
    body: Mapping[str, Any]
    vendor_id: str | None = None
    vendor_ids: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Committed:
    vendor_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """`code` is the vendor's own; `message` is fit for a person; `fields` the canonical or vendor fields at fault."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    reason: str


@dataclass(frozen=True, slots=True)
class Absent:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transient:
    """`retry_after_seconds` is the vendor's word when it gave one; `overload` says that the budget must shrink;
    `outage` that the vendor could not be reached at all, which is no fault of the write and never makes it a dead
    letter."""

    reason: str
    retry_after_seconds: float | None = None
    overload: bool = False
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Misconfigured:
    code: str
    message: str


Outcome = Committed | Rejected | Unknown | Absent | Transient | Misconfigured
