"""From evidence to schedules: each obligation by its own measure, the contract's balances, and its outlook. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from accord.ledger.revenue.evidence import Evidence, Worked
from accord.model.money import Money, Rounding
from accord.model.problem import Problem
from accord.rules.periods import Period
from accord.rules.revenue import progress, schedule
from accord.rules.revenue.balances import Flows, Position, roll_forward
from accord.rules.revenue.contract import Measure, RevenueContract, prices_of
from accord.rules.revenue.obligations import Method, Obligation
from accord.rules.revenue.onerous import Outlook, Provision, provision
from accord.rules.revenue.progress import NotMeasurable, Progress
from accord.rules.revenue.schedule import PriceFrom, Row, Schedule

ALL = Progress(Fraction(1), Fraction(1), "settled: what was still to deliver went to other obligations")


@dataclass(frozen=True, slots=True)
class Measured:
    """One contract by what is stored: rows and problems of each obligation, and the price each has by now."""

    contract: RevenueContract
    schedules: Mapping[str, Schedule]
    prices: Mapping[str, Sequence[PriceFrom]]
    progress: Mapping[str, Mapping[str, Progress]]
    problems: tuple[Problem, ...]


def measure(
    versions: Sequence[RevenueContract], evidence: Evidence, booked: Mapping[str, Mapping[str, Money]]
) -> Measured:
    """The schedules of a contract. `booked` is what each obligation had recognised when its periods were closed, by
    obligation and period; a closed period in which nothing was kept had recognised nothing."""
    contract = versions[-1]
    prices = prices_of(versions)
    found: dict[str, Schedule] = {}
    reached: dict[str, Mapping[str, Progress]] = {}
    problems: list[Problem] = []
    zero = Money.zero(contract.currency)
    for each in contract.obligations:
        kept = {code: booked.get(each.id, {}).get(code, zero) for code in evidence.closed}
        progress_of, wrong = _progress(contract, each, evidence)
        told = schedule.Evidence(
            progress=progress_of or None,
            invoiceable_to_date=_invoiceable(contract, each, evidence) if each.method is Method.AS_INVOICED else None,
            accepted_on=evidence.accepted.get(each.id),
        )
        found[each.id] = schedule.schedule(each, prices.get(each.id, ()), evidence.periods, told, kept)
        reached[each.id] = progress_of
        problems += [*wrong, *found[each.id].problems]
    return Measured(contract, found, prices, reached, tuple(problems))


def balances(measured: Measured, evidence: Evidence) -> tuple[Position, ...]:
    """Contract asset, unbilled receivable and contract liability at the end of each period, the contract as a whole."""
    currency = measured.contract.currency
    recognised: dict[str, Money] = {}
    for row in (row for each in measured.schedules.values() for row in each.rows):
        recognised[row.period.code] = recognised.get(row.period.code, Money.zero(currency)) + row.recognised
    billed = {code: Money(net, currency) for code, net in evidence.billed.items()}
    codes = {each.code for each in evidence.periods}
    flows = Flows(
        {code: amount for code, amount in billed.items() if code in codes},
        recognised,
        _unconditional(measured.contract, evidence),
        {},
    )
    return roll_forward(flows, evidence.periods, currency)


def outlook(measured: Measured, evidence: Evidence) -> Provision | None:
    """The provision for a loss by the last estimates; None while no cost to complete is told for any obligation."""
    contract = measured.contract
    currency = contract.currency
    last = latest_estimates(evidence, hours=False)
    if not last or not any(measured.prices.values()):
        return None
    zero = Money.zero(currency)
    price = sum((prices[-1].price for prices in measured.prices.values() if prices), start=zero)
    recognised = sum((each.recognised or zero for each in measured.schedules.values()), start=zero)
    about = Outlook(
        price,
        recognised,
        Money(cost_to_date(evidence, currency), currency),
        Money(sum(last.values(), Decimal(0)), currency),
        in_scope=contract.in_scope,
    )
    return provision(about, contract.framework)


def cost_to_date(evidence: Evidence, currency: str) -> Decimal:
    """All cost of the engagement so far, to the minor unit."""
    total = sum((_cost(each, evidence, currency) or Decimal(0) for each in evidence.worked), Decimal(0))
    return Money(total, currency).rounded(Rounding.HALF_UP).amount


def latest_estimates(evidence: Evidence, *, hours: bool) -> dict[str, Decimal]:
    """The last estimate of each obligation."""
    order = {each.code: n for n, each in enumerate(evidence.periods)}
    found: dict[str, tuple[int, Decimal]] = {}
    for (obligation, period, in_hours), to_complete in evidence.estimates.items():
        at = order.get(period, -1)
        if in_hours is hours and at >= found.get(obligation, (-1, Decimal(0)))[0]:
            found[obligation] = (at, to_complete)
    return {obligation: to_complete for obligation, (_, to_complete) in found.items()}


def _progress(
    contract: RevenueContract, obligation: Obligation, evidence: Evidence
) -> tuple[dict[str, Progress], list[Problem]]:
    """Progress by period, as far as the obligation's measure is told for it."""
    if obligation.method in (Method.AS_INVOICED, Method.POINT_IN_TIME):
        return {}, []
    found: dict[str, Progress] = {}
    problems: list[Problem] = []
    if obligation.method is Method.MILESTONES:
        found, problems = _by_milestones(obligation, evidence)
    elif obligation.method in (Method.COST_TO_COST, Method.HOURS):
        found, problems = _by_input(contract, obligation, evidence)
    if obligation.id in contract.settled:
        since = [each for each in evidence.periods if each.ends_on >= contract.valid_from]
        found = {
            **{each.code: progress_of for each in evidence.periods if (progress_of := found.get(each.code))},
            **{each.code: ALL for each in since},
        }
    return found, problems


