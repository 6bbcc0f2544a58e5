"""Takes back what a revision has overtaken: an item of the opposite amount, and never a change of the first.

What is not invoiced yet lies in `reversed` afterwards, both sides of it. What is invoiced stays where it is; its
opposite goes to WIP and lessens the next invoice, or becomes a credit note, as the terms say. Metered work is taken
back at what the month's units cost without it now: other records were priced on top of it since, so its opposite may
differ from it, and the difference lies in WIP. So is work on a line that is rounded once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.ledger import terms as declared
from accord.ledger.counting import counted
from accord.ledger.proposing import recount
from accord.ledger.room import Room, fit_again
from accord.model.terms import BillingTerms
from accord.rules.rating import Pricer
from accord.rules.rating.counters import cap_key
from accord.rules.rating.pricer import NEARLY

# Fields that make the price: a revision that changes none of them leaves its item as it is.
PRICED = (
    "status", "worked_on", "quantity", "unit", "engagement", "legal_entity", "worker", "worker_entity", "role", "task",
    "category", "cost", "cost_currency", "tax_included", "receipt", "billable",
)  # fmt: skip

STANDING = f"""
SELECT i.id, i.source_id, i.source_revision, i.amount,
    coalesce(i.counters, '[]') || coalesce((
        SELECT jsonb_agg(jsonb_build_array(m.counter, m.added::text, m.reached::text)) FROM cap_move m
        WHERE m.item_id = i.id), '[]'),
    i.kind, i.rate_id, i.legal_entity, i.terms_version,
    (SELECT ({", ".join(f"o.{name}" for name in PRICED)})
        IS NOT DISTINCT FROM ({", ".join(f"n.{name}" for name in PRICED)})
     FROM work_entry o, work_entry n
     WHERE o.id = i.source_id AND o.revision = i.source_revision AND n.id = i.source_id AND n.current),
    EXISTS (SELECT FROM item_part p WHERE p.item_id = i.id AND p.disposition = 'transferred')
FROM billable_item i
WHERE i.source_id = ANY(%(entries)s) AND i.engagement = %(engagement)s AND i.kind IN ('time', 'expense', 'usage',
    'intercompany') AND i.reverses IS NULL AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
ORDER BY i.id
"""
# A draft that is approved is locked: the customer's invoice is being made of it.
TAKE_BACK = """
WITH old AS (
    SELECT p.*, p.disposition IN ('wip', 'held', 'over_cap', 'non_billable', 'intercompany', 'drawn')
        OR (p.disposition = 'draft' AND d.status IN ('draft', 'held')) AS open
    FROM item_part p LEFT JOIN proposal d ON d.id = p.document WHERE p.item_id = ANY(%(ids)s)
), item AS (
    INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at,
        reverses, worked_on, quantity, unit, rate, rate_id, terms_version, source_revision, worker, role, task,
        counters, cause)
    SELECT i.id || '-R', i.kind, i.engagement, i.legal_entity, i.currency, x.amount, i.source, i.source_id, %(now)s,
        i.id, i.worked_on, -i.quantity, i.unit, i.rate, i.rate_id, i.terms_version, i.source_revision, i.worker, i.role,
        i.task, x.counters, 'overtaken by a revision'
    FROM json_to_recordset(%(items)s::json) AS x (id text, amount numeric, counters jsonb)
    JOIN billable_item i ON i.id = x.id
)
SELECT item_id, part, open, disposition, document FROM old ORDER BY item_id, part
"""
OPPOSITE = """
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
    entry, cause, posted_at)
SELECT p.item_id || '-R', p.part, p.engagement, p.legal_entity, p.currency,
    CASE WHEN x.open OR p.disposition IN ('credited', 'written_off', 'reversed') THEN 'reversed' ELSE 'wip' END,
    -p.amount, -p.quantity, p.worked_on, 'rated', 'overtaken by a revision', %(now)s
FROM json_to_recordset(%(parts)s::json) AS x (item_id text, part integer, open boolean)
JOIN item_part p ON p.item_id = x.item_id AND p.part = x.part
UNION ALL
SELECT i.id || '-R', 1 + (SELECT max(p.part) FROM item_part p WHERE p.item_id = i.id), i.engagement, i.legal_entity,
    i.currency, 'wip', y.amount + i.amount, 0, i.worked_on, 'rated', 'other records were priced on top of it', %(now)s
FROM json_to_recordset(%(items)s::json) AS y (id text, amount numeric)
JOIN billable_item i ON i.id = y.id WHERE y.amount + i.amount <> 0
"""
CLOSE = """
UPDATE item_part p SET disposition = 'reversed', document = NULL, line = NULL, entry = 'overtaken ' || p.part,
    cause = 'overtaken by a revision', posted_at = %(now)s
