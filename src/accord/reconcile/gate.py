"""The gate of a period: what is not in order yet, line by line, with count, money and the rows behind.

A new line is a new row of `LINES`. Every query yields `subject, what, amount, currency, link` for a legal entity and
the last day of its period; two lines that need the rules are reckoned in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.engine.states import EffectState
from accord.model.money import Money
from accord.reconcile.calendar import Standing
from accord.reconcile.matches import MATCHES
from accord.reconcile.unexplained import unexplained
from accord.reconcile.waiting import Waiting, value_waiting

MOST = 200
# Writes that the books of a period are made of.
POSTED = ("invoice", "payment", "credit_note", "refund", "write_off", "intercompany_invoice")

# A story ends when all its writes have, so what is not done belongs to an open one.
INTENTS = """
SELECT e.canonical_id AS subject, e.label AS what, e.amount, e.currency, '/processes/' || e.process_id AS link
FROM open_process o JOIN effect e ON e.process_id = o.process_id
LEFT JOIN record i ON i.kind = 'invoice' AND i.id = e.body ->> 'invoice_id'
WHERE e.state = ANY(%(states)s) AND e.kind = ANY(%(kinds)s)
    AND e.connection NOT IN (SELECT connection FROM binding WHERE role = 'crm')
    AND coalesce(e.body ->> 'legal_entity', i.body ->> 'legal_entity') = %(entity)s
    AND coalesce((e.body ->> 'issued_on')::date, (e.body ->> 'received_on')::date,
        (e.intended_at AT TIME ZONE 'UTC')::date) <= %(to)s
"""
UNPOSTED = f"""{INTENTS}
UNION ALL
SELECT p.id, 'approved by ' || p.approved_by || ', not issued yet', p.net, p.currency, '/engagements/' || p.engagement
FROM proposal p WHERE p.status = 'approved' AND p.legal_entity = %(entity)s AND p.period_from <= %(to)s
"""
BREAKS = """
SELECT b.key AS subject, b.match || ': ours ' || coalesce(b.ours::text, 'nothing') || ', theirs '
    || coalesce(b.theirs::text, 'nothing') AS what, abs(b.difference) AS amount,
    CASE WHEN b.currency ~ '^[A-Z]{3}$' THEN b.currency END AS currency, '/engagements/' || b.engagement AS link
FROM reconciliation_break b
WHERE b.attested_by IS NULL AND (b.legal_entity = %(entity)s OR b.legal_entity IS NULL)
"""
# Silence of a reconciliation counts only when it was run after the period's end and saw its canary.
NOT_RECONCILED = """
SELECT m.name AS subject, CASE WHEN r.id IS NULL THEN 'was never run'
    WHEN NOT r.sees THEN 'does not see its canary' ELSE 'was last run before the period ended' END AS what,
    NULL::numeric AS amount, NULL::text AS currency, NULL::text AS link
FROM unnest(%(matches)s::text[]) AS m (name)
LEFT JOIN LATERAL (SELECT id, sees, ended_at FROM reconciliation_run WHERE match = m.name ORDER BY id DESC LIMIT 1) r
    ON true
WHERE r.id IS NULL OR NOT r.sees OR r.ended_at < %(to)s::date + 1
"""
DRAFTS = """
SELECT p.id AS subject, p.status || ' since ' || p.proposed_at::date || ', ' || p.lines || ' lines' AS what,
    p.net AS amount, p.currency, '/engagements/' || p.engagement AS link
FROM proposal p
WHERE p.status IN ('draft', 'held') AND p.legal_entity = %(entity)s AND p.period_from <= %(to)s
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of the gate looks for. `blocks`: the period stays open while there is any, unless two people
    agree to close over it."""

    name: str
    says: str
    owner: str
    blocks: bool
    query: str | None = None
    states: tuple[EffectState, ...] = ()


UNPOSTED_STATES = (
    EffectState.SENDING, EffectState.WAITING, EffectState.REJECTED, EffectState.DEAD, EffectState.ASKED_AGAIN,
)  # fmt: skip
LINES = (
    Line("unexplained", "Approved work that the ledger does not explain.", "finance", True),
    Line("unknowns", "Writes of which nobody knows yet whether they happened.", "finance", True, INTENTS,
         (EffectState.UNKNOWN,)),
    Line("unposted", "Invoices, payments and credits that are meant and not posted, and approved proposals without "
         "their invoice.", "finance", True, UNPOSTED, UNPOSTED_STATES),
    Line("breaks", "Differences between two systems that nobody has attested.", "finance", True, BREAKS),
    Line("not_reconciled", "Reconciliations that have not looked since the period ended.", "finance", True,
         NOT_RECONCILED),
    Line("unpriced", "Approved work that has no price yet.", "PMO", True),
    Line("drafts", "Invoice proposals that are still drafts or held.", "finance", False, DRAFTS),
    Line("late_time", "Work that was not approved in time, at the price it would have.", "PMO", False),
)  # fmt: skip
BY_NAME: Mapping[str, Line] = {each.name: each for each in LINES}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing behind a line; `amount` is None where it has none or cannot be told, `link` leads to its page."""

    subject: str
    what: str
    amount: Decimal | None
    currency: str | None
    link: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a line found. `money` is in each currency; `rows` the greatest, at most MOST. `overridden` says who asked
    and who agreed to close over it, and why."""

    name: str
    says: str
    owner: str
    blocks: bool
    count: int
    money: tuple[Money, ...]
    rows: tuple[Row, ...]
    overridden: str | None = None

    @property
    def stops(self) -> bool:
        return self.blocks and self.count > 0 and self.overridden is None


KEEP = """
INSERT INTO close_look (legal_entity, period, looked_at, lines)
VALUES (%(entity)s, %(period)s, %(now)s, %(lines)s::jsonb)
ON CONFLICT (legal_entity, period) DO UPDATE SET looked_at = excluded.looked_at, lines = excluded.lines
"""
KEPT = "SELECT looked_at, lines FROM close_look WHERE legal_entity = %(entity)s AND period = %(period)s"
OVERRIDES = """
SELECT what, asked_by, agreed_by, reason FROM close_consent
WHERE legal_entity = %(entity)s AND period = %(period)s AND used_at IS NULL AND agreed_by IS NOT NULL
"""


async def look(db: Connection, of: Standing, now: datetime) -> tuple[Finding, ...]:
    """Look at everything now, inside the caller's transaction, and keep what was found."""
    waiting = await value_waiting(db, of.legal_entity, of.ends_on)
    found = []
    for line in LINES:
        if line.query is not None:
            found.append(await _asked(db, line, of.legal_entity, of.ends_on))
        elif line.name == "unexplained":
            found.append(await _unexplained(db, line, of.legal_entity))
        else:
            approved = line.name == "unpriced"
            found.append(_waiting(line, [each for each in waiting if each.approved is approved]))
    kept = as_json([_plain(each) for each in found])
    await db.execute(KEEP, {"entity": of.legal_entity, "period": of.period, "now": now, "lines": kept})
    return await _with_overrides(db, of, found)


