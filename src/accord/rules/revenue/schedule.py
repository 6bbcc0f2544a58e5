"""The operational revenue schedule of one obligation: what it earns in each accounting period, re-measured every time.

A new estimate or price counts for everything done so far, and the difference to what was recognised falls into the
period in which it is made (cumulative catch-up: ASC 606-10-25-35 and 32-42, IFRS 15.41 and 87).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from accord.model.money import Money
from accord.model.problem import Problem
from accord.rules.allocation import portion
from accord.rules.periods import Period, in_order
from accord.rules.revenue.obligations import Method, Obligation, problems_of
from accord.rules.revenue.progress import Progress, straight_line


@dataclass(frozen=True, slots=True)
class PriceFrom:
    """The price allocated to an obligation from a day on, and why it changed (an estimate, a change order)."""

    starts_on: date
    price: Money
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an obligation: progress by period code for cost, hours and milestones; the amount to date that
    may be invoiced, by period code, for as invoiced; the day of acceptance for a point in time.

    For a straight line, progress given for a period goes before what the term says: the way to keep what was measured
    before a term was changed, so that the new one is caught up.
    """

    progress: Mapping[str, Progress] | None = None
    invoiceable_to_date: Mapping[str, Money] | None = None
    accepted_on: date | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One obligation in one period. `recognised` is the period's revenue, `caught_up` the part of it that belongs to
    what was done in earlier periods; `cumulative` the revenue to the period's end."""

    obligation_id: str
    period: Period
    price: Money
    progress: Fraction
    cumulative: Money
    recognised: Money
    caught_up: Money
    told: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rows of an obligation; with problems there may be fewer, or some carried on from the last measurement."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def recognised(self) -> Money | None:
        """Revenue to the end of the last row; None for no rows."""
        return self.rows[-1].cumulative if self.rows else None


def schedule(
    obligation: Obligation,
    prices: Sequence[PriceFrom],
    periods: Sequence[Period],
    evidence: Evidence,
    closed: Mapping[str, Money] | None = None,
) -> Schedule:
    """What `obligation` earns in each of `periods`. Nothing is reckoned for one that has problems of its own.

    A period between two measurements without one of its own carries the last progress on and is a problem; after the
    last measurement there are no rows, because the future is not measured. What was recognised in `closed` periods, by
    code, stays as it was, whatever became known since; the first open period catches up.
    Raises CurrenciesDiffer, PeriodsDoNotFollow.
    """
    wrong = problems_of(obligation)
    if wrong:
        return Schedule((), tuple(wrong))
    calendar, ordered, kept = in_order(periods), sorted(prices, key=lambda each: each.starts_on), closed or {}
    if obligation.method is Method.AS_INVOICED:
        return _as_invoiced(obligation, calendar, evidence.invoiceable_to_date or {}, kept)
    if obligation.method is Method.POINT_IN_TIME:
        reached = {each.code: _accepted(evidence.accepted_on, each.ends_on) for each in calendar}
    elif obligation.method is Method.STRAIGHT_LINE:
        assert obligation.starts_on is not None
        assert obligation.ends_on is not None
        reached = {
            each.code: straight_line(obligation.starts_on, obligation.ends_on, each.ends_on) for each in calendar
        } | dict(evidence.progress or {})
    else:
        reached = dict(evidence.progress or {})
    return _by_progress(obligation, ordered, calendar, reached, kept)


def _by_progress(
    obligation: Obligation,
    prices: Sequence[PriceFrom],
    calendar: Sequence[Period],
    reached: Mapping[str, Progress],
    closed: Mapping[str, Money],
) -> Schedule:
    measured = [index for index, period in enumerate(calendar) if period.code in reached]
    rows: list[Row] = []
    problems: list[Problem] = []
    last: Progress | None = None
    for period in calendar[: measured[-1] + 1] if measured else ():
        price = _price_on(prices, period.ends_on)
        now = reached.get(period.code, last)
        if now is None:
            continue
        if period.code not in reached:
            now = replace(now, told=f"carried on, not measured: {now.told}")
            problems.append(_not_measured(obligation, period))
        if price is not None:
            before = rows[-1].cumulative if rows else Money.zero(price.currency)
            rows.append(_kept(_row(obligation, period, price, now, last, before), closed))
        elif now.done:
            problems.append(_no_price(obligation, period))
        last = now
    return Schedule(tuple(rows), tuple(problems))


def _row(
    obligation: Obligation, period: Period, price: Money, now: Progress, last: Progress | None, before: Money
) -> Row:
    cumulative = portion(price, now.fraction)
    caught_up = Money.zero(price.currency)
    if last is not None:
        # What was done before, seen against the whole as it is known now.
        caught_up = portion(price, min(last.done / now.whole, Fraction(1))) - before
    return Row(obligation.id, period, price, now.fraction, cumulative, cumulative - before, caught_up, now.told)


def _kept(row: Row, closed: Mapping[str, Money]) -> Row:
    """The row of a closed period as it was booked."""
    booked = closed.get(row.period.code)
    if booked is None or booked == row.recognised:
        return row
    before = row.cumulative - row.recognised
    zero = booked - booked
    told = f"closed with {booked}; {row.recognised} by what is known now: {row.told}"
    return replace(row, cumulative=before + booked, recognised=booked, caught_up=zero, told=told)


def _as_invoiced(
    obligation: Obligation, calendar: Sequence[Period], to_date: Mapping[str, Money], closed: Mapping[str, Money]
) -> Schedule:
    """Revenue is what may be invoiced (ASC 606-10-55-18, IFRS 15.B16); a period without a figure has the last one."""
    measured = [index for index, period in enumerate(calendar) if period.code in to_date]
    rows: list[Row] = []
    invoiceable = Money.zero(obligation.stand_alone_price.currency)
    for period in calendar[measured[0] : measured[-1] + 1] if measured else ():
        invoiceable = to_date.get(period.code, invoiceable)
        before = rows[-1].cumulative if rows else invoiceable - invoiceable
        told = f"{invoiceable} may be invoiced to {period.ends_on}"
        earned = invoiceable - before
        row = Row(obligation.id, period, invoiceable, Fraction(1), invoiceable, earned, earned - earned, told)
        rows.append(_kept(row, closed))
    return Schedule(tuple(rows))


def _accepted(accepted_on: date | None, by: date) -> Progress:
    if accepted_on is not None and accepted_on <= by:
        return Progress(Fraction(1), Fraction(1), f"accepted on {accepted_on}")
    return Progress(Fraction(0), Fraction(1), "not accepted")


def _price_on(prices: Sequence[PriceFrom], day: date) -> Money | None:
    return next((each.price for each in reversed(prices) if each.starts_on <= day), None)


def _not_measured(obligation: Obligation, period: Period) -> Problem:
    message = f"{obligation.name} was not measured in {period.code}; the progress before is carried on."
    return Problem("progress_not_measured", message, "progress", f"Measure it at {period.ends_on}.")


def _no_price(obligation: Obligation, period: Period) -> Problem:
    """Work before there is a price is earned in the period in which the price begins, as a catch-up."""
    message = f"{obligation.name} has progress in {period.code}, but no price yet."
    return Problem("price_missing", message, "price", "Allocate the transaction price to it, from the contract's day.")
