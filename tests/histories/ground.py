"""A database on which a history is played, what must hold after every step, and what two of them must agree on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from accord.db.pool import transaction
from accord.engine.shell import Kept
from accord.invariants.asked import BEGINNING, INVARIANTS
from accord.ledger.explaining import disagreements, explain_items
from accord.ledger.terms import declare
from accord.reconcile.unexplained import unexplained
from tests.histories.firm import POLICY, TERMS, Place, known
from tests.histories.mortal import Life
from tests.histories.playing import RECORDS

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
# What is empty in a new database is emptied before each history.
TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""
# Everything of the money that two databases with the same history must have the same; times of writing aside.
STATE = {
    "items": "SELECT id, kind, engagement, legal_entity, currency, amount, quantity, reverses, counters, source_id,"
    " source_revision, terms_version FROM billable_item",
    "parts": "SELECT item_id, part, disposition, amount, round(quantity, 6), worked_on, document, line, entry,"
    " came_from, cause, reference FROM item_part",
    "journal": "SELECT item_id, entry, part, out_of, placed_in, amount, document, line, reference, cause FROM transfer",
    "totals": "SELECT engagement, legal_entity, currency, disposition, month, amount, parts, round(quantity, 6)"
    " FROM ledger_total WHERE parts <> 0 OR amount <> 0",
    "counters": "SELECT name, used FROM billing_counter WHERE used <> 0",
    "proposals": "SELECT id, status, net, lines, changed_by, approved_by FROM proposal",
    "lines": "SELECT proposal_id, line, text, net, round(quantity, 6) FROM proposal_line",
    "waiting": "SELECT entry_id, revision, engagement, legal_entity FROM work_to_rate",
    "work": "SELECT id, revision, current, status, quantity FROM work_entry",
    "records": "SELECT kind, id, body FROM record",
}
# The journal alone, replayed: where it leaves every part must be where the part lies.
REPLAYED = """
SELECT coalesce(j.item_id, p.item_id), coalesce(j.part, p.part), j.placed_in, p.disposition
FROM (SELECT DISTINCT ON (item_id, part) item_id, part, placed_in FROM transfer ORDER BY item_id, part, id DESC) j
FULL JOIN item_part p ON p.item_id = j.item_id AND p.part = j.part
WHERE j.placed_in IS DISTINCT FROM p.disposition
"""
# Months and quantities too, which pages show.
TOTALS = """
SELECT coalesce(l.engagement, p.engagement), coalesce(l.disposition, p.disposition), l.amount, p.amount, l.quantity,
    p.quantity
FROM (SELECT * FROM ledger_total WHERE parts <> 0 OR amount <> 0 OR quantity <> 0) l
FULL JOIN (
    SELECT engagement, legal_entity, currency, disposition, date_trunc('month', worked_on)::date AS month,
        sum(amount) AS amount, count(*) AS parts, coalesce(sum(quantity), 0) AS quantity
    FROM item_part GROUP BY 1, 2, 3, 4, 5
) p USING (engagement, legal_entity, currency, disposition, month)
WHERE (coalesce(l.amount, 0), coalesce(l.parts, 0)) <> (coalesce(p.amount, 0), coalesce(p.parts, 0))
    OR round(coalesce(l.quantity, 0), 6) <> round(coalesce(p.quantity, 0), 6)
"""
COUNTED = """
SELECT coalesce(c.name, u.name), c.used, u.used FROM (SELECT * FROM billing_counter WHERE used <> 0) c
FULL JOIN (
    SELECT x ->> 0 AS name, sum((x ->> 1)::numeric) AS used
    FROM (SELECT counters FROM billable_item WHERE counters IS NOT NULL
        UNION ALL SELECT jsonb_build_array(jsonb_build_array(counter, added::text)) FROM cap_move) i
    CROSS JOIN LATERAL jsonb_array_elements(i.counters) AS x GROUP BY 1 HAVING sum((x ->> 1)::numeric) <> 0
) u ON u.name = c.name WHERE c.used IS DISTINCT FROM u.used
"""
DRAWN = """
SELECT * FROM (SELECT coalesce(sum(amount), 0) AS drawn FROM item_part WHERE disposition = 'drawn') d,
    (SELECT coalesce(sum(used), 0) AS used FROM billing_counter WHERE starts_with(name, 'retainer ')) c