async def last_look(db: Connection, of: Standing) -> tuple[datetime | None, tuple[Finding, ...]]:
    """What the last look found, and when; nothing when nobody has looked yet."""
    row = await (await db.execute(KEPT, {"entity": of.legal_entity, "period": of.period})).fetchone()
    if row is None:
        return None, ()
    return row[0], await _with_overrides(db, of, [_read(each) for each in row[1]])


async def _with_overrides(db: Connection, of: Standing, found: Iterable[Finding]) -> tuple[Finding, ...]:
    rows = await (await db.execute(OVERRIDES, {"entity": of.legal_entity, "period": of.period})).fetchall()
    agreed = {what: f"{asked} asked and {by} agreed: {reason}" for what, asked, by, reason in rows}
    return tuple(replace(each, overridden=agreed.get(each.name)) for each in found)


async def _asked(db: Connection, line: Line, entity: str, to: date) -> Finding:
    about = {
        "entity": entity,
        "to": to,
        "states": [int(each) for each in line.states],
        "kinds": list(POSTED),
        "matches": [each.name for each in MATCHES],
        "most": MOST,
    }
    counted = await (
        await db.execute(f"SELECT currency, count(*), sum(amount) FROM ({line.query}) q GROUP BY 1 ORDER BY 1", about)
    ).fetchall()
    money = tuple(Money(amount, currency) for currency, _, amount in counted if currency and amount)
    shown = f"SELECT * FROM ({line.query}) q ORDER BY amount DESC NULLS LAST, subject LIMIT %(most)s"
    rows = await (await db.execute(shown, about)).fetchall() if counted else []
    return _finding(line, sum(count for _, count, _ in counted), money, [Row(*row) for row in rows])


async def _unexplained(db: Connection, line: Line, entity: str) -> Finding:
    """Of any day: what is lost is not known to be of another period."""
    found = [each for each in await unexplained(db) if each.legal_entity == entity]
    rows = [
        Row(each.subject, each.what, each.amount and abs(each.amount), each.currency, f"/engagements/{each.engagement}")
        for each in found
    ]
    return _finding(line, len(rows), _sums(rows), rows)


def _waiting(line: Line, found: list[Waiting]) -> Finding:
    rows = []
    for each in found:
        amount, currency = (None, None) if each.value is None else (each.value.amount, each.value.currency)
        rows.append(Row(each.subject, each.what, amount, currency, f"/engagements/{each.engagement}"))
    return _finding(line, sum(each.entries for each in found), _sums(rows), rows)


def _sums(rows: Iterable[Row]) -> tuple[Money, ...]:
    sums: dict[str, Decimal] = {}
    for each in rows:
        if each.amount and each.currency:
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.amount
    return tuple(Money(amount, currency) for currency, amount in sorted(sums.items()))


def _finding(line: Line, count: int, money: tuple[Money, ...], rows: list[Row]) -> Finding:
    greatest = sorted(rows, key=lambda each: -(each.amount or Decimal(0)))[:MOST]
    return Finding(line.name, line.says, line.owner, line.blocks, count, money, tuple(greatest))


def _plain(found: Finding) -> dict[str, object]:
    return {
        "name": found.name,
        "count": found.count,
        "money": [{"amount": str(each.amount), "currency": each.currency} for each in found.money],
        "rows": [
            [each.subject, each.what, None if each.amount is None else str(each.amount), each.currency, each.link]
            for each in found.rows
        ],
    }


def _read(kept: Mapping[str, object]) -> Finding:
    line = BY_NAME[str(kept["name"])]
    money, rows = kept["money"], kept["rows"]
    assert isinstance(money, list)
    assert isinstance(rows, list)
    return Finding(
        line.name, line.says, line.owner, line.blocks, int(str(kept["count"])),
        tuple(Money(Decimal(each["amount"]), each["currency"]) for each in money),
        tuple(Row(row[0], row[1], None if row[2] is None else Decimal(row[2]), row[3], row[4]) for row in rows),
    )  # fmt: skip