def _by_milestones(obligation: Obligation, evidence: Evidence) -> tuple[dict[str, Progress], list[Problem]]:
    own = {each.id for each in obligation.milestones}
    days = {id: on for id, on in evidence.accepted.items() if id in own}
    return {
        each.code: progress.milestones(obligation, [id for id, on in days.items() if on <= each.ends_on])
        for each in evidence.periods
    }, []


def _by_input(
    contract: RevenueContract, obligation: Obligation, evidence: Evidence
) -> tuple[dict[str, Progress], list[Problem]]:
    in_hours = obligation.method is Method.HOURS
    problems = [] if in_hours else _uncosted(contract, obligation, evidence)
    done = _to_date(contract, obligation, evidence, in_hours=in_hours)
    found: dict[str, Progress] = {}
    for each in evidence.periods:
        to_come = evidence.estimates.get((obligation.id, each.code, in_hours))
        if to_come is None:
            continue
        try:
            found[each.code] = (
                progress.hours(done[each.code], to_come)
                if in_hours
                else progress.cost_to_cost(
                    Money(done[each.code], contract.currency).rounded(), Money(to_come, contract.currency)
                )
            )
        except NotMeasurable as error:
            message = f"{obligation.name} cannot be measured in {each.code}: {error}."
            problems.append(Problem("not_measurable", message, "progress", "Correct the estimate to complete."))
    return found, problems


def _to_date(
    contract: RevenueContract, obligation: Obligation, evidence: Evidence, *, in_hours: bool
) -> dict[str, Decimal]:
    """Hours or cost to the end of each period."""
    sums: dict[str, Decimal] = {}
    first = evidence.periods[0].code if evidence.periods else ""
    for each in evidence.worked:
        if not _counts(contract, obligation, each.task) or _too_early(contract.measure_of(obligation.id), each.day):
            continue
        amount = each.hours if in_hours else _cost(each, evidence, contract.currency) or Decimal(0)
        sums[each.period or first] = sums.get(each.period or first, Decimal(0)) + amount
    return _cumulated(evidence.periods, sums)


def _cumulated(periods: Sequence[Period], sums: Mapping[str, Decimal]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    total = Decimal(0)
    for each in periods:
        total += sums.get(each.code, Decimal(0))
        found[each.code] = total
    return found


def _cost(each: Worked, evidence: Evidence, currency: str) -> Decimal | None:
    """The cost of a day's work in the currency of the contract; None where nobody told it, or no rate is known."""
    if each.cost is None or each.currency is None:
        return None
    return evidence.rates.known_at(None)(each.cost, each.currency, currency, each.day)


def _uncosted(contract: RevenueContract, obligation: Obligation, evidence: Evidence) -> list[Problem]:
    hours = sum((each.uncosted for each in evidence.worked if _counts(contract, obligation, each.task)), Decimal(0))
    unknown = {
        each.currency
        for each in evidence.worked
        if each.cost is not None and _cost(each, evidence, contract.currency) is None
    }
    found = []
    if hours:
        message = f"{hours.normalize():f} hours of {obligation.name} were worked by people whose cost is not known."
        found.append(Problem("cost_unknown", message, "cost_per_hour", "Declare the cost of an hour of each of them."))
    for currency in sorted(each for each in unknown if each is not None):
        message = f"Cost in {currency} has no rate of exchange to {contract.currency}."
        found.append(Problem("exchange_rate_missing", message, "currency", "Load the rates of those days."))
    return found


def _counts(contract: RevenueContract, obligation: Obligation, task: str | None) -> bool:
    """Whether work of a task is this obligation's: named by it, or named by none where it names none itself."""
    own = contract.measure_of(obligation.id).tasks
    if own:
        return task in own
    named = {name for each in contract.measures for name in each.tasks}
    return task not in named


def _too_early(measure_of: Measure, day: date) -> bool:
    return measure_of.counts_from is not None and day < measure_of.counts_from


def _invoiceable(contract: RevenueContract, obligation: Obligation, evidence: Evidence) -> dict[str, Money]:
    sums: dict[str, Decimal] = {}
    first = evidence.periods[0].code if evidence.periods else ""
    for period, task, _, amount in evidence.invoiceable:
        if _counts(contract, obligation, task):
            sums[period or first] = sums.get(period or first, Decimal(0)) + amount
    return {code: Money(amount, contract.currency) for code, amount in _cumulated(evidence.periods, sums).items()}


def _unconditional(contract: RevenueContract, evidence: Evidence) -> dict[str, Money]:
    """What work recognised as invoiced has earned and nobody has invoiced by the end of each period: only time must
    pass until it is."""
    own = [each for each in contract.obligations if each.method is Method.AS_INVOICED]
    order = {each.code: n for n, each in enumerate(evidence.periods)}
    found = {}
    for n, end in enumerate(evidence.periods):
        open_then = sum(
            (
                amount
                for period, task, invoiced_in, amount in evidence.invoiceable
                if any(_counts(contract, each, task) for each in own)
                and order.get(period or "", 0) <= n
                and (invoiced_in is None or order.get(invoiced_in, n + 1) > n)
            ),
            Decimal(0),
        )
        found[end.code] = Money(max(open_then, Decimal(0)), contract.currency)
    return found


def changed_rows(measured: Measured, evidence: Evidence, kept: Mapping[tuple[str, str], Row]) -> list[Row]:
    """The rows of open periods that say something else than what is kept; a closed one stays as it was closed."""
    return [
        row
        for each in measured.schedules.values()
        for row in each.rows
        if row.period.code not in evidence.closed and kept.get((row.obligation_id, row.period.code)) != row
    ]
