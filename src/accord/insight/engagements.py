"""The list of engagements, and all that belongs to one: value, invoices, payments, ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from accord.db import keyset
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.insight.finding import NoSuchEngagement, words
from accord.ledger.postings import Standing, standing
from accord.model.money import Money

STATUSES = ("in gate", "activating", "active", "reopened", "cancelled")

# Each filter is a condition of its own, added when it is asked for: the plan of a statement that holds them all would
# have to fit every combination, and could then use no index.
FILTERS = {
    "entities": "of_entities(d.body, %(entities)s)",
    "customer": "d.body ->> 'customer_id' = %(customer)s",
    "status": """%(status)s = coalesce(e.body ->> 'status', CASE WHEN EXISTS (
          SELECT FROM business_case c WHERE c.correlation = d.id AND c.state = 'open')
          THEN 'in gate' ELSE 'activating' END)""",
    "stuck": "EXISTS (SELECT FROM business_case c WHERE c.correlation = d.id AND c.state = 'open')",
    "text": """d.id IN (
        SELECT r.correlation AS id FROM record r
        WHERE r.kind IN ('deal', 'project', 'invoice') AND r.body ->> 'number' = %(text)s
        UNION SELECT %(text)s
        UNION SELECT r.id FROM record r WHERE r.kind = 'deal'
            AND to_tsvector('simple', coalesce(r.body ->> 'name', r.body ->> 'legal_name'))
                @@ to_tsquery('simple', %(words)s)
        UNION SELECT r.id FROM record k JOIN record r ON r.kind = 'deal' AND r.body ->> 'customer_id' = k.id
            WHERE k.kind = 'customer'
            AND to_tsvector('simple', coalesce(k.body ->> 'name', k.body ->> 'legal_name'))
                @@ to_tsquery('simple', %(words)s))""",
    "after_at": "(d.changed_at <= %(after_at)s AND (d.changed_at < %(after_at)s OR d.id > %(after_id)s))",
}
# Won deals and whatever was activated, the last changed first. Each line's sums are looked up for the page alone.
LIST = """
WITH page AS (
    SELECT d.id, d.body, d.changed_at, e.body AS engagement FROM record d
    LEFT JOIN record e ON e.kind = 'engagement' AND e.id = d.id
    WHERE d.kind = 'deal' AND NOT d.deleted AND (d.body -> 'is_won' = 'true' OR e.id IS NOT NULL)
      AND {filters}
    ORDER BY d.changed_at DESC, d.id LIMIT %(limit)s
)
SELECT p.id, p.body, p.engagement, k.body ->> 'legal_name', money.billed, money.disputed, cases.open, last.type,
       last.recorded_at, p.changed_at
FROM page p
LEFT JOIN record k ON k.kind = 'customer' AND k.id = p.body ->> 'customer_id'
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(currency, jsonb_build_array(gross::text, paid::text)) AS billed,
           bool_or(disputed) AS disputed
    FROM (
        SELECT i.body ->> 'currency' AS currency, sum((i.body -> 'gross' ->> 'amount')::numeric) AS gross,
               sum(coalesce((i.body -> 'paid' ->> 'amount')::numeric, 0)) AS paid,
               bool_or(coalesce((i.body ->> 'disputed')::boolean, false)) AS disputed
        FROM record i WHERE i.correlation = p.id AND i.kind = 'invoice' AND i.body ->> 'status' NOT IN ('draft', 'void')
        GROUP BY 1) by_currency) money ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS open FROM business_case c WHERE c.correlation = p.id AND c.state = 'open') cases ON true
LEFT JOIN LATERAL (
    SELECT e.type, e.recorded_at FROM event e WHERE e.correlation = p.id ORDER BY e.seq DESC LIMIT 1) last ON true
