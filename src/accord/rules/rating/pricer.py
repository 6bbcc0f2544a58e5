"""The pricer: compiled terms that give one entry after another its price, and each share of it its place.

An item's price never depends on caps; where it lies does. So a raised cap moves parts and changes no price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from accord.model.money import Rounding, decimals_of
from accord.model.problem import Problem
from accord.model.terms import BillingTerms, Cap, CapLevel, ExpenseRule, FixedFee, LinePer, RateRow, UsageRate
from accord.model.work import WorkKind
from accord.rules.rating.counters import (
    Convert,
    Counters,
    cap_key,
    line_key,
    meter_key,
    no_conversion,
    progress_keys,
    tranche_key,
    tranches_of,
)
from accord.rules.rating.priceable import Priceable
from accord.rules.rating.rates import RateTable

Added = tuple[tuple[str, Decimal], ...]

ZERO = Decimal(0)
HUNDRED = Decimal(100)
SIXTY = Decimal(60)
# Hours of a share of an item: whole minutes, told with six decimals.
HOURS = Decimal("0.000001")
NEARLY = Decimal("0.000000001")
PERCENT = "percent"  # the unit of progress
_ROUNDING = {Rounding.HALF_UP: ROUND_HALF_UP, Rounding.HALF_EVEN: ROUND_HALF_EVEN, Rounding.DOWN: ROUND_DOWN}


@dataclass(frozen=True, slots=True)
class Part:
    """A share of an item's value and the disposition it goes to; `why` says what decided it."""

    disposition: str
    amount: Decimal
    quantity: Decimal
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """The price of one entry, in the currency of the terms, and how it came about.

    `used` is what it added to each counter it met. `intercompany` is what the worker's legal entity charges the
    project's for it, None within one entity.
    """

    amount: Decimal
    quantity: Decimal
    rate: Decimal | None
    rate_id: str | None
    parts: tuple[Part, ...]
    used: tuple[tuple[str, Decimal], ...] = ()
    intercompany: Decimal | None = None