WHERE d.drawn <> c.used
"""
# What counts against a cap is what lies where it can be billed, or was. What was held before it met its caps never did.
CAPPED = """
SELECT c.name, c.used, p.amount FROM billing_counter c CROSS JOIN (
    SELECT sum(q.amount) AS amount FROM item_part q JOIN billable_item i ON i.id = q.item_id
    WHERE q.engagement = 'DEA-1' AND i.kind IN ('time', 'expense', 'usage')
        AND q.disposition NOT IN ('over_cap', 'non_billable')
        AND (q.disposition <> 'held' OR q.came_from <> 'approved')) p
WHERE c.name = 'cap DEA-1 US PO' AND c.used <> coalesce(p.amount, 0)
"""
# Nothing waits where there is room, once everything has its price: under every cap it meets, by the newest terms.
ROOM = """
SELECT p.item_id, p.amount FROM item_part p JOIN billable_item i ON i.id = p.item_id
CROSS JOIN LATERAL (SELECT t.customer, t.body FROM billing_terms t WHERE t.engagement = p.engagement
    AND t.legal_entity = p.legal_entity ORDER BY t.version DESC LIMIT 1) t
WHERE p.disposition = 'over_cap' AND p.amount > 0 AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(t.body -> 'caps') AS c LEFT JOIN billing_counter b ON b.name = 'cap ' || CASE
        WHEN c ->> 'level' = 'customer' THEN t.customer ELSE p.engagement || ' ' || p.legal_entity END
        || ' ' || (c ->> 'id')
    WHERE (c ->> 'level' <> 'line' OR c ->> 'applies_to' = i.task)
        AND coalesce(b.used, 0) >= (c -> 'limit' ->> 'amount')::numeric)
"""
# No prepaid month is drawn beyond what it has, and nothing is billed of work it has money for (expenses aside).
PREPAID = """
SELECT c.name, c.used FROM billing_counter c WHERE starts_with(c.name, 'retainer ') AND c.used NOT BETWEEN 0 AND 1000
UNION ALL
SELECT p.item_id, p.amount FROM item_part p JOIN billable_item i ON i.id = p.item_id
WHERE p.engagement = 'DEA-2' AND p.disposition = 'wip' AND p.amount > 0 AND i.kind <> 'expense' AND i.reverses IS NULL
    AND (SELECT count(*) FROM generate_series(0, 1) AS back WHERE NOT EXISTS (
        SELECT FROM billing_counter c WHERE c.used >= 1000 AND c.name = 'retainer DEA-2 DE PREPAID '
            || to_char(p.worked_on - make_interval(months => back), 'YYYY-MM'))
        AND p.worked_on - make_interval(months => back) >= '2026-10-01') > 0