ORDER BY p.changed_at DESC, p.id
"""
ONE = """
SELECT d.body, d.version, k.body FROM record d
LEFT JOIN record k ON k.kind = 'customer' AND k.id = d.body ->> 'customer_id'
WHERE d.kind = 'deal' AND d.id = %(id)s AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
"""
PARTS = """
SELECT kind, id, body, version FROM record WHERE correlation = %(id)s AND NOT deleted AND kind = ANY(%(kinds)s)
ORDER BY kind, body ->> 'number', body ->> 'planned_on', id
"""
LINKS = "SELECT kind, canonical_id, connection, vendor_id FROM crosswalk WHERE canonical_id = ANY(%(ids)s)"
OPEN_CASES = "SELECT count(*) FROM business_case WHERE correlation = %(id)s AND state = 'open'"
KINDS = (
    "engagement",
    "invoice",
    "invoice_posting",
    "payment_application",
    "scheduled_milestone",
    "recurring_schedule",
    "dispute",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One engagement in the list. Amounts are by currency; `last_at` is its newest fact."""

    id: str
    number: str | None
    name: str
    customer: str | None
    status: str
    value: tuple[Money, ...]
    billed: tuple[Money, ...]
    paid: tuple[Money, ...]
    disputed: bool
    stuck: int
    last_type: str | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of engagements and the cursor of the next one."""

    engagements: tuple[Line, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceLineUp:
    """An invoice with what came of it: the ids each system has for it, and its payments."""

    id: str
    number: str | None
    legal_entity: str
    origin: str
    status: str
    issued_on: str | None
    due_on: str | None
    net: Money
    tax: Money
    gross: Money
    paid: Money
    posted: bool
    disputed: bool
    refs: Mapping[str, str]
    payments: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All that belongs to one engagement but its timeline. `tag` changes whenever any of it does."""

    id: str
    number: str | None
    name: str
    status: str
    stage: str | None
    customer_id: str | None
    customer: str | None
    region: str | None
    contract_type: str | None
    activated_on: str | None
    projects: tuple[Mapping[str, Any], ...]
    value: tuple[Money, ...]
    billed: tuple[Money, ...]
    paid: tuple[Money, ...]
    milestones: tuple[Mapping[str, Any], ...]
    services: tuple[Mapping[str, Any], ...]
    invoices: tuple[InvoiceLineUp, ...]
    ledger: tuple[Standing, ...]
    stuck: int
    tag: str