class Pricer:
    """Terms, compiled; `counters` is what caps, retainers and meters have used, and grows with each price."""

    def __init__(
        self, terms: BillingTerms, used: Mapping[str, Decimal] | None = None, convert: Convert = no_conversion
    ) -> None:
        self._terms = terms
        self._rates = RateTable(terms.rates)
        self._convert = convert
        self._unit = Decimal(1).scaleb(-decimals_of(terms.currency))
        self._rounding = _ROUNDING[terms.rounding]
        self._free_of_charge = frozenset(terms.non_billable_tasks)
        self._kept = (HUNDRED - terms.discount) / HUNDRED
        self._caps = tuple((cap, cap_key(terms, cap)) for cap in terms.caps)
        # Without caps and a retainer, equal work of one rate row has one price: most hours of a firm are worked so.
        self._alike: dict[tuple[Any, ...], Rated] | None = (
            None if terms.caps or terms.retainer or terms.round_per_line else {}
        )
        self.counters = Counters.of(used or {})

    def rate(self, entry: Priceable) -> Rated | tuple[Problem, ...]:
        """The price of an entry and where each share of it lies, or every reason why it has none."""
        if entry.kind is WorkKind.TIME:
            return self._time(entry)
        if entry.kind is WorkKind.EXPENSE:
            return self._expense(entry)
        return self._progress(entry) if entry.unit == PERCENT else self._usage(entry)

    def fit(self, entry: Priceable, amount: Decimal, quantity: Decimal) -> tuple[tuple[Part, ...], Added]:
        """Where a part that lay over a cap lies by these terms, as far as every cap allows, and what that adds to the
        counters; its price stays what it was."""
        return tuple(self._capped(amount, quantity, entry)), self.counters.take_added()

    def unfit(self, entry: Priceable, amount: Decimal) -> Added:
        """What it gives back to the counters when so much of an entry no longer counts against the caps."""
        met = [(cap, key) for cap, key in self._caps if cap.level is not CapLevel.LINE or cap.applies_to == entry.task]
        self._use(met, -amount, entry.worked_on)
        return self.counters.take_added()

    def admit(self, entry: Priceable, amount: Decimal, quantity: Decimal) -> tuple[tuple[Part, ...], Added]:
        """Where a part lies that was held before it met the limit of its expense rule and the caps, and what that adds
        to the counters; its price stays what it was."""
        rule = self._expense_rule(entry.category) if entry.kind is WorkKind.EXPENSE else None
        parts = self._capped(amount, quantity, entry) if rule is None else self._within_limit(rule, amount, entry)
        return tuple(parts), self.counters.take_added()

    def draw(self, entry: Priceable, amount: Decimal, quantity: Decimal, *, counted: bool) -> tuple[Part | None, Added]:
        """What of a part that is not billed yet the retainer has money for by now; `counted` is whether the part counts
        against the caps, which what is drawn does not."""
        drawn = self._draw(amount, entry.worked_on) if self._terms.retainer is not None else ZERO
        if not drawn:
            return None, ()
        if counted:
            return self._drawn(drawn, amount, quantity, entry), self.unfit(entry, drawn)
        return self._drawn(drawn, amount, quantity, entry), self.counters.take_added()

    def undraw(
        self, entry: Priceable, amount: Decimal, quantity: Decimal, month: date
    ) -> tuple[tuple[Part, ...], Added]:
        """Where a part lies that one prepaid month has no money for any more, and what that adds to the counters."""
        assert self._terms.retainer is not None
        self.counters.add(tranche_key(self._terms, self._terms.retainer, month), -amount)
        return tuple(self._capped(amount, quantity, entry)), self.counters.take_added()

    def prepaid_left(self, month: date) -> Decimal:
        """What a prepaid month has left."""
        retainer = self._terms.retainer
        if retainer is None:
            return ZERO
        return max(retainer.per_month.amount - self.counters.of_key(tranche_key(self._terms, retainer, month)), ZERO)

    def overdrawn(self, month: date) -> Decimal:
        """By how much more is drawn of a prepaid month than it has; below zero, by how much more was given back to it
        than was drawn."""
        retainer = self._terms.retainer
        if retainer is None:
            return ZERO
        used = self.counters.of_key(tranche_key(self._terms, retainer, month))
        return min(used, ZERO) or max(used - retainer.per_month.amount, ZERO)

    def exceeds(self, entry: Priceable) -> tuple[Decimal, str]:
        """By how much the caps that an entry meets are used beyond their limits, in the currency of the terms, and the
        cap that is exceeded most."""
        most, which = ZERO, ""
        for cap, key in self._caps:
            if cap.level is CapLevel.LINE and cap.applies_to != entry.task:
                continue
            over: Decimal | None = self.counters.of_key(key) - cap.limit.amount
            if over is not None and cap.limit.currency != self._terms.currency:
                over = self._convert(over, cap.limit.currency, self._terms.currency, entry.worked_on)
            if over is not None and over > most:
                most, which = over, cap.id
        return self._rounded(most), which

    def _time(self, entry: Priceable) -> Rated | tuple[Problem, ...]:
        row = self._rates.find(entry.worker, entry.role, entry.task, entry.worked_on)
        if self._alike is None or isinstance(row, Problem) or row.per_hour.currency != self._terms.currency:
            return self._hours(entry, row)
        alike = (id(row), entry.quantity, entry.task, entry.billable, entry.worker_entity)
        known = self._alike.get(alike)
        if known is None:
            found = self._hours(entry, row)
            if not isinstance(found, Rated):
                return found
            known = self._alike[alike] = found
        return known

    def _hours(self, entry: Priceable, row: RateRow | Problem) -> Rated | tuple[Problem, ...]:
        free = not entry.billable or entry.task in self._free_of_charge
        hours = self._stepped(entry.quantity)
        if isinstance(row, Problem):
            if not free:
                return (row,)
            return Rated(ZERO, hours, None, None, (Part("non_billable", ZERO, hours, _why_free(entry)),))
        rate = row.per_hour.amount if self._kept == 1 else row.per_hour.amount * self._kept
        if row.per_hour.currency != self._terms.currency:
            converted = self._convert(rate, row.per_hour.currency, self._terms.currency, entry.worked_on)
            if converted is None:
                return (_no_exchange_rate(row.per_hour.currency, self._terms.currency, entry.worked_on),)
            rate = converted
        if free or not self._terms.round_per_line or self._terms.lines_per is LinePer.ITEM:
            amount = self._rounded(hours * rate)
        else:
            key = line_key(self._terms, row, entry)
            amount = self.line_between(self.counters.of_key(key), hours * rate)
            self.counters.add(key, hours * rate)
        between = self._between_entities(entry, amount)
        if free:
            part = Part("non_billable", amount, hours, _why_free(entry))
            return Rated(amount, hours, rate, row.id, (part,), (), between)
        parts = self._placed(amount, hours, entry)
        return Rated(amount, hours, rate, row.id, parts, self.counters.take_added(), between)

    def _expense(self, entry: Priceable) -> Rated | tuple[Problem, ...]:
        if entry.cost is None:
            cure = "Enter what was spent at the source."
            return (Problem("cost_missing", "The expense has no amount.", "cost", cure),)
        rule = self._expense_rule(entry.category)
        if rule is None:
            message = f"No rule says how expenses of the category {entry.category!r} are passed on."
            return (Problem("expense_rule_missing", message, "expenses", "Add a rule and declare the terms anew."),)
        spent = entry.cost.amount
        if rule.principal and entry.tax_included is not None:
            spent -= entry.tax_included.amount
        converted = self._convert(spent, entry.cost.currency, self._terms.currency, entry.worked_on)
        if converted is None:
            return (_no_exchange_rate(entry.cost.currency, self._terms.currency, entry.worked_on),)
        amount = self._rounded(converted * (HUNDRED + rule.mark_up) / HUNDRED)
        if not entry.billable or not rule.billable:
            why = _why_free(entry) if not entry.billable else f"expense rule {rule.id}"
            parts: tuple[Part, ...] = (Part("non_billable", amount, entry.quantity, why),)
        elif _receipt_missing(rule, entry):
            parts = (Part("held", amount, entry.quantity, "the receipt is missing"),)
        else:
            parts = self._within_limit(rule, amount, entry)
        between = self._between_entities(entry, amount)
        return Rated(amount, entry.quantity, None, rule.id, parts, self.counters.take_added(), between)

    def _usage(self, entry: Priceable) -> Rated | tuple[Problem, ...]:
        """What the month's units cost with this record, less what they cost without it: so corrections, tiers that
        the month reaches later, and prices of the whole volume all come out right."""
        rate = next((each for each in self._terms.usage if _fits(each, entry)), None)
        if rate is None:
            message = f"No usage rate fits {entry.unit} on {entry.worked_on}."
            return (Problem("usage_rate_missing", message, "usage", "Add a usage rate and declare the terms anew."),)
        if rate.tiers[0].per_unit.currency != self._terms.currency:
            return (_no_exchange_rate(rate.tiers[0].per_unit.currency, self._terms.currency, entry.worked_on),)
        key = meter_key(self._terms, rate, entry.worked_on)
        before = self.counters.of_key(key)
        amount = self.price_between(rate, before, entry.quantity)
        if not entry.billable:
            # The meter does not move, and yet the price depends on where it stood.
            self.counters.add(key, ZERO)
            part = Part("non_billable", amount, entry.quantity, _why_free(entry))
            return Rated(amount, entry.quantity, None, rate.id, (part,), self.counters.take_added())
        self.counters.add(key, entry.quantity)
        parts = self._placed(amount, entry.quantity, entry)
        return Rated(amount, entry.quantity, None, rate.id, parts, self.counters.take_added())

    def _progress(self, entry: Priceable) -> Rated | tuple[Problem, ...]:
        """What a fee is worth at the progress reached with this record, less the value its progress had before: a
        hundred percent bill the fee to the last cent, in whatever steps and corrections it was reached."""
        fee = next((each for each in self._terms.fixed_fees if each.id == entry.task), None)
        if fee is None:
            message = f"There is no fixed fee {entry.task!r} whose progress this could be."
            return (Problem("fixed_fee_missing", message, "fixed_fees", "Name a fee of the terms as the task."),)
        if fee.amount.currency != self._terms.currency:
            return (_no_exchange_rate(fee.amount.currency, self._terms.currency, entry.worked_on),)
        reached, earned = progress_keys(self._terms, fee)
        after = self.counters.of_key(reached) + entry.quantity
        if not ZERO <= after <= HUNDRED:
            message = f"With {entry.quantity:f} more, {after:f} percent of {fee.id} would be reached."
            return (Problem("progress_beyond_fee", message, "quantity", "Tell what was reached since the last time."),)
        amount = self.fee_at(fee, after) - self.counters.of_key(earned)
        self.counters.add(reached, entry.quantity)
        self.counters.add(earned, amount)
        if entry.billable:
            parts = self._placed(amount, entry.quantity, entry)
        else:
            parts = (Part("non_billable", amount, entry.quantity, _why_free(entry)),)
        return Rated(amount, entry.quantity, None, fee.id, parts, self.counters.take_added())

    def fee_at(self, fee: FixedFee, reached: Decimal) -> Decimal:
        """What a fee is worth when so many percent of it are reached."""
        return self._rounded(fee.amount.amount * reached / HUNDRED)

    def price_between(self, rate: UsageRate, before: Decimal, units: Decimal) -> Decimal:
        """What `units` cost on top of those metered `before`; below zero for units that are taken back."""
        return self._rounded(price_of(rate, before + units)) - self._rounded(price_of(rate, before))

    def line_between(self, before: Decimal, exact: Decimal) -> Decimal:
        """What a line that came to `before`, not rounded, grows by with `exact` more: so its items add up to the line,
        rounded once."""
        return self._rounded(before + exact) - self._rounded(before)

    def _placed(self, amount: Decimal, quantity: Decimal, entry: Priceable) -> tuple[Part, ...]:
        """Retainer first, then WIP as far as every cap allows, the rest over cap."""
        drawn = self._draw(amount, entry.worked_on) if self._terms.retainer is not None else ZERO
        rest = amount - drawn
        parts = []
        hours = quantity
        if drawn:
            parts.append(self._drawn(drawn, amount, quantity, entry))
            hours -= parts[0].quantity
        if rest or not drawn:
            parts.extend(self._capped(rest, hours, entry))
        return tuple(parts)

    def _drawn(self, drawn: Decimal, amount: Decimal, quantity: Decimal, entry: Priceable) -> Part:
        assert self._terms.retainer is not None
        share = quantity if drawn == amount else _share(quantity, drawn, amount, entry.kind)
        return Part("drawn", drawn, share, f"retainer {self._terms.retainer.id}")

    def _capped(self, amount: Decimal, quantity: Decimal, entry: Priceable) -> list[Part]:
        if not self._caps:
            return [Part("wip", amount, quantity)]
        room: Decimal | None = None
        tightest = ""
        met: list[tuple[Cap, str]] = []
        for cap, key in self._caps:
            if cap.level is CapLevel.LINE and cap.applies_to != entry.task:
                continue
            left = cap.limit.amount - self.counters.of_key(key)
            if cap.limit.currency != self._terms.currency:
                # Without a rate for the day nothing can be said to fit: it stays over the cap, and is not lost.
                left = self._convert(left, cap.limit.currency, self._terms.currency, entry.worked_on) or ZERO
                # There and back again by one rate a cent must not be lost in the last of 28 digits.
                left = left.quantize(NEARLY, rounding=ROUND_HALF_UP)
            met.append((cap, key))
            if room is None or left < room:
                room, tightest = left, cap.id
        if room is None or amount <= 0 or amount <= room:
            self._use(met, amount, entry.worked_on)
            return [Part("wip", amount, quantity)]
        fits = max(ZERO, room.quantize(self._unit, rounding=ROUND_DOWN))
        self._use(met, fits, entry.worked_on)
        over = Part("over_cap", amount - fits, quantity, f"cap {tightest}")
        if not fits:
            return [over]
        share = _share(quantity, fits, amount, entry.kind)
        return [
            Part("wip", fits, share, f"cap {tightest}"),
            Part("over_cap", amount - fits, quantity - share, f"cap {tightest}"),
        ]

    def _use(self, met: list[tuple[Cap, str]], amount: Decimal, on: date) -> None:
        for cap, key in met:
            used: Decimal | None = amount
            if cap.limit.currency != self._terms.currency:
                used = self._convert(amount, self._terms.currency, cap.limit.currency, on)
                # Exactly as much is given back as was taken: no digits that a sum of many would lose.
                used = None if used is None else used.quantize(NEARLY, rounding=ROUND_HALF_UP)
            self.counters.add(key, used or ZERO)

    def _draw(self, amount: Decimal, on: date) -> Decimal:
        """Draw from the prepaid months that have not expired, the oldest first; a correction gives back to its own
        month."""
        retainer = self._terms.retainer
        assert retainer is not None
        if not amount:
            return ZERO
        month = on.replace(day=1)
        drawn = ZERO
        for tranche in tranches_of(retainer, month):
            key = tranche_key(self._terms, retainer, tranche)
            there = self.counters.of_key(key)
            if amount < 0:
                share = max(amount - drawn, -there)
            else:
                share = min(amount - drawn, retainer.per_month.amount - there)
            if share and (share > 0) == (amount > 0):
                self.counters.add(key, share)
                drawn += share
        return drawn

    def _within_limit(self, rule: ExpenseRule, amount: Decimal, entry: Priceable) -> tuple[Part, ...]:
        if rule.limit is None or amount <= rule.limit.amount:
            return tuple(self._capped(amount, entry.quantity, entry))
        above = Part("non_billable", amount - rule.limit.amount, ZERO, f"above the limit of rule {rule.id}")
        return (*self._capped(rule.limit.amount, entry.quantity, entry), above)

    def _expense_rule(self, category: str | None) -> ExpenseRule | None:
        own = next((each for each in self._terms.expenses if each.category == category), None)
        return own or next((each for each in self._terms.expenses if each.category is None), None)

    def _between_entities(self, entry: Priceable, amount: Decimal) -> Decimal | None:
        if entry.worker_entity is None or entry.worker_entity == self._terms.legal_entity:
            return None
        return self._rounded(amount * self._terms.intercompany_percentage / HUNDRED)

    def _stepped(self, hours: Decimal) -> Decimal:
        step = self._terms.minutes_step
        if not step:
            return hours
        steps = (abs(hours) * SIXTY / step).to_integral_value(rounding=ROUND_CEILING)
        return (steps * step / SIXTY).quantize(HOURS, rounding=ROUND_HALF_UP).copy_sign(hours)

    def _rounded(self, amount: Decimal) -> Decimal:
        return amount.quantize(self._unit, rounding=self._rounding)


