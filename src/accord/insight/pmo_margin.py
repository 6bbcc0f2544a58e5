"""What engagements cost and what margin is left; only for those who may see costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accord.engine.shell import Connection
from accord.insight.pmo_money import Stand
from accord.model.money import Money
from accord.rules.measures.definition import Definition, Reading
from accord.rules.measures.sales import margin_of_earned

# Each approved hour at what an hour of its person cost on that day; expenses without recoverable tax.
COSTS = """
WITH cost AS (
    SELECT w.engagement, w.legal_entity, w.kind, w.quantity,
        CASE w.kind WHEN 'time' THEN e.cost_currency ELSE w.cost_currency END AS currency,
        CASE w.kind WHEN 'time' THEN w.quantity * e.cost_per_hour
            ELSE w.cost - coalesce(w.tax_included, 0) END AS amount
    FROM work_entry w
    LEFT JOIN employment e ON w.kind = 'time' AND e.worker = w.worker AND w.worked_on >= e.valid_from
        AND (e.ends_on IS NULL OR w.worked_on <= e.ends_on)
    WHERE w.current AND w.status = 'approved' AND w.kind IN ('time', 'expense') AND w.engagement = ANY(%(ids)s)
        AND (%(entities)s::text[] IS NULL OR w.legal_entity = ANY(%(entities)s))
)
SELECT engagement, legal_entity, currency, sum(amount), coalesce(sum(quantity) FILTER (WHERE kind = 'time'), 0)
FROM cost GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """The direct cost of one engagement in one legal entity; `without` are hours of people without a declared cost."""

    amounts: tuple[Money, ...]
    without: Decimal


async def costs(
    db: Connection, ids: Sequence[str], entities: Sequence[str] | None = None
) -> dict[tuple[str, str], Cost]:
    """Costs by engagement and legal entity of the project. Ask only for a reader who may see costs."""
    about = {"ids": list(ids), "entities": None if entities is None else list(entities)}
    found: dict[tuple[str, str], Cost] = {}
    for engagement, entity, currency, amount, hours in await (await db.execute(COSTS, about)).fetchall():
        known = found.get((engagement, entity), Cost((), Decimal(0)))
        if currency is None:
            found[engagement, entity] = Cost(known.amounts, known.without + hours)
        else:
            found[engagement, entity] = Cost((*known.amounts, Money(amount, currency).rounded()), known.without)
    return found


def margin(stand: Stand, cost: Cost | None) -> Reading:
    """The margin of what is earned so far. Not defined where a part of the cost is not known or in another currency.
    Pure."""
    definition = margin_of_earned.definition
    if cost is not None and cost.without:
        return _undefined(definition, f"{cost.without.normalize():f} hours are by people whose cost is not declared")
    amounts = () if cost is None else cost.amounts
    if any(each.currency != stand.currency for each in amounts):
        return _undefined(definition, f"costs are not all in {stand.currency}, and no rate is agreed to convert them")
    return margin_of_earned(stand.earned, sum(amounts, start=Money.zero(stand.currency)))


def _undefined(definition: Definition, why: str) -> Reading:
    inputs: Mapping[str, str] = {}
    return Reading(definition, None, inputs, why)
