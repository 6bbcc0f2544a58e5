"""A contract change as one plan: proposed with its impact, applied by another person in one transaction, taken back.

Each step is journalled with what came of it. What only a vendor can do (schedules of milestones) is left to a story
that the plan starts; what only people may do (credits of invoices) is asked for and waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.engine import eventlog
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger import fitting
from accord.ledger import terms as declared
from accord.ledger.changes.reading import Looked, look
from accord.ledger.proposing import propose as propose_invoices
from accord.ledger.rating import BATCH, rate_some
from accord.ledger.revenue import contracts
from accord.model.billing import ScheduledMilestone
from accord.model.events import CONTRACT_PLAN_APPLIED, Fact
from accord.model.money import Money
from accord.model.plain import Plain, from_plain, to_plain
from accord.model.terms import BillingTerms, RetroactivePolicy
from accord.rules.change_impact.change import Area
from accord.rules.change_impact.order import ChangeOrder, taken_back
from accord.rules.change_impact.plan import ImpactHasProblems, Plan, Step, Verb, plan_of
from accord.rules.revenue.amended import amended, rest_id, restored
from accord.rules.revenue.contract import RevenueContract
from accord.rules.revenue.modifications import Followed
from accord.rules.revenue.obligations import Method

LONGEST_ID = 100
# What of an impact shows what people cost: told with the permission alone.
OF_COST = ("margin", "loss_provision")

COLUMNS = """
SELECT id, engagement, legal_entity, state, body, impact, before, proposed_by, proposed_at, applied_by, applied_at,
    taken_back_by, taken_back_at
FROM contract_plan
"""
ONE = COLUMNS + "WHERE id = %(id)s AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))"
LIST = (
    COLUMNS
    + """
WHERE (%(engagement)s::text IS NULL OR engagement = %(engagement)s)
    AND (%(entities)s::text[] IS NULL OR legal_entity = ANY(%(entities)s))
ORDER BY proposed_at DESC, id LIMIT %(limit)s
"""
)
PROPOSE = """
INSERT INTO contract_plan (id, engagement, legal_entity, body, impact, proposed_by, proposed_at)
VALUES (%(id)s, %(engagement)s, %(entity)s, %(body)s::jsonb, %(impact)s::jsonb, %(by)s, %(now)s)
ON CONFLICT (id) DO UPDATE SET body = excluded.body, impact = excluded.impact, proposed_by = excluded.proposed_by,
    proposed_at = excluded.proposed_at
WHERE contract_plan.state = 'proposed' AND contract_plan.legal_entity = excluded.legal_entity
RETURNING id
"""
APPLIED = """
UPDATE contract_plan SET state = 'applied', applied_by = %(by)s, applied_at = %(now)s, before = %(before)s::jsonb
WHERE id = %(id)s
"""
TAKEN_BACK = """
UPDATE contract_plan SET state = 'taken_back', taken_back_by = %(by)s, taken_back_at = %(now)s WHERE id = %(id)s
"""
DROP = "UPDATE contract_plan SET state = 'dropped' WHERE id = %(id)s"
JOURNAL = """
INSERT INTO contract_plan_step (plan_id, nth, verb, subject, before, after, outcome, undoes, at)
SELECT %(id)s, x.nth + coalesce((SELECT max(nth) FROM contract_plan_step WHERE plan_id = %(id)s), 0), x.verb, x.subject,
    x.before, x.after, x.outcome, %(undoes)s, %(now)s
FROM json_to_recordset(%(rows)s::json) AS x (nth integer, verb text, subject text, before text, after text,
    outcome text)
"""
STEPS = """
SELECT nth, verb, subject, before, after, outcome, undoes, at FROM contract_plan_step
WHERE plan_id = %(id)s ORDER BY nth
"""
DRAFTS = """
SELECT DISTINCT d.period_to FROM proposal d
WHERE d.engagement = %(engagement)s AND d.legal_entity = %(entity)s AND d.id = ANY(%(ids)s) ORDER BY 1
"""
CREDITS = """
SELECT id FROM adjustment WHERE kind = 'credit_note' AND engagement = %(engagement)s AND status = 'requested'
    AND reason = %(reason)s ORDER BY id