def price_of(rate: UsageRate, units: Decimal) -> Decimal:
    """What `units` of a month cost, not rounded. `graduated`: each tier its own units; else the tier reached prices
    all of them."""
    if units <= 0:
        return ZERO
    if not rate.graduated:
        reached = [tier for tier in rate.tiers if units > tier.above]
        return units * (reached[-1] if reached else rate.tiers[0]).per_unit.amount
    total = ZERO
    for tier, after in zip(rate.tiers, (*rate.tiers[1:], None), strict=True):
        upper = units if after is None else min(units, after.above)
        if upper > tier.above:
            total += (upper - tier.above) * tier.per_unit.amount
    return total


def _fits(rate: UsageRate, entry: Priceable) -> bool:
    return (
        rate.unit == entry.unit
        and rate.valid_from <= entry.worked_on
        and (rate.valid_to is None or entry.worked_on < rate.valid_to)
    )


def _share(quantity: Decimal, part: Decimal, whole: Decimal, kind: WorkKind) -> Decimal:
    """The quantity that belongs to a part of the amount: of time, to the minute."""
    share = quantity * part / whole
    if kind is not WorkKind.TIME:
        return share.quantize(HOURS, rounding=ROUND_HALF_UP)
    minutes = (share * SIXTY).to_integral_value(rounding=ROUND_HALF_UP)
    return (minutes / SIXTY).quantize(HOURS, rounding=ROUND_HALF_UP)


def _receipt_missing(rule: ExpenseRule, entry: Priceable) -> bool:
    if rule.receipt_above is None or entry.receipt or entry.cost is None:
        return False
    # A limit in another currency cannot be compared without a rate: then a receipt is asked for.
    return entry.cost.currency != rule.receipt_above.currency or entry.cost.amount > rule.receipt_above.amount


def _why_free(entry: Priceable) -> str:
    return "told as not billable" if not entry.billable else f"task {entry.task} is not billable"


def _no_exchange_rate(from_: str, to: str, on: date) -> Problem:
    message = f"There is no exchange rate from {from_} to {to} for {on}."
    return Problem(
        "exchange_rate_missing", message, "currency", "Load the rate of that day, or agree another rate date."
    )
