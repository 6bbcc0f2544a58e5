"""How long things take: activation, approval, invoicing, disputes, exceptions. Median and p90, also by amount.

A percentile is the nearest rank: the smallest duration at which at least that part of all rows (or of the amount) is
done, so it is always one that happened. PostgreSQL's percentile_disc reckons the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import Measure, NotDefined, Unit, measure

HOUR = timedelta(hours=1)
MEDIAN, NINETIETH = Decimal("0.5"), Decimal("0.9")


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, both aware; `ended_at` None while it lasts. An end before the start stays negative:
    work invoiced before its approval is a fact to see, not to hide."""

    started_at: datetime
    ended_at: datetime | None
    amount: Money | None = None

    def lasted(self) -> timedelta | None:
        return None if self.ended_at is None else self.ended_at - self.started_at


Spans = Sequence[Span]


@dataclass(frozen=True, slots=True)
class Latency:
    """The four measures of one latency, each in hours; spans that still last are left out."""

    median: Measure[[Spans]]
    p90: Measure[[Spans]]
    median_by_amount: Measure[[Spans]]
    p90_by_amount: Measure[[Spans]]

    def __iter__(self) -> Iterator[Measure[[Spans]]]:
        yield from (self.median, self.p90, self.median_by_amount, self.p90_by_amount)


def latency(name: str, formula: str, *, note: str = "", prefix: str = "") -> Latency:
    """The measures of t(end) − t(start) as `formula` words it; `prefix` begins the variants of one basis of several."""

    def by(variant: str, part: Decimal, *, weighted: bool) -> Measure[[Spans]]:
        how = "weighted by amount" if weighted else "each counted once"
        text = f"{'median' if part == MEDIAN else '90th percentile'} of {formula}, {how}"

        @measure(name, prefix + variant, text, Unit.HOURS, note=note)
        def reckon(spans: Spans) -> Decimal:
            return _percentile(spans, part, weighted=weighted)

        return reckon

    return Latency(
        by("median", MEDIAN, weighted=False),
        by("p90", NINETIETH, weighted=False),
        by("median_by_amount", MEDIAN, weighted=True),
        by("p90_by_amount", NINETIETH, weighted=True),
    )


activation_time = latency(
    "activation_time",
    "t(project billable-ready) − t(closed-won)",
    note="Billable-ready: customer, entity, tax, billing rule, team and cost codes are there.",
)
approval_latency = latency("approval_latency", "t(approved) − t(submitted)")
invoice_latency = latency(
    "invoice_latency", "t(invoice issued) − max(t(approval) of its lines)", prefix="from_approval_"
)
invoice_latency_from_period_end = latency(
    "invoice_latency", "t(invoice issued) − end of the billing period", prefix="from_period_end_"
)
invoice_latency_from_work = latency(
    "invoice_latency", "t(invoice issued) − t(work) of its earliest line", prefix="from_work_"
)
# The way of work to cash, step by step; each begins where the one before it ended.
work_to_approval = latency(
    "work_to_cash",
    "t(last approval of its work) − t(earliest work), from the beginning of that day",
    prefix="approval_",
)
approval_to_draft = latency(
    "work_to_cash", "t(invoice proposed) − t(last approval of its work)", prefix="draft_",
    note="Negative where work was approved after the proposal was made.",
)  # fmt: skip
draft_to_approved = latency("work_to_cash", "t(proposal approved) − t(invoice proposed)", prefix="approved_")
approved_to_issued = latency(
    "work_to_cash", "t(invoice issued) − t(proposal approved)", prefix="issued_",
    note="Milestones and periods have no proposal: from the approval of the work.",
)  # fmt: skip
issued_to_posted = latency("work_to_cash", "t(invoice posted in the ERP) − t(invoice issued)", prefix="posted_")
posted_to_paid = latency("work_to_cash", "t(paid in full) − t(invoice posted in the ERP)", prefix="paid_")
work_to_cash = latency(
    "work_to_cash", "t(paid in full) − t(earliest work), from the beginning of that day", prefix="whole_"
)
dispute_cycle = latency("dispute_cycle", "t(dispute resolved) − t(dispute opened)")


@measure(
    "time_to_resolve",
    "mean",
    "mean of t(exception resolved) − t(exception opened)",
    Unit.HOURS,
    note="MTTR. Open exceptions are left out; money-hours counts them.",
)
def mean_time_to_resolve(spans: Spans) -> Decimal:
    ended = [each for each in (span.lasted() for span in spans) if each is not None]
    if not ended:
        raise NotDefined(_none_ended(spans))
    return _hours(sum(ended, start=timedelta(0))) / len(ended)


@measure(
    "money_hours",
    "open",
    "Σ amount × hours open, until resolved or now",
    Unit.MONEY_HOURS,
    note="An exception without an amount counts for nothing here; it is in time_to_resolve.",
)
def money_hours(spans: Spans, now: datetime, currency: str) -> Money:
    total = Money.zero(currency)
    for span in spans:
        if span.amount is not None:
            hours = _hours((span.ended_at or now) - span.started_at)
            total = total + Money(span.amount.amount * hours, span.amount.currency)
    return total


def _percentile(spans: Spans, part: Decimal, *, weighted: bool) -> Decimal:
    ended = sorted(
        (lasted, _weight(span) if weighted else Decimal(1)) for span in spans if (lasted := span.lasted()) is not None
    )
    if not ended:
        raise NotDefined(_none_ended(spans))
    if weighted and len({span.amount.currency for span in spans if span.amount and span.ended_at}) > 1:
        raise NotDefined("the amounts have several currencies; ask for one, or convert them first")
    whole = sum((weight for _, weight in ended), Decimal(0))
    if whole == 0:
        raise NotDefined("no row has an amount to weigh by")
    reached = Decimal(0)
    for lasted, weight in ended:
        reached += weight
        if reached >= part * whole:
            return _hours(lasted)
    raise AssertionError("the weights reach their own sum")


def _weight(span: Span) -> Decimal:
    """A credit weighs as much as an invoice of its size."""
    return Decimal(0) if span.amount is None else abs(span.amount.amount)


def _none_ended(spans: Spans) -> str:
    return f"none of {len(spans)} has ended" if spans else "there are no rows"


def _hours(lasted: timedelta) -> Decimal:
    microseconds = (lasted.days * 86_400 + lasted.seconds) * 1_000_000 + lasted.microseconds
    return Decimal(microseconds) / Decimal(3_600_000_000)
