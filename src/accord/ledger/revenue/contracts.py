"""What is declared: revenue contracts by version, estimates of what is to come, and acceptances. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.ledger.terms import Key
from accord.model.money import Money
from accord.model.plain import from_plain, to_plain
from accord.rules.revenue.contract import RevenueContract, prices_of, problems_of_contract

WRITE = """
INSERT INTO revenue_contract (engagement, legal_entity, version, body, declared_by)
VALUES (%(engagement)s, %(entity)s, %(version)s, %(body)s::jsonb, %(by)s)
"""
VERSIONS = """
SELECT r.engagement, r.legal_entity, r.body FROM revenue_contract r
JOIN unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
    ON r.engagement = x.engagement AND r.legal_entity = x.entity
ORDER BY r.engagement, r.legal_entity, r.version
"""
ESTIMATE = """
INSERT INTO revenue_estimate (engagement, legal_entity, obligation_id, period, unit, to_complete, told_by)
VALUES (%(engagement)s, %(entity)s, %(obligation)s, %(period)s, %(unit)s, %(to_complete)s, %(by)s)
"""
ACCEPT = """
INSERT INTO revenue_acceptance (engagement, legal_entity, about, accepted_on, evidence, told_by)
VALUES (%(engagement)s, %(entity)s, %(about)s, %(on)s, %(evidence)s, %(by)s) ON CONFLICT DO NOTHING
"""
KNOWN_PERIOD = "SELECT state FROM accounting_period WHERE legal_entity = %(entity)s AND period = %(period)s"


async def declare_contract(db: Connection, contract: RevenueContract, *, by: str) -> int | None:
    """Declare the next version, inside the caller's transaction; its number, None when it says nothing new.

    Raises UsageError with all that is wrong.
    """
    key = (contract.engagement_id, contract.legal_entity)
    earlier = (await versions_of(db, [key])).get(key, [])
    if earlier and replace(earlier[-1], version=0) == replace(contract, version=0):
        return None
    if earlier and contract.valid_from < earlier[-1].valid_from:
        raise UsageError(f"version {len(earlier)} is in force from {earlier[-1].valid_from}; a later one begins later")
    problems = problems_of_contract(contract, earlier[-1] if earlier else None)
    if problems:
        raise UsageError("; ".join(f"{each.message} {each.cure}" for each in problems))
    numbered = replace(contract, version=len(earlier) + 1)
    try:
        prices_of([*earlier, numbered])
    except ValueError as error:
        raise UsageError(f"the price cannot be shared out: {error}") from error
    about = {"engagement": key[0], "entity": key[1], "version": numbered.version, "by": by}
    await db.execute(WRITE, {**about, "body": as_json(to_plain(numbered))})
    detail = {"legal_entity": key[1], "version": numbered.version, "why": numbered.why, "price": str(numbered.fixed)}
    await audit.write(db, by, "revenue contract declared", key[0], detail)
    return numbered.version


async def versions_of(db: Connection, keys: Iterable[Key]) -> Mapping[Key, list[RevenueContract]]:
    """All versions of these engagements' revenue contracts, in their order."""
    wanted = list(keys)
    about = {"engagements": [key[0] for key in wanted], "entities": [key[1] for key in wanted]}
    found: dict[Key, list[RevenueContract]] = {}
    for engagement, entity, body in await (await db.execute(VERSIONS, about)).fetchall():
        found.setdefault((engagement, entity), []).append(from_plain(RevenueContract, body))
    return found


async def current(db: Connection, key: Key) -> RevenueContract:
    """The newest version. Raises NotFound."""
    found = (await versions_of(db, [key])).get(key)
    if not found:
        raise NotFound(f"{key[0]} has no revenue contract in {key[1]}; `accord revenue declare` declares one")
    return found[-1]


async def estimate(
    db: Connection, key: Key, obligation: str, period: str, to_complete: Money | Decimal, *, by: str
) -> None:
    """Say what is to come, at the end of a period: money for cost, a number for hours. The last word counts.

    Raises NotFound, UsageError, Conflict for a closed period: what was measured there stays.
    """
    contract = await current(db, key)
    if obligation not in [each.id for each in contract.obligations]:
        raise NotFound(f"{key[0]} has no obligation {obligation!r}")
    if isinstance(to_complete, Decimal):
        unit, amount = "h", to_complete
    else:
        unit, amount = to_complete.currency, to_complete.amount
    if amount < 0 or unit not in ("h", contract.currency):
        raise UsageError(f"what is to come is told in {contract.currency} or hours, and is not negative")
    await _open_period(db, key[1], period)
    about = {"engagement": key[0], "entity": key[1], "obligation": obligation, "period": period, "by": by}
    await db.execute(ESTIMATE, {**about, "unit": unit, "to_complete": amount})
    detail = {"obligation": obligation, "period": period, "to_complete": f"{amount} {unit}", "legal_entity": key[1]}
    await audit.write(db, by, "estimate to complete", key[0], detail)


async def accept(db: Connection, key: Key, about: str, on: date, *, evidence: str, by: str) -> None:
    """Say that a milestone, or an obligation satisfied at a point in time, was accepted.

    Raises NotFound, UsageError.
    """
    contract = await current(db, key)
    milestones = [milestone.id for each in contract.obligations for milestone in each.milestones]
    if about not in [*(each.id for each in contract.obligations), *milestones]:
        raise NotFound(f"{key[0]} has no obligation or milestone {about!r}")
    if not evidence.strip():
        raise UsageError("name the evidence of the acceptance")
    told = {"engagement": key[0], "entity": key[1], "about": about, "on": on, "evidence": evidence, "by": by}
    await db.execute(ACCEPT, told)
    detail = {"about": about, "on": on.isoformat(), "evidence": evidence, "legal_entity": key[1]}
    await audit.write(db, by, "acceptance", key[0], detail)


async def _open_period(db: Connection, entity: str, period: str) -> None:
    row: Sequence[str] | None = await (await db.execute(KNOWN_PERIOD, {"entity": entity, "period": period})).fetchone()
    if row is None:
        raise NotFound(f"{entity} has no period {period!r}; `accord close calendar` declares periods")
    if row[0] == "closed":
        raise Conflict(f"{period} of {entity} is closed; estimate in the first open period, which catches up")