"""
# Nothing of an invoice is left in draft, and a draft is what its parts are.
DOCUMENTS = """
SELECT * FROM (
    SELECT p.id, p.status, p.net, coalesce(sum(q.amount), 0) AS placed,
        coalesce(sum(q.amount) FILTER (WHERE q.disposition = 'draft'), 0) AS draft,
        count(*) FILTER (WHERE q.disposition = 'draft') AS drafts
    FROM proposal p LEFT JOIN item_part q ON q.document = p.id AND q.disposition IN ('draft', 'billed', 'collected',
        'disputed', 'credited')
    WHERE p.status <> 'withdrawn' GROUP BY 1
) d
WHERE CASE WHEN d.status = 'issued' THEN d.net <> d.placed OR d.drafts > 0 ELSE d.net <> d.draft OR d.drafts = 0 END
UNION ALL
SELECT l.proposal_id, 'line ' || l.line, l.net, coalesce(sum(q.amount), 0), 0, 0
FROM proposal_line l JOIN proposal p ON p.id = l.proposal_id AND p.status IN ('draft', 'held', 'approved')
LEFT JOIN item_part q ON q.document = l.proposal_id AND q.line = l.line AND q.disposition = 'draft'
GROUP BY l.proposal_id, l.line, l.net HAVING l.net <> coalesce(sum(q.amount), 0)
"""
WORTH = """
SELECT engagement, legal_entity, sum(amount) FROM billable_item WHERE kind IN ('time', 'expense', 'usage')
GROUP BY 1, 2 HAVING sum(amount) <> 0
"""
PROMISES = "\nUNION ALL\n".join(
    f"(SELECT v::text FROM ({each.query}) v)"
    for each in INVARIANTS
    if each.name in ("ledger_balances", "invoiced_once")
)
PLACED = {"something waits that has room": ROOM, "the retainer is not drawn as it should be": PREPAID}
LAW = {
    "a promise is broken": PROMISES,
    "the journal does not lead to the parts": REPLAYED,
    "a total is not the sum of its parts": TOTALS,
    "a counter is not what the items used": COUNTED,
    "what is drawn is not what the retainer counts": DRAWN,
    "a proposal is not its parts": DOCUMENTS,
    "a cap has not counted what lies under it": CAPPED,
}


def _at_once(queries: Mapping[str, str]) -> str:
    """One statement that asks all of them; each row as text, with the name of its query."""
    return "\nUNION ALL\n".join(f"SELECT '{name}', x::text FROM ({query}) x" for name, query in queries.items())


class Ground:
    """One database, its mortal process, and the stories that run on it."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.runs: dict[str, Any] = {}
        self._emptied: list[str] = []

    async def clear(self) -> None:
        """A firm with its terms and no work."""
        self.runs.clear()
        if not self._emptied:
            for (name,) in await self.rows(TABLES):
                if not await self.rows(f"SELECT FROM {name} LIMIT 1"):
                    self._emptied.append(name)
        async with transaction(self.life) as db:  # type: ignore[arg-type]
            # Faster than TRUNCATE while there are few rows, and no guard of the ledger lets it happen otherwise.
            await db.execute("SET LOCAL session_replication_role = replica")
            for name in self._emptied:
                await db.execute(f"DELETE FROM {name}")
            await db.execute("SET LOCAL session_replication_role = origin")
            await db.execute(
                "INSERT INTO policy (name, version, body, declared_by) VALUES ('firm', 1, %s, 't')", [Jsonb(POLICY)]
            )
            await RECORDS.keep(db, [Kept(*each) for each in known()], NOW)
            await declare(db, TERMS.values(), by="t")

    async def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        async with self.life.connection() as db:
            return await (await db.execute(query, parameters)).fetchall()

    async def state(self) -> set[tuple[str, str]]:
        """All of the money's state, as text."""
        return set(await self.rows(_at_once(STATE)))

    async def wrong(self, expected: dict[Place, Decimal] | None, *, lines: bool) -> list[str]:
        """Everything that does not hold. `expected` is what approved work is worth, None while some of it waits;
        `lines` asks every line for its explanation too."""
        found = [": ".join(row) for row in await self.rows(_at_once(LAW), {"since": BEGINNING})]
        if expected is not None:
            found += [": ".join(row) for row in await self.rows(_at_once(PLACED))]
        async with self.life.connection() as db:
            found += [f"unexplained: {each}" for each in await unexplained(db)]
            items = await explain_items(db, [row[0] for row in await self.rows("SELECT id FROM billable_item")])
            found += [f"an item does not explain itself: {each}" for each in items if not each.agrees]
            if lines:
                found += [f"a line does not explain itself: {each}" async for each in disagreements(db)]
        if expected is not None:
            worth = {(row[0], row[1]): row[2] for row in await self.rows(WORTH)}
            if worth != expected:
                found.append(f"the ledger has {worth}, the sources are worth {expected}")
        return found
