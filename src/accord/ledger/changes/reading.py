"""An engagement as it stands when its contract is to change: priced work, milestones, caps, retainer, revenue, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from accord.engine.shell import Connection
from accord.errors import NotFound, UsageError
from accord.ledger import exchange
from accord.ledger import terms as declared
from accord.ledger.rating import work_entry
from accord.ledger.revenue import keeping, measuring
from accord.ledger.revenue.keeping import Recognised
from accord.model.billing import ScheduledMilestone
from accord.model.money import Money
from accord.model.plain import from_plain
from accord.model.problem import Problem
from accord.model.terms import BillingTerms, Cap, CapLevel
from accord.rules.change_impact.change import CapUse, ContractChange, Cost, Lies, PricedWork, RetainerUse, Standing
from accord.rules.change_impact.impact import Impact, impact_of
from accord.rules.change_impact.order import ChangeOrder, change_of, problems_of_order
from accord.rules.rating.counters import Convert, cap_key, months_before, tranche_key
from accord.rules.revenue.contract import RevenueContract
from accord.rules.revenue.modifications import Standing as StandingObligation
from accord.rules.revenue.obligations import Method
from accord.rules.revenue.onerous import Framework
from accord.rules.revenue.progress import Progress

# What somebody wrote down or transferred, and what a retainer was drawn for, keeps its price. Invoiced work is told by
# the number of its invoice, a draft by its id.
WORK = """
SELECT w.id, w.revision, w.kind, w.source, w.source_key, w.status, w.worked_on, w.quantity, w.engagement,
    w.legal_entity, w.worker, w.worker_entity, w.role, w.task, w.unit, w.category, w.cost, w.cost_currency,
    w.tax_included, w.receipt, w.billable, w.approver, w.approved_at, w.current,
    i.amount, p.place, p.document, p.amount
FROM billable_item i
JOIN work_entry w ON w.id = i.source_id AND w.revision = i.source_revision
JOIN LATERAL (
    SELECT CASE WHEN q.disposition IN ('wip', 'held') THEN 'wip'
            WHEN q.disposition = 'draft' AND coalesce(d.status, 'approved') IN ('draft', 'held') THEN 'draft'
            ELSE 'issued' END AS place,
        CASE WHEN q.disposition NOT IN ('wip', 'held') THEN coalesce(r.body ->> 'number', q.document) END AS document,
        sum(q.amount) AS amount
    FROM item_part q LEFT JOIN proposal d ON d.id = q.document
    LEFT JOIN record r ON r.kind = 'invoice' AND r.id = q.document
    WHERE q.item_id = i.id AND q.disposition IN ('wip', 'held', 'draft', 'billed', 'collected', 'disputed')
    GROUP BY 1, 2
) p ON true
WHERE i.engagement = %(engagement)s AND i.legal_entity = %(entity)s AND i.currency = %(currency)s
    AND i.kind IN ('time', 'expense', 'usage') AND i.reverses IS NULL AND i.worked_on >= %(since)s
    AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
    AND NOT EXISTS (SELECT FROM item_part k WHERE k.item_id = i.id
        AND k.disposition IN ('written_off', 'transferred', 'drawn', 'credited'))
ORDER BY w.worked_on, i.id, p.place, p.document
"""
MILESTONES = """
SELECT body FROM record WHERE kind = 'scheduled_milestone' AND correlation = %(engagement)s AND NOT deleted
    AND body ->> 'legal_entity' = %(entity)s ORDER BY id
"""
COUNTED = "SELECT name, used FROM billing_counter WHERE name = ANY(%(names)s)"
# A customer's cap is used by other engagements too; what is unbilled and what waits above is told of this one.
UNBILLED = """
SELECT i.task, p.worked_on, p.disposition = 'over_cap', p.cause, sum(p.amount)
FROM item_part p JOIN billable_item i ON i.id = p.item_id
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND p.currency = %(currency)s
    AND i.kind IN ('time', 'expense', 'usage') AND p.disposition IN ('wip', 'draft', 'over_cap')
GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a change would do, and all that was read for it."""

    order: ChangeOrder
    change: ContractChange
    standing: Standing
    impact: Impact
    revenue: Recognised | None


async def look(db: Connection, order: ChangeOrder, today: date) -> Looked:
    """The impact of a change order on what stands now; nothing is written.

    Raises NotFound without terms, UsageError for an order that is wrong in itself.
    """
    try:
        return await _look(db, order, today)
    except (ValueError, ArithmeticError) as error:
        raise UsageError(f"{order.id} cannot be looked at: {error}") from error


async def _look(db: Connection, order: ChangeOrder, today: date) -> Looked:
    wrong = problems_of_order(order)
    if wrong:
        raise UsageError("; ".join(f"{each.message} {each.cure}" for each in wrong))
    key = (order.engagement_id, order.legal_entity)
    before = (await declared.latest(db, [key])).get(key)
    if before is None:
        raise NotFound(f"{key[0]} has no billing terms in {key[1]}")
    about: dict[str, Any] = {"engagement": key[0], "entity": key[1], "currency": before.currency}
    bodies = await (await db.execute(MILESTONES, about)).fetchall()
    milestones = [from_plain(ScheduledMilestone, body) for (body,) in bodies]
    change = change_of(order, before, milestones)
    work = await _work(db, about, order) if order.terms is not None else []
    days = [today, *(each.entry.worked_on for each in work)]
    spent = {each.entry.cost.currency for each in work if each.entry.cost is not None}
    rates = (await exchange.for_pricing(db, [before, change.after], days, spent)).known_at(None)
    revenue = await _recognised(db, key, today)
    standing = Standing(
        work=work,
        milestones=milestones,
        caps=await _caps(db, before, change.after, about, rates),
        retainer=await _retainer(db, before, today),
        obligations=() if revenue is None else _obligations(revenue, order),
        cost=None if revenue is None else _cost(revenue, order),
    )
    impact = impact_of(
        change,
        standing,
        convert=rates,
        framework=Framework.US_GAAP if revenue is None else revenue.measured.contract.framework,
        in_scope=revenue is None or revenue.measured.contract.in_scope,
    )
    return Looked(order, change, standing, _with_usage(impact, order, work), revenue)


async def _work(db: Connection, about: dict[str, Any], order: ChangeOrder) -> list[PricedWork]:
    currency = about["currency"]
    rows = await (await db.execute(WORK, {**about, "since": order.effective_on}, prepare=False)).fetchall()
    return [
        PricedWork(work_entry(row), Money(row[24], currency), Money(row[27], currency), Lies(row[25]), row[26])
        for row in rows
    ]


def _with_usage(impact: Impact, order: ChangeOrder, work: Sequence[PricedWork]) -> Impact:
    """Metered units are priced by their month, so a change of their price in the middle of one is none of ours."""
    if order.effective_on.day == 1 or not any(each.entry.kind.value == "usage" for each in work):
        return impact
    message = f"Metered units are priced by the month, and {order.effective_on} is in the middle of one."
    problem = Problem("usage_in_the_month", message, "effective_on", "Let the change hold from the first of a month.")
    return replace(impact, problems=(*impact.problems, problem))


async def _caps(
    db: Connection, before: BillingTerms, after: BillingTerms, about: dict[str, Any], rates: Convert
) -> list[CapUse]:
    caps = {each.id: each for each in (*after.caps, *before.caps)}
    if not caps:
        return []
    names = {cap_key(before, each): each.id for each in caps.values()}
    counted = dict(await (await db.execute(COUNTED, {"names": list(names)})).fetchall())
    used = {id: counted.get(name, Decimal(0)) for name, id in names.items()}
    rows = await (await db.execute(UNBILLED, about)).fetchall()
    found = []
    for cap in caps.values():
        unbilled = over = Decimal(0)
        for task, day, above, cause, amount in rows:
            if cap.level is CapLevel.LINE and cap.applies_to != task:
                continue
            told = rates(amount, before.currency, cap.limit.currency, day) or Decimal(0)
            if not above:
                unbilled += told
            elif cause == f"cap {cap.id}" or not _named(cause, caps):
                over += told
        currency = cap.limit.currency
        money = [Money(each, currency).rounded() for each in (used[cap.id], unbilled, over)]
        found.append(CapUse(cap.id, *money))
    return found


def _named(cause: str, caps: dict[str, Cap]) -> bool:
    """Whether the ledger says which cap a part lies over."""
    return cause.startswith("cap ") and cause.removeprefix("cap ") in caps


async def _retainer(db: Connection, terms: BillingTerms, today: date) -> RetainerUse | None:
    """What is left of the months that are paid and have not expired, and how many will still be."""
    retainer = terms.retainer
    if retainer is None:
        return None
    first = retainer.starts_on.replace(day=1)
    months = [months_before(first, -nth) for nth in range(retainer.months)]
    paid = [each for each in months if each <= today]
    oldest = months_before(today.replace(day=1), retainer.rollover_months)
    names = {tranche_key(terms, retainer, each): each for each in paid if each >= oldest}
    counted = dict(await (await db.execute(COUNTED, {"names": list(names)})).fetchall())
    currency = retainer.per_month.currency
    left = sum((retainer.per_month.amount - counted.get(name, Decimal(0)) for name in names), Decimal(0))
    return RetainerUse(Money(left, currency), len(months) - len(paid))


async def _recognised(db: Connection, key: declared.Key, today: date) -> Recognised | None:
    found = await keeping.recognise(db, [key], today)
    return found[0] if found else None


def _obligations(revenue: Recognised, order: ChangeOrder) -> list[StandingObligation]:
    """Obligations with a price; progress is seen against what is still to come after the change."""
    contract = revenue.measured.contract
    zero = Money.zero(contract.currency)
    told = {each.obligation_id: each.to_complete for each in order.remaining}
    found = []
    for each in contract.obligations:
        prices = revenue.measured.prices.get(each.id)
        if each.method is Method.AS_INVOICED or not prices:
            continue
        progress = _progress(revenue, each.id, told.get(each.id))
        alone = each.stand_alone_price.times(_decimal(1 - progress.fraction))
        if each.id in contract.settled:
            alone = zero
        found.append(
            StandingObligation(
                each.id,
                prices[-1].price,
                revenue.measured.schedules[each.id].recognised or zero,
                progress,
                contract.measure_of(each.id).remaining_is_distinct,
                alone,
            )
        )
    return found


def _progress(revenue: Recognised, obligation_id: str, to_complete: Decimal | None) -> Progress:
    """The last measurement, with another rest where the order tells one."""
    rows = revenue.measured.schedules[obligation_id].rows
    last = revenue.measured.progress[obligation_id].get(rows[-1].period.code) if rows else None
    if last is None:
        fraction = rows[-1].progress if rows else Fraction(0)
        return Progress(fraction, Fraction(1), "by the schedule")
    if to_complete is None:
        return last
    return Progress(last.done, last.done + Fraction(to_complete), f"{to_complete} to come after the change")


def _decimal(fraction: Fraction) -> Decimal:
    return Decimal(fraction.numerator) / Decimal(fraction.denominator)


def _cost(revenue: Recognised, order: ChangeOrder) -> Cost | None:
    """Cost so far and to come; None while nobody told what is to come."""
    contract = revenue.measured.contract
    last = measuring.latest_estimates(revenue.evidence, hours=False)
    if not last:
        return None
    after = last | {
        each.obligation_id: each.to_complete for each in order.remaining if _in_cost(contract, each.obligation_id)
    }
    currency = contract.currency
    return Cost(
        Money(measuring.cost_to_date(revenue.evidence, currency), currency),
        Money(sum(last.values(), Decimal(0)), currency),
        Money(sum(after.values(), Decimal(0)), currency),
    )


def _in_cost(contract: RevenueContract, obligation_id: str) -> bool:
    return any(each.id == obligation_id and each.method is Method.COST_TO_COST for each in contract.obligations)
