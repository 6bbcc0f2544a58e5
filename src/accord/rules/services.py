"""A recurring service after it was sold: what a signed change order makes of it, and what billed periods are due. Pure.

A change holds from the day that its order says, or from its signature on. Periods that begin later are billed at the
new price; one that was billed at another price than it is worth by its days is settled by the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

from accord.model.billing import Invoice
from accord.model.deal import ManagedService
from accord.model.identity import canonical_id
from accord.model.money import Money, total
from accord.model.problem import Problem
from accord.model.recurring import RecurringSchedule, ServiceChange, ServiceSettlement
from accord.rules.proration import (
    ServicePeriod,
    anniversary,
    months_begun,
    period,
    period_at,
    priced_days,
    prorated,
    value_of,
    worth,
)

Line = tuple[str, int]  # an invoice and the number of its line, from 1


@dataclass(frozen=True, slots=True)
class ServiceAmended:
    """A recurring service before and after a signed change order, and by how much its contract value changes."""

    before: RecurringSchedule
    after: RecurringSchedule
    difference: Money
    what: str


def amended(
    known: RecurringSchedule, service: ManagedService | None, legal_entity: str, on: date
) -> ServiceAmended | Problem | None:
    """What a service, as sales has it on this day, means for what was sold; None when nothing is different."""
    if service is None:
        message = f"The recurring service {known.name} ({known.monthly_now} a month) was removed."
        cure = "Restore it with the months that are delivered, under a signed change order, or settle it by hand."
        return Problem("service_changed", message, "services", cure + _rest(known, None, on))
    identity = (service.starts_on, legal_entity, service.monthly.currency)
    if identity != (known.starts_on, known.legal_entity, known.monthly.currency):
        message = f"The recurring service {known.name} changed its start, legal entity or currency."
        return Problem("service_changed", message, "services", "Restore it, end it by its months, and sell another.")
    same = (service.monthly, service.months) == (known.monthly_now, known.months_now)
    order, signed_on = service.change_order, service.change_order_signed_on
    if order is None or signed_on is None:
        return None if same else _unsigned(known, service, on)
    change = _change(known, service, order, signed_on)
    last = known.changes[-1] if known.changes else None
    if same and (last is None or last.change_order != order or last.from_on == change.from_on):
        return None
    problem = _impossible(known, change, on)
    if problem is not None:
        return problem
    # An order that is entered again, corrected, stands in for what it said before.
    others = tuple(each for each in known.changes if each.change_order != order)
    value = value_of(replace(known, changes=(*others, change)))
    earlier = total((each.adds for each in others), known.monthly.currency)
    adds = value - value_of(replace(known, changes=())) - earlier
    after = replace(known, changes=(*others, replace(change, adds=adds)))
    difference = value - value_of(known)
    return ServiceAmended(known, after, difference, _described(known, change, difference))


def _change(known: RecurringSchedule, service: ManagedService, order: str, signed_on: date) -> ServiceChange:
    from_on = max(service.change_order_from or signed_on, known.starts_on)
    last = known.changes[-1] if known.changes else None
    # Another order that leaves the price alone does not make it hold from another day on.
    if last is not None and last.change_order != order and service.monthly == last.monthly:
        from_on = last.from_on
    return ServiceChange(order, signed_on, from_on, service.monthly, service.months, Money.zero(known.monthly.currency))


def _unsigned(known: RecurringSchedule, service: ManagedService, on: date) -> Problem:
    message = (
        f"The recurring service {known.name} went from {known.months_now} months at {known.monthly_now} to "
        f"{service.months} at {service.monthly} without a signed change order."
    )
    cure = "Enter the signed change order and the day from which it holds, or restore the service."
    return Problem("change_order_missing", message, "services", cure + _rest(known, service, on))


def _rest(known: RecurringSchedule, service: ManagedService | None, on: date) -> str:
    """What the rest of the running period would come to, as the end of a cure; empty when that is nothing."""
    now = known.monthly_on(on)
    after = Money.zero(now.currency) if service is None else service.monthly
    running = period_at(known.starts_on, known.months_now, on)
    if running is None or after == now:
        return ""
    part = prorated(now, after, running, on)
    days = f"the {part.days_left} of {running.days} days that are left on {on}"
    if part.difference.amount > 0:
        return f" From today on: invoice {part.difference} ({part.charge} less {part.credit}) for {days}."
    return f" From today on: credit {-part.difference} ({part.credit} less {part.charge}) for {days}."


def _impossible(known: RecurringSchedule, change: ServiceChange, on: date) -> Problem | None:
    """Why a signed change cannot be carried out by itself."""
    begun = months_begun(known.starts_on, on)
    if on >= anniversary(known.starts_on, known.months_now):
        message = f"{known.name} is over; change order {change.change_order} comes after its last month."
        return Problem("service_over", message, "services", "Sell it as a deal of its own, or restore it.")
    if change.months < begun:
        message = f"{known.name} would have {change.months} months, and {begun} have begun."
        cure = f"Set its months to {begun}, and credit by hand what more is agreed."
        return Problem("service_ends_too_early", message, "services", cure)
    if change.from_on >= anniversary(known.starts_on, change.months):
        message = f"Change order {change.change_order} holds from {change.from_on}, when {known.name} is over."
        return Problem("change_order_too_late", message, "services", "Correct the day from which it holds.")
    return None


def _described(known: RecurringSchedule, change: ServiceChange, difference: Money) -> str:
    parts = []
    if change.monthly != known.monthly_now or change.months == known.months_now:
        parts.append(f"from {change.from_on} on {change.monthly} instead of {known.monthly_on(change.from_on)} a month")
    if change.months != known.months_now:
        parts.append(f"{change.months} months instead of {known.months_now}")
    worth_more = f"contract value {'+' if difference.amount >= 0 else ''}{difference}"
    return f"{known.name}: {', '.join(parts)} by change order {change.change_order} ({worth_more})"


def settlements(
    schedule: RecurringSchedule, invoices: Iterable[Invoice], done: Sequence[ServiceSettlement]
) -> tuple[ServiceSettlement, ...]:
    """The billed periods of a changed service whose invoices, and what settled them since, are not what they are worth.

    Asking again once they are done gives none. `invoices` may hold others than the service's.
    """
    if not schedule.changes:
        return ()
    of_period: dict[date, dict[Line, Money]] = defaultdict(dict)
    for each in invoices:
        if each.subscription_id == schedule.id and each.status not in ("draft", "void"):
            for number, line in enumerate(each.lines, 1):
                first = line.service_from
                if first is not None and first >= schedule.starts_on:
                    passed = months_begun(schedule.starts_on, first) - 1
                    of_period[anniversary(schedule.starts_on, passed)][each.id, number] = line.net
    found = (_of_period(schedule, starts_on, of_period[starts_on], done) for starts_on in sorted(of_period))
    return tuple(chain.from_iterable(found))


def _of_period(
    schedule: RecurringSchedule, starts_on: date, lines: Mapping[Line, Money], done: Sequence[ServiceSettlement]
) -> Iterator[ServiceSettlement]:
    of = period(schedule.starts_on, months_begun(schedule.starts_on, starts_on) - 1)
    days, currency = priced_days(schedule, of), schedule.monthly.currency
    earlier = [each for each in done if each.schedule_id == schedule.id and each.period_from == starts_on]
    billed = total(lines.values(), currency)
    before = total((each.difference for each in earlier), currency)
    difference = worth(days) - billed - before
    more = difference.amount > 0
    parts = [(next(iter(lines)), difference)] if more else _credits(-difference, lines, earlier)
    for number, ((invoice, line), part) in enumerate(parts, len(earlier)):
        id = canonical_id("service_settlement", schedule.id, starts_on.isoformat(), str(number))
        yield ServiceSettlement(
            id=id,
            schedule_id=schedule.id,
            engagement_id=schedule.engagement_id,
            customer_id=schedule.customer_id,
            legal_entity=schedule.legal_entity,
            name=schedule.name,
            period_from=starts_on,
            period_to=of.ends_before,
            days=days,
            worth=worth(days),
            billed=billed,
            before=before,
            difference=part,
            invoice_id=invoice,
            line=line,
            terms_days=schedule.terms_days,
            document_id=canonical_id("invoice" if part.amount > 0 else "credit_note", id),
        )
        before = before + part


def _credits(
    amount: Money, lines: Mapping[Line, Money], earlier: Sequence[ServiceSettlement]
) -> Iterator[tuple[Line, Money]]:
    """What of an amount is credited on which line: what settled the period last is credited first, then its own."""
    left = {**lines, **{(each.document_id, 1): each.difference for each in earlier if each.difference.amount > 0}}
    for each in earlier:
        if each.difference.amount < 0:
            left[each.invoice_id, each.line] += each.difference
    for line, there in reversed(left.items()):
        part = min(amount, there)
        if part.amount > 0:
            amount = amount - part
            yield line, -part


def due(found: ServiceSettlement) -> Money:
    """What is invoiced, made again from the days and without the amount that it was written with."""
    return worth(found.days) - found.billed - found.before


def settlement_text(found: ServiceSettlement) -> str:
    """What the customer reads on the line: the period, and its days at each price."""
    whole = ServicePeriod(found.period_from, found.period_to)
    parts = [
        f"{(each.ends_before - each.from_on).days} of {whole.days} days at {each.monthly}"
        + (f" ({each.change_order})" if each.change_order else "")
        for each in found.days
    ]
    paid = f"less {found.billed}" + (f" and {found.before} settled before" if found.before else "")
    return f"{found.name} from {found.period_from}: {', '.join(parts)}, {paid}"