FROM json_to_recordset(%(parts)s::json) AS x (item_id text, part integer, open boolean)
WHERE p.item_id = x.item_id AND p.part = x.part AND x.open
"""


# Counters on which a price stands: a meter, the progress of a fixed fee, a line that is rounded once.
METERS = ("usage ", "progress ", "line ")


@dataclass(slots=True)
class Reversal:
    """What was taken back: how many `items`; `used`, what the counters they had met stand at without them; `rooms`,
    what that leaves to others; entries whose price does not change (`unchanged`) and those that only a person can take
    back (`stuck`)."""

    items: int = 0
    used: dict[str, Decimal] = field(default_factory=dict)
    rooms: set[Room] = field(default_factory=set)
    unchanged: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Overtaken:
    """An item to take back; `met` is [counter, what it added, what it came to] each, `terms` the key and version of
    those that priced it."""

    id: str
    kind: str
    amount: Decimal
    met: Sequence[tuple[str, str, str]]
    rate_id: str | None
    terms: tuple[str, str, int]


async def reverse(
    db: Connection,
    key: tuple[str, str],
    entries: Sequence[str],
    now: datetime,
    *,
    again: Collection[str] = (),
    used: Mapping[str, Decimal] = MappingProxyType({}),
) -> Reversal:
    """Take back the items of these entries' earlier revisions in one engagement, inside the caller's transaction.

    Those in `again` are taken back although their source says the same: their terms, or their invoice, say otherwise.
    `used` are counters as this run has carried them on; the others are read.
    """
    result = Reversal()
    rows = await (await db.execute(STANDING, {"entries": list(entries), "engagement": key[0]})).fetchall()
    # With what was transferred stays what belongs to it: the charge between legal entities.
    result.stuck.update(row[1] for row in rows if row[-1] and (not row[-2] or row[1] in again))
    overtaken: list[_Overtaken] = []
    for id, entry, _, amount, met, kind, rate_id, entity, version, same, _ in rows:
        if entry in result.stuck:
            continue
        if same and entry not in again:
            result.unchanged.add(entry)
        else:
            overtaken.append(_Overtaken(id, kind, amount, met, rate_id, (key[0], entity, version)))
    if not overtaken:
        return result
    result.items = len(overtaken)
    about = {
        "items": as_json(await _opposites(db, overtaken, used, result)),
        "ids": [each.id for each in overtaken],
        "now": now,
    }
    parts = await (await db.execute(TAKE_BACK, about)).fetchall()
    told = [{"item_id": item, "part": part, "open": opened} for item, part, opened, _, _ in parts]
    await db.execute(OPPOSITE, {**about, "parts": as_json(told)})
    await db.execute(CLOSE, {"parts": as_json(told), "now": now})
    await fit_again(db, result.rooms)
    await recount(db, sorted({document for *_, opened, place, document in parts if opened and place == "draft"}))
    return result


async def _opposites(
    db: Connection, overtaken: Sequence[_Overtaken], used: Mapping[str, Decimal], result: Reversal
) -> list[dict[str, Any]]:
    """What each is taken back at, and what that does to the counters it had met, one after the other."""
    names = {name for each in overtaken for name, _, _ in each.met}
    result.used = {name: used[name] for name in names & used.keys()}
    result.used.update(await counted(db, names - used.keys()))
    terms: dict[tuple[str, str, int], BillingTerms | None] = {}
    items = []
    for each in overtaken:
        amount = -each.amount
        if any(name.startswith(METERS) for name, _, _ in each.met):
            if each.terms not in terms:
                terms[each.terms] = await declared.of_version(db, each.terms[:2], each.terms[2])
            amount = _metered(each, terms[each.terms], result.used)
        changes: dict[str, Decimal] = {}
        for name, added, _ in each.met:
            changes[name] = changes.get(name, Decimal(0)) - Decimal(added)
        # What others cost more or less without it lies in WIP, where it counts against the caps.
        between = amount + each.amount
        for name, change in changes.items():
            if name.startswith("earned "):
                changes[name] = amount
            elif name.startswith("cap ") and between:
                changes[name] = change + _counted(between, each, name, -change, terms[each.terms])
        for name, change in changes.items():
            result.used[name] = result.used.get(name, Decimal(0)) + change
        counters = [[name, str(change), str(result.used[name])] for name, change in changes.items()]
        items.append({"id": each.id, "amount": str(amount), "counters": counters or None})
        result.rooms |= {Room.left_by(each.terms[:2], gone, changes) for gone in (each.amount, -between) if gone}
    return items


def _counted(between: Decimal, item: _Overtaken, name: str, taken: Decimal, terms: BillingTerms | None) -> Decimal:
    """So much of a difference in a cap's own currency: as the item itself was counted, where that is another one."""
    cap = next((each for each in terms.caps if cap_key(terms, each) == name), None) if terms is not None else None
    if terms is None or cap is None or cap.limit.currency == terms.currency or not item.amount:
        return between
    return (between * taken / item.amount).quantize(NEARLY, rounding=ROUND_HALF_UP)


def _metered(item: _Overtaken, terms: BillingTerms | None, used: Mapping[str, Decimal]) -> Decimal:
    """Units that never moved the meter (not billable) go at what they came for."""
    meter = next((each for each in item.met if each[0].startswith(METERS) and Decimal(each[1])), None)
    if terms is None or meter is None:
        return -item.amount
    stands, units = used.get(meter[0], Decimal(0)), -Decimal(meter[1])
    if meter[0].startswith("line "):
        return Pricer(terms).line_between(stands, units)
    if fee := next((each for each in terms.fixed_fees if each.id == item.rate_id), None):
        earned = next(name for name, _, _ in item.met if name.startswith("earned "))
        return Pricer(terms).fee_at(fee, stands + units) - used.get(earned, Decimal(0))
    rate = next((each for each in terms.usage if each.id == item.rate_id), None)
    return -item.amount if rate is None else Pricer(terms).price_between(rate, stands, units)
