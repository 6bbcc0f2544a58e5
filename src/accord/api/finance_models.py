"""What crosses the boundary about proposals, unbilled work, receivables and agreement between systems."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from accord.api.models import Input, Money, Output
from accord.db.storable import StorableText

Exact = Annotated[str, BeforeValidator(lambda value: f"{value:f}" if isinstance(value, Decimal) else value)]
MaybeExact = Annotated[str | None, BeforeValidator(lambda value: f"{value:f}" if isinstance(value, Decimal) else value)]


class Proposal(Output):
    """An invoice proposal. `changers` have changed its amount: neither they nor `proposed_by` may approve it."""

    id: str
    status: str
    engagement: str
    engagement_name: str | None
    legal_entity: str
    customer_id: str
    customer: str | None
    net: Money
    lines: int
    period_from: date
    period_to: date
    proposed_at: datetime
    proposed_by: str
    changers: list[str]
    approved_by: str | None
    approved_at: datetime | None
    reason: str | None
    version: int


class Proposals(Output):
    proposals: list[Proposal]
    next: str | None


class ProposalLine(Output):
    """`rate` is per hour or unit, null where a line gathers several; `quantity` counts in hours, units or items."""

    line: int
    text: str
    kind: str
    worker: str | None
    role: str | None
    task: str | None
    rate: MaybeExact
    quantity: Exact
    net: Exact
    worked_from: date | None
    worked_to: date | None


class ProposalShown(Output):
    """A proposal with a page of its lines; `written_off` is what has left it for good."""

    proposal: Proposal
    lines: list[ProposalLine]
    next: str | None
    written_off: Money


class WriteDown(Input):
    """How much, of which line (none: over all lines), and why."""

    amount: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
    line: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Annotated[StorableText, Field(min_length=1, max_length=500)]


class WriteDownAsked(Input):
    """A write-down that is only looked at."""

    amount: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
    line: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class LineChange(Output):
    line: int
    before: Exact
    after: Exact


class WriteDownEffect(Output):
    """What a write-down would do; `may_not_approve` are those whom four eyes keep from approving it afterwards."""

    amount: Money
    before: Money
    after: Money
    lines: list[LineChange]
    entries: int
    may_not_approve: list[str]


class SetAside(Input):
    line: Annotated[int, Field(ge=1, lt=2**31)]
    reason: Annotated[StorableText, Field(min_length=1, max_length=500)]


class Why(Input):
    reason: Annotated[StorableText, Field(min_length=1, max_length=500)]


class PartLies(Output):
    disposition: str
    amount: Exact
    quantity: MaybeExact
    document: str | None
    line: int | None
    cause: str
    reference: str | None


class Explanation(Output):
    """An item back to its source; `recomputed` is its price made again, null where the source is gone."""

    id: str
    kind: str
    amount: Money
    recomputed: MaybeExact
    agrees: bool
    worked_on: date | None
    quantity: MaybeExact
    unit: str | None
    rate: MaybeExact
    rate_row: str | None
    rate_clause: str | None
    terms_version: int | None
    clause: str | None
    source: str
    source_key: str | None
    approver: str | None
    parts: list[PartLies]


class LineExplanation(Output):
    """A line with a page of its items; `placed` is what all of them come to."""

    line: ProposalLine
    placed: Exact
    agrees: bool
    items: list[Explanation]
    next: str | None


class UnexplainedSum(Output):
    """`currency` is null for things that have no price."""

    currency: str | None
    count: int
    amount: Exact
    oldest_at: datetime


class UnexplainedThing(Output):
    """`money` is what the sources have more than the ledger, below zero less; null where it cannot be priced."""

    subject: str
    what: str
    engagement: str
    legal_entity: str
    money: Money | None
    first_seen: datetime


class Unexplained(Output):
    """What the last check found; `checked_at` is null when there was none yet, `complete` false when there is more."""

    checked_at: datetime | None
    complete: bool
    sums: list[UnexplainedSum]
    items: list[UnexplainedThing]
    next: str | None


class AgedBucket(Output):
    """`months` are the first and last month of work in it; null is open."""

    label: str
    from_month: date | None
    to_month: date | None
    amount: Exact
    parts: int
    quantity: Exact
    in_progress: Exact
    in_proposals: Exact
    held: Exact


class AgedCurrency(Output):
    currency: str
    amount: Exact
    buckets: list[AgedBucket]


class WipAgeing(Output):
    """By the measure named in `definition`: its formula is in the reference of measures."""

    definition: str
    as_of: date
    currencies: list[AgedCurrency]


class Reading(Output):
    """`value` is exact, null with the reason in `undefined_because`."""

    definition: str
    value: MaybeExact
    unit: str
    undefined_because: str | None


class DueBucket(Output):
    label: str
    amount: Exact
    disputed: Exact
    count: int


class OwedCurrency(Output):
    """`unapplied` cash is told beside, not taken off what is open. Credit `sales` are of `days` days since `since`."""

    currency: str
    open: Exact
    overdue: Exact
    unapplied: Exact
    sales: Exact
    since: date
    days: int
    buckets: list[DueBucket]
    readings: list[Reading]


class Receivables(Output):
    as_of: date
    currencies: list[OwedCurrency]


class Step(Output):
    """One step of the way, by amount: half and nine tenths of the money were through within so many hours."""

    name: str
    label: str
    invoices: int
    median_hours: MaybeExact
    p90_hours: MaybeExact


class Way(Output):
    """`cut` says that only the newest invoices were read."""

    currency: str
    since: date
    invoices: int
    cut: bool
    steps: list[Step]


class Ways(Output):
    currencies: list[Way]


class MatchLine(Output):
    """`sees` is whether the last run found its canary: without it, no breaks means nothing."""

    match: str
    says: str
    owner: str
    ran_at: datetime | None
    ours: int
    theirs: int
    matched: int
    sees: bool
    breaks: int


class Break(Output):
    """A side that is null has no such key."""

    match: str
    key: str
    legal_entity: str | None
    currency: str | None
    engagement: str | None
    ours: MaybeExact
    theirs: MaybeExact
    difference: Exact
    first_seen: datetime
    owner: str
    attested_by: str | None
    attestation: str | None


class Breaks(Output):
    matches: list[MatchLine]
    breaks: list[Break]
    next: str | None


class Attestation(Input):
    """A break of this very difference is known and may stand, until its difference changes."""

    match: Annotated[StorableText, Field(min_length=1, max_length=100)]
    key: Annotated[StorableText, Field(min_length=1, max_length=200)]
    difference: Annotated[Decimal, Field(max_digits=30, decimal_places=12, allow_inf_nan=False)]
    text: Annotated[StorableText, Field(min_length=1, max_length=500)]


class Attested(Output):
    match: str
    key: str
    attested_by: str
