"""What caps, retainers, meters and fees have used so far: named counters that a run of prices carries on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accord.model.terms import BillingTerms, Cap, CapLevel, FixedFee, LinePer, RateRow, Retainer, UsageRate
from accord.rules.rating.priceable import Priceable

# amount, from currency, to currency, day -> amount, or None where there is no rate for that day
Convert = Callable[[Decimal, str, str, date], Decimal | None]


def no_conversion(amount: Decimal, from_: str, to: str, on: date) -> Decimal | None:  # noqa: ARG001
    """Where no exchange rates are given, only the same currency converts."""
    return amount if from_ == to else None


def cap_key(terms: BillingTerms, cap: Cap) -> str:
    """A customer's cap is one counter for all engagements that name it; the others are the engagement's own."""
    if cap.level is CapLevel.CUSTOMER:
        return f"cap {terms.customer_id} {cap.id}"
    return f"cap {terms.engagement_id} {terms.legal_entity} {cap.id}"


def tranche_key(terms: BillingTerms, retainer: Retainer, month: date) -> str:
    """What was drawn of the amount prepaid for one month."""
    return f"retainer {terms.engagement_id} {terms.legal_entity} {retainer.id} {month:%Y-%m}"


def meter_key(terms: BillingTerms, rate: UsageRate, month: date) -> str:
    """The units metered in one month."""
    return f"usage {terms.engagement_id} {terms.legal_entity} {rate.id} {month:%Y-%m}"


def progress_keys(terms: BillingTerms, fee: FixedFee) -> tuple[str, str]:
    """The percent of a fixed fee that was told as reached, and the value that was given to it."""
    about = f"{terms.engagement_id} {terms.legal_entity} {fee.id}"
    return f"progress {about}", f"earned {about}"


def line_key(terms: BillingTerms, rate: RateRow, work: Priceable) -> str:
    """What the work of one invoice line and month comes to, not rounded."""
    about = {LinePer.WORKER: work.worker, LinePer.ROLE: work.role, LinePer.TASK: work.task}.get(terms.lines_per)
    return f"line {terms.engagement_id} {terms.legal_entity} {work.worked_on:%Y-%m} {rate.id} {about or ''}"


def line_keys(terms: BillingTerms, work: Iterable[Priceable]) -> set[str]:
    """Every line that prices of this work can touch; none where each item is rounded by itself."""
    if not terms.round_per_line or terms.lines_per is LinePer.ITEM:
        return set()
    return {
        line_key(terms, rate, each)
        for each in work
        for rate in terms.rates
        if rate.worker in (None, each.worker) and rate.role in (None, each.role) and rate.task in (None, each.task)
    }


def months_before(month: date, count: int) -> date:
    """The first day of the month `count` months before (after, if negative)."""
    number = month.year * 12 + month.month - 1 - count
    return date(number // 12, number % 12 + 1, 1)


def tranches_of(retainer: Retainer, month: date) -> list[date]:
    """The prepaid months from which work of a month may draw: those that have not expired, the oldest first."""
    first = retainer.starts_on.replace(day=1)
    last = months_before(first, -(retainer.months - 1))
    months = (months_before(month, back) for back in range(retainer.rollover_months, -1, -1))
    return [each for each in months if first <= each <= last]


def counter_keys(terms: BillingTerms, days: Iterable[date]) -> list[str]:
    """Every counter that prices of work done on these days can touch."""
    keys = [cap_key(terms, cap) for cap in terms.caps]
    months = {day.replace(day=1) for day in days} if terms.retainer is not None or terms.usage else set()
    if terms.retainer is not None:
        tranches = {each for month in months for each in tranches_of(terms.retainer, month)}
        keys += [tranche_key(terms, terms.retainer, month) for month in tranches]
    keys += [meter_key(terms, rate, month) for rate in terms.usage for month in months]
    keys += [key for fee in terms.fixed_fees for key in progress_keys(terms, fee)]
    return sorted(keys)


@dataclass(slots=True)
class Counters:
    """The counters of one run, and what the entry at hand has added to each."""

    used: dict[str, Decimal]
    added: list[tuple[str, Decimal]]

    @classmethod
    def of(cls, used: Mapping[str, Decimal]) -> Counters:
        return cls(dict(used), [])

    def of_key(self, key: str) -> Decimal:
        return self.used.get(key, Decimal(0))

    def add(self, key: str, amount: Decimal) -> None:
        self.used[key] = self.used.get(key, Decimal(0)) + amount
        self.added.append((key, amount))

    def take_added(self) -> tuple[tuple[str, Decimal], ...]:
        """What was added since the last call."""
        if not self.added:
            return ()
        added, self.added = tuple(self.added), []
        return added