"""
LEFT = """
SELECT EXISTS (SELECT FROM work_to_rate
    WHERE engagement = %(engagement)s AND legal_entity = %(entity)s AND again IS NOT NULL)
"""
# Where an estimate of what is still to come belongs: the first period that is not closed and does not end before.
OPEN_PERIOD = """
SELECT period FROM accounting_period WHERE legal_entity = %(entity)s AND state <> 'closed' AND ends_on >= %(on)s
ORDER BY starts_on LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Journalled:
    """One step as it was done: from what to what, and what came of it. `undoes` is one of taking the plan back."""

    nth: int
    verb: str
    subject: str
    before: str
    after: str
    outcome: str
    undoes: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as it stands: proposed, applied, taken_back or dropped. `impact` is what was shown, in plain form."""

    id: str
    engagement: str
    legal_entity: str
    state: str
    order: ChangeOrder
    impact: Mapping[str, Any]
    before: Mapping[str, Any] | None
    proposed_by: str
    proposed_at: datetime
    applied_by: str | None
    applied_at: datetime | None
    taken_back_by: str | None
    taken_back_at: datetime | None
    steps: tuple[Journalled, ...] = ()


class EngagementMoved(Conflict):
    """What the change would do is not what was shown any more; propose it again to see its impact."""

    title = "Engagement moved"


def order_of(given: Mapping[str, Any], entities: Sequence[str] | None = None) -> ChangeOrder:
    """The change order that a caller tells; of another legal entity than it may see there is none.

    Raises UsageError, NotFound.
    """
    try:
        order = from_plain(ChangeOrder, given)
    except (ValueError, ArithmeticError) as error:
        raise UsageError(str(error)) from error
    if not 0 < len(order.id) <= LONGEST_ID:
        raise UsageError(f"a change has an id of at most {LONGEST_ID} characters")
    if entities is not None and order.legal_entity not in entities:
        raise NotFound(f"{order.engagement_id} has no terms in {order.legal_entity} for this key")
    return order


async def propose(db: Connection, order: ChangeOrder, *, by: str, now: datetime) -> Looked:
    """Keep a change with what it would do, inside the caller's transaction; proposing it again brings that up to date.

    Raises NotFound, UsageError as `look` does, Conflict for one that was applied.
    """
    looked = await look(db, order, now.date())
    about = {
        "id": order.id, "engagement": order.engagement_id, "entity": order.legal_entity, "by": by, "now": now,
        "body": as_json(to_plain(order)), "impact": as_json(plain_impact(looked)),
    }  # fmt: skip
    if await (await db.execute(PROPOSE, about)).fetchone() is None:
        raise Conflict(f"{order.id} was applied or dropped already; tell a new change under a new id")
    detail = {"change": order.id, "legal_entity": order.legal_entity, "applicable": looked.impact.applicable}
    await audit.write(db, by, "contract change proposed", order.engagement_id, detail)
    return looked


async def apply(db: Connection, id: str, *, by: str, now: datetime, entities: Sequence[str] | None = None) -> PlanFile:
    """Apply a proposed plan, all of it or nothing, inside the caller's transaction.

    Raises NotFound, Conflict for the one who proposed it or while the work is being rated, EngagementMoved,
    ImpactHasProblems.
    """
    found = await _locked(db, id, "proposed", entities)
    if by == found.proposed_by:
        raise Conflict(f"{by} has proposed this change; somebody else must apply it")
    looked = await look(db, found.order, now.date())
    if plain_impact(looked) != found.impact:
        raise EngagementMoved(f"{id}: the engagement has moved since the impact was shown; propose the change again")
    plan = plan_of(looked.change, looked.impact)
    before = {
        "terms": to_plain(looked.change.before),
        "milestones": [to_plain(each) for each in looked.standing.milestones],
        "revenue": None if looked.revenue is None else to_plain(looked.revenue.measured.contract),
        "prices": _prices(looked),
    }
    outcomes = await _do(db, looked, by=by, now=now)
    await db.execute(APPLIED, {"id": id, "by": by, "now": now, "before": as_json(before)})
    await _journal(db, id, plan, outcomes, undoes=False, now=now)
    detail = {"change": id, "legal_entity": found.legal_entity, "steps": len(plan.steps), "why": found.order.why}
    await audit.write(db, by, "contract change applied", found.engagement, detail)
    return await one_plan(db, id)


async def take_back(
    db: Connection, id: str, *, by: str, now: datetime, entities: Sequence[str] | None = None
) -> PlanFile:
    """Take an applied plan back: its steps the other way round, the last first, inside the caller's transaction.

    An invoice that was credited and billed again is so once more: a document that was issued is never taken away.
    Raises NotFound, Conflict for the one who applied it, ImpactHasProblems.
    """
    found = await _locked(db, id, "applied", entities)
    if by == found.applied_by:
        raise Conflict(f"{by} has applied this change; somebody else must take it back")
    assert found.before is not None
    terms = from_plain(BillingTerms, found.before["terms"])
    milestones = [from_plain(ScheduledMilestone, each) for each in found.before["milestones"]]
    back = taken_back(found.order, terms, milestones)
    looked = await look(db, back, now.date())
    if not looked.impact.applicable:
        told = "; ".join(each.message for each in looked.impact.problems if each.code != "invoice_left")
        raise ImpactHasProblems(f"{id} cannot be taken back: {told}")
    outcomes = await _do(db, looked, by=by, now=now)
    if found.order.revenue is not None:
        outcomes[Verb.BOOK_REVENUE] = await _restore_revenue(db, found, by=by)
    plan = Plan(id, tuple(_step(each) for each in found.steps if not each.undoes)).reversed()
    await db.execute(TAKEN_BACK, {"id": id, "by": by, "now": now})
    await _journal(db, id, plan, outcomes, undoes=True, now=now)
    detail = {"change": id, "legal_entity": found.legal_entity, "steps": len(plan.steps)}
    await audit.write(db, by, "contract change taken back", found.engagement, detail)
    return await one_plan(db, id)


async def drop(db: Connection, id: str, *, by: str, entities: Sequence[str] | None = None) -> None:
    """Give a proposed change up. Raises NotFound, Conflict."""
    found = await _locked(db, id, "proposed", entities)
    await db.execute(DROP, {"id": id})
    await audit.write(db, by, "contract change dropped", found.engagement, {"change": id})


async def one_plan(db: Connection, id: str, entities: Sequence[str] | None = None) -> PlanFile:
    """A plan with its journal. Raises NotFound."""
    about = {"id": id, "entities": None if entities is None else list(entities)}
    row = await (await db.execute(ONE, about)).fetchone()
    if row is None:
        raise NotFound(f"there is no contract change {id!r}")
    steps = await (await db.execute(STEPS, {"id": id})).fetchall()
    return replace(_file(row), steps=tuple(Journalled(*each) for each in steps))


async def list_plans(
    db: Connection, engagement: str | None = None, entities: Sequence[str] | None = None, limit: int = 100
) -> list[PlanFile]:
    """Plans without their journals, the last proposed first."""
    about = {"engagement": engagement, "entities": None if entities is None else list(entities), "limit": limit}
    return [_file(row) for row in await (await db.execute(LIST, about)).fetchall()]


def plain_impact(looked: Looked) -> Plain:
    """An impact as it is kept and shown: effects and problems, and how revenue follows."""
    impact = looked.impact
    return {
        "currency": impact.currency,
        "applicable": impact.applicable,
        "effects": [{**to_plain(each), "by": to_plain(each.by)} for each in impact.effects],
        "problems": [to_plain(each) for each in impact.problems],
        "treatment": None if impact.revenue is None else impact.revenue.treatment.value,
    }


async def _do(db: Connection, looked: Looked, *, by: str, now: datetime) -> dict[Verb, str]:
    """Bring the change about; what came of each kind of step."""
    order, impact = looked.order, looked.impact
    key = (order.engagement_id, order.legal_entity)
    outcomes: dict[Verb, str] = {}
    if order.terms is not None:
        touched = any(impact.of(area) for area in (Area.WIP, Area.DRAFTS, Area.ISSUED_INVOICES))
        after = looked.change.after
        if not touched:
            after = replace(after, retroactive=RetroactivePolicy.PROSPECTIVE)
        version = (await declared.declare(db, [after], by=by)).get(key)
        outcomes[Verb.USE_TERMS] = "says the same as before" if version is None else f"version {version}"
        outcomes[Verb.SET_RETAINER] = "as the terms say"
        outcomes[Verb.SET_OVER_CAP] = await _fit(db, key, after, by=by, now=now)
        if touched:
            await _rate_again(db, key, now)
            outcomes[Verb.REPRICE_WIP] = "priced again by the new terms"
            outcomes[Verb.REPLACE_DRAFT] = await _replace_drafts(db, looked, by=by, now=now)
            reason = f"version {version} of the terms holds from {after.valid_from}"
            rows = await (await db.execute(CREDITS, {"engagement": key[0], "reason": reason})).fetchall()
            asked = ", ".join(row[0] for row in rows)
            outcomes[Verb.CREDIT_AND_REBILL] = f"asked for, to be approved: {asked}" if asked else "nothing to credit"
    if order.milestones:
        outcomes[Verb.SET_MILESTONE] = await _tell_of_milestones(db, order, by=by, now=now)
    if impact.revenue is not None:
        outcomes[Verb.BOOK_REVENUE] = await _amend_revenue(db, looked, by=by)
    if order.remaining:
        outcomes[Verb.SET_PROVISION] = await _estimate(db, looked, by=by)
    return outcomes


async def _fit(db: Connection, key: declared.Key, after: BillingTerms, *, by: str, now: datetime) -> str:
    pushed = await fitting.push(db, key, by=by, now=now)
    released = fitting.Fitted()
    if after.released_in != "chosen":
        released = await fitting.release(db, key, by=by, now=now)
    free, above = (Money(each, after.currency).rounded() for each in (released.released, pushed.pushed))
    return f"{free} set free, {above} taken above"


async def _rate_again(db: Connection, key: declared.Key, now: datetime) -> None:
    """Price what the terms reach back to in this same transaction, which has the customer's counters already.

    Raises Conflict when somebody else holds some of it.
    """
    while (await rate_some(db, [key], now)).entries >= BATCH:
        pass
    row = await (await db.execute(LEFT, {"engagement": key[0], "entity": key[1]})).fetchone()
    if row is None or row[0]:
        raise Conflict("some of the work is being rated just now; apply the change again")


async def _replace_drafts(db: Connection, looked: Looked, *, by: str, now: datetime) -> str:
    order = looked.order
    ids = [each.subject for each in looked.impact.of(Area.DRAFTS)]
    about = {"engagement": order.engagement_id, "entity": order.legal_entity, "ids": ids}
    made = 0
    for (period_to,) in await (await db.execute(DRAFTS, about)).fetchall():
        made += (await propose_invoices(db, period_to, at=now, by=by, engagement=order.engagement_id)).proposals
    return f"{made} proposed again"


async def _tell_of_milestones(db: Connection, order: ChangeOrder, *, by: str, now: datetime) -> str:
    """Start the story that changes schedules in billing and tasks in the ERP."""
    payload = {"milestones": [to_plain(each) for each in order.milestones], "why": order.why}
    fact = Fact(CONTRACT_PLAN_APPLIED, order.engagement_id, now.isoformat(), by, {**payload, "plan": order.id})
    await eventlog.append(db, [fact_row(fact, order.engagement_id, None)])
    await db.execute("SELECT pg_notify('accord_facts', '')")
    return f"{len(order.milestones)} on their way to billing and ERP"


async def _amend_revenue(db: Connection, looked: Looked, *, by: str) -> str:
    assert looked.revenue is not None
    assert looked.impact.revenue is not None
    contract = amended(
        looked.revenue.measured.contract,
        looked.impact.revenue,
        looked.standing.obligations,
        looked.order.obligations,
        change_id=looked.order.id,
        on=looked.order.effective_on,
        why=looked.order.why,
    )
    version = await contracts.declare_contract(db, contract, by=by)
    treatment = looked.impact.revenue.treatment.value.replace("_", " ")
    return f"version {version} of the revenue contract, {treatment}"


async def _restore_revenue(db: Connection, found: PlanFile, *, by: str) -> str:
    assert found.before is not None
    key = (found.engagement, found.legal_entity)
    now = await contracts.current(db, key)
    before = from_plain(RevenueContract, found.before["revenue"])
    prices = {id: Money(Decimal(each["amount"]), each["currency"]) for id, each in found.before["prices"].items()}
    on = max(now.valid_from, found.order.effective_on)
    version = await contracts.declare_contract(db, restored(now, before, prices, on=on), by=by)
    return f"version {version} of the revenue contract; what was caught up is reversed"


async def _estimate(db: Connection, looked: Looked, *, by: str) -> str:
    """What is still to come after the change, told for the first open period."""
    order = looked.order
    key = (order.engagement_id, order.legal_entity)
    row = await (await db.execute(OPEN_PERIOD, {"entity": key[1], "on": order.effective_on})).fetchone()
    if row is None:
        return "no open period to estimate in: declare the calendar further"
    contract = await contracts.current(db, key)
    methods = {each.id: each.method for each in contract.obligations}
    renamed = {}
    if looked.impact.revenue is not None:
        renamed = {
            each.obligation_id: rest_id(each, order.id)
            for each in looked.impact.revenue.consequences
            if each.followed is Followed.PROSPECTIVE
        }
    for each in order.remaining:
        id = renamed.get(each.obligation_id, each.obligation_id)
        told: Money | Decimal = each.to_complete
        if methods.get(id) is Method.COST_TO_COST:
            told = Money(each.to_complete, contract.currency)
        await contracts.estimate(db, key, id, row[0], told, by=by)
    return f"estimated in {row[0]}"


def _prices(looked: Looked) -> dict[str, Any]:
    if looked.revenue is None:
        return {}
    return {id: to_plain(each[-1].price) for id, each in looked.revenue.measured.prices.items() if each}


async def _journal(
    db: Connection, id: str, plan: Plan, outcomes: Mapping[Verb, str], *, undoes: bool, now: datetime
) -> None:
    rows = [
        {
            "nth": nth,
            "verb": each.verb.value,
            "subject": each.subject,
            "before": str(each.before),
            "after": str(each.after),
            "outcome": outcomes.get(each.verb, "nothing to do"),
        }
        for nth, each in enumerate(plan.steps, 1)
    ]
    await db.execute(JOURNAL, {"id": id, "rows": as_json(rows), "undoes": undoes, "now": now})


def _step(each: Journalled) -> Step:
    return Step(Verb(each.verb), each.subject, _amount(each.before), _amount(each.after))


def _amount(text: str) -> Money | int:
    amount, _, currency = text.partition(" ")
    return Money(Decimal(amount), currency) if currency else int(amount)


def _file(row: Sequence[Any]) -> PlanFile:
    return PlanFile(
        row[0], row[1], row[2], row[3], from_plain(ChangeOrder, row[4]), row[5], row[6], row[7], row[8], row[9],
        row[10], row[11], row[12],
    )  # fmt: skip


async def _locked(db: Connection, id: str, state: str, entities: Sequence[str] | None) -> PlanFile:
    await db.execute("SELECT FROM contract_plan WHERE id = %(id)s FOR UPDATE", {"id": id})
    found = await one_plan(db, id, entities)
    if found.state != state:
        raise Conflict(f"the change {id} is {found.state.replace('_', ' ')}; this can be done while it is {state}")
    return found