async def list_engagements(
    db: Connection,
    *,
    text: str | None = None,
    status: str | None = None,
    customer: str | None = None,
    stuck: bool = False,
    entities: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of engagements. Raises CursorNotUnderstood, UsageError."""
    if status is not None and status not in STATUSES:
        raise UsageError(f"the status is one of {', '.join(STATUSES)}; {status!r} was asked for")
    limit = max(1, min(limit, 200))
    after_at, after_id = (None, None) if cursor is None else keyset.decode(cursor, str, str)
    text = (text or "").strip() or None
    about = {
        "text": text,
        "words": words(text or "") or None,
        "status": status,
        "customer": customer,
        "stuck": stuck or None,
        "entities": None if entities is None else list(entities),
        "after_at": None if after_at is None else keyset.moment(after_at),
        "after_id": after_id,
        "limit": limit + 1,
    }
    asked = [condition for name, condition in FILTERS.items() if about[name] is not None]
    query = LIST.replace("{filters}", " AND ".join(asked or ["true"]))
    rows = await (await db.execute(query.encode(), about)).fetchall()
    following = None
    if len(rows) > limit:
        following = keyset.encode(rows[limit - 1][9].isoformat(), rows[limit - 1][0])
    return Page(tuple(_line(row) for row in rows[:limit]), following)


async def overview(db: Connection, id: str, entities: Sequence[str] | None = None) -> Overview:
    """All that belongs to one engagement. Raises NoSuchEngagement."""
    about = {"id": id, "entities": None if entities is None else list(entities), "kinds": list(KINDS)}
    row = await (await db.execute(ONE, about)).fetchone()
    if row is None:
        raise NoSuchEngagement(f"no engagement has the id {id!r}; the list of engagements shows what there is")
    deal, version, customer = row[0], row[1], row[2] or {}
    parts: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS}
    tag = [version]
    for kind, _, body, part_version in await (await db.execute(PARTS, about)).fetchall():
        parts[kind].append(body)
        tag.append(part_version)
    links = await _links(db, [str(each["id"]) for each in parts["invoice"]])
    stuck = await (await db.execute(OPEN_CASES, about)).fetchone()
    open_cases = stuck[0] if stuck else 0
    engagement = parts["engagement"][0] if parts["engagement"] else None
    ledger = tuple(await standing(db, id))
    moved = sum((sum(map(abs, each.dispositions.values())) for each in ledger), Decimal(0))
    posted = {str(each["id"]) for each in parts["invoice_posting"]}
    invoices = tuple(_invoice(each, links, posted, parts["payment_application"]) for each in parts["invoice"])
    counted = [each for each in invoices if each.status not in ("draft", "void")]
    return Overview(
        id=id,
        number=deal.get("number"),
        name=str(deal.get("name") or id),
        status=_status(engagement, open_cases),
        stage=deal.get("stage"),
        customer_id=deal.get("customer_id"),
        customer=customer.get("legal_name"),
        region=deal.get("delivery_region"),
        contract_type=deal.get("contract_type"),
        activated_on=(engagement or {}).get("activated_on"),
        projects=tuple((engagement or {}).get("projects", ())),
        value=_value(deal, engagement),
        billed=sums([each.gross for each in counted]),
        paid=sums([each.paid for each in counted]),
        milestones=tuple(parts["scheduled_milestone"]),
        services=tuple(parts["recurring_schedule"]),
        invoices=invoices,
        ledger=ledger,
        stuck=open_cases,
        tag=f"{'.'.join(map(str, tag))}-{open_cases}-{moved}",
    )


def sums(amounts: Sequence[Money]) -> tuple[Money, ...]:
    """The amounts added up by currency. Pure."""
    found: dict[str, Money] = {}
    for each in amounts:
        found[each.currency] = found[each.currency] + each if each.currency in found else each
    return tuple(found[currency] for currency in sorted(found))


def money(plain: Mapping[str, Any] | None, currency: str = "") -> Money:
    """Money from its plain form; zero of `currency` for none."""
    return Money.zero(currency) if plain is None else Money(Decimal(str(plain["amount"])), str(plain["currency"]))


def _line(row: Sequence[Any]) -> Line:
    id, deal, engagement, customer, billed, disputed, stuck, last_type, last_at, _ = row
    amounts = {currency: (Decimal(gross), Decimal(paid)) for currency, (gross, paid) in sorted((billed or {}).items())}
    return Line(
        id=id,
        number=deal.get("number"),
        name=str(deal.get("name") or id),
        customer=customer,
        status=_status(engagement, stuck),
        value=_value(deal, engagement),
        billed=tuple(Money(gross, currency) for currency, (gross, _) in amounts.items()),
        paid=tuple(Money(paid, currency) for currency, (_, paid) in amounts.items()),
        disputed=bool(disputed),
        stuck=stuck,
        last_type=last_type,
        last_at=last_at,
    )


def _status(engagement: Mapping[str, Any] | None, open_cases: int) -> str:
    if engagement is not None:
        return str(engagement.get("status", "active"))
    return "in gate" if open_cases else "activating"


def _value(deal: Mapping[str, Any], engagement: Mapping[str, Any] | None) -> tuple[Money, ...]:
    """What the contract is worth once active, by currency; before that what sales entered."""
    if engagement is not None:
        return tuple(money(each) for each in engagement.get("value", ()))
    return () if deal.get("amount") is None else (money(deal["amount"]),)


async def _links(db: Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    if ids:
        for kind, id, connection, vendor_id in await (await db.execute(LINKS, {"ids": list(ids)})).fetchall():
            if kind == "invoice":
                found.setdefault(id, {})[connection] = vendor_id
    return found


def _invoice(
    body: Mapping[str, Any],
    links: Mapping[str, Mapping[str, str]],
    posted: set[str],
    payments: Sequence[Mapping[str, Any]],
) -> InvoiceLineUp:
    id, currency = str(body["id"]), str(body["currency"])
    return InvoiceLineUp(
        id=id,
        number=body.get("number"),
        legal_entity=str(body.get("legal_entity") or ""),
        origin=str(body.get("origin") or "unknown"),
        status=str(body.get("status", "draft")),
        issued_on=body.get("issued_on"),
        due_on=body.get("due_on"),
        net=money(body.get("net"), currency),
        tax=money(body.get("tax"), currency),
        gross=money(body.get("gross"), currency),
        paid=money(body.get("paid"), currency),
        posted=id in posted,
        disputed=bool(body.get("disputed")),
        refs=links.get(id, {}),
        payments=tuple(each for each in payments if each.get("invoice_id") == id),
    )
