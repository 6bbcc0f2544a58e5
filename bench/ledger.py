"""A ledger of ten million items, as three years leave it: what finance pages and a rating run find beside their work.

Made by PostgreSQL itself, with the triggers off and the indexes built at the end; the sums that triggers keep are made
once. An engagement lasts a year; work is proposed after a month, invoiced after six weeks, paid after eleven.
"""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import psycopg

ITEMS = 10_000_000
AN_ENGAGEMENT = 5_000
TABLES = ("billable_item", "item_part", "transfer", "work_entry")

# As in `bench.work`: what an item is follows from its number.
NUMBERED = """
CREATE UNLOGGED TABLE past AS
SELECT n, 'DEA-OLD' || lpad((n %% %(engagements)s)::text, 5, '0') AS engagement,
    (ARRAY['US', 'DE', 'JP'])[1 + n %% %(engagements)s %% 3] AS legal_entity,
    (ARRAY['USD', 'EUR', 'JPY'])[1 + n %% %(engagements)s %% 3] AS currency,
    %(today)s::date - 365 - (n %% %(engagements)s * 730 / %(engagements)s)::int
        + (n / %(engagements)s * 365 * %(engagements)s / %(items)s)::int AS worked_on,
    upper(substr(md5(n::text), 1, 16)) AS key, 0.25 + n * 7919 %% 31 / 4.0 AS quantity, 100 + n * 31 %% 200 AS rate,
    n * 7919 %% 1000 AS chance
FROM generate_series(0, %(items)s::bigint - 1) n
"""
# Where it lies by now, and on which document.
LIES = """
SELECT p.*, quantity * rate AS amount,
    CASE WHEN age > 30 THEN 'INV-' || engagement || to_char(worked_on, 'YYMM') END AS document,
    CASE WHEN chance < 50 THEN 'non_billable' WHEN chance < 55 THEN 'written_off' WHEN chance < 65 THEN 'over_cap'
        WHEN age > 75 THEN CASE WHEN chance < 70 THEN 'disputed' ELSE 'collected' END
        WHEN age > 45 THEN 'billed' WHEN age > 30 THEN 'draft' WHEN chance < 75 THEN 'held' ELSE 'wip'
    END AS disposition
FROM (SELECT *, %(today)s::date - worked_on AS age FROM past) p
"""
FILL = {
    "billable_item": f"""
INSERT INTO billable_item (id, kind, engagement, legal_entity, currency, amount, source, source_id, approved_at,
    worked_on, quantity, unit, rate, rate_id, terms_version, source_revision, worker, role, task)
SELECT 'BIL-' || key || '-1', 'time', engagement, legal_entity, currency, amount, 'bench', 'WRK-' || key,
    worked_on + interval '18 hours', worked_on, quantity, 'h', rate, 'senior 1', 1, 1, 'person-' || n %% 2000, 'senior',
    'design'
FROM ({LIES}) l""",
    "item_part": f"""
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
    document, line, entry, cause, reference, posted_at)
SELECT 'BIL-' || key || '-1', 1, engagement, legal_entity, currency, disposition, amount, quantity, worked_on,
    CASE WHEN disposition IN ('draft', 'billed', 'collected', 'disputed') THEN document END,
    CASE WHEN disposition IN ('draft', 'billed', 'collected', 'disputed') THEN 1 + n %% 40 END, 'rated',
    'work.approved', 'paula', worked_on + interval '18 hours'
FROM ({LIES}) l""",
    "transfer": f"""
INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, reference, cause, posted_at)
SELECT 'rated', 'BIL-' || key || '-1', 1, 'approved', 'wip', amount, 'paula', 'work.approved',
    worked_on + interval '18 hours'
FROM ({LIES}) l""",
    "work_entry": f"""
INSERT INTO work_entry (id, revision, kind, source, source_key, status, worked_on, quantity, engagement, legal_entity,
    worker, worker_entity, role, task, approver, approved_at, recorded_as)
SELECT 'WRK-' || key, 1, 'time', 'bench', n::text, 'approved', worked_on, quantity, engagement, legal_entity,
    'person-' || n %% 2000, legal_entity, 'senior', 'design', 'paula', worked_on + interval '18 hours',
    'old.csv line ' || n
FROM ({LIES}) l""",
}
REST = """
INSERT INTO ledger_total
SELECT engagement, legal_entity, currency, disposition, date_trunc('month', worked_on)::date, sum(amount), count(*),
    sum(quantity)
FROM item_part GROUP BY 1, 2, 3, 4, 5;
INSERT INTO proposal (id, engagement, legal_entity, currency, customer, period_from, period_to, status, net, lines,
    proposed_at, proposed_by, approved_at, approved_by, work_approved_at)
SELECT document, min(engagement), min(legal_entity), min(currency), 'CUS' || substr(min(engagement), 4),
    min(worked_on), max(worked_on), CASE WHEN bool_or(disposition = 'draft') THEN 'draft' ELSE 'issued' END,
    sum(amount), 40, max(worked_on) + 31, 'accord', max(worked_on) + 40, 'carla', max(worked_on) + 1
FROM item_part WHERE document IS NOT NULL GROUP BY 1;
INSERT INTO proposal_line (proposal_id, line, text, kind, worker, quantity, net, worked_from, worked_to)
SELECT document, line, 'person ' || line, 'time', 'person ' || line, sum(quantity), sum(amount), min(worked_on),
    max(worked_on)
FROM item_part WHERE document IS NOT NULL GROUP BY 1, 2;
INSERT INTO receivable (invoice_id, legal_entity, currency, engagement, customer, number, origin, status, issued_on,
    due_on, net, gross, paid, disputed, issued_at, paid_at)
SELECT id, legal_entity, currency, engagement, customer, 'ACC-' || right(id, 9), 'work',
    CASE WHEN period_to < current_date - 75 THEN 'paid' ELSE 'open' END, period_to + 45, period_to + 75, net, net,
    CASE WHEN period_to < current_date - 75 THEN net ELSE 0 END, hashtext(id) % 200 = 0, period_to + 45,
    CASE WHEN period_to < current_date - 75 THEN period_to + 75 END
FROM proposal WHERE status = 'issued';
INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, correlation, changed_at,
    observed_at)
SELECT CASE WHEN id LIKE 'CUS%' THEN 'customer' ELSE 'deal' END, id, 1,
    jsonb_build_object('name', 'Engagement ' || id, 'legal_name', 'Customer ' || id), '', '{}', 'bench', '1', id, now(),
    now()
FROM (SELECT DISTINCT engagement AS id FROM proposal UNION ALL SELECT DISTINCT customer FROM proposal) x;
"""
INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid)
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype = 'p'
WHERE i.indrelid = %s::regclass
"""


def fill(url: str, items: int = ITEMS, today: date | None = None) -> None:
    """Make the past; the database is empty before but for its tables."""
    about = {"items": items, "engagements": max(20, items // AN_ENGAGEMENT), "today": today or datetime.now(UTC).date()}
    with _session(url) as connection:
        connection.execute(NUMBERED, about)
    both = [threading.Thread(target=_table, args=(url, names, about)) for names in (TABLES[:2], TABLES[2:])]
    for each in both:
        each.start()
    for each in both:
        each.join()
    with _session(url) as connection:
        for statement in REST.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("DROP TABLE past")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _session(url: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute("SET work_mem = '256MB'")
    return connection


def _table(url: str, names: tuple[str, ...], about: dict[str, object]) -> None:
    """Fill tables without their indexes, and build these afterwards."""
    with _session(url) as connection:
        for name in names:
            indexes = connection.execute(INDEXES, [name]).fetchall()
            _without(connection, name, indexes)
            connection.execute(FILL[name], about)
            for _, definition, constraint, told in indexes:
                if constraint is None:
                    connection.execute(str(definition))
                else:
                    connection.execute(f'ALTER TABLE {name} ADD CONSTRAINT "{constraint}" {told}')


def _without(connection: psycopg.Connection[tuple[object, ...]], name: str, indexes: list[tuple[object, ...]]) -> None:
    # The key that reversals point to goes with what points to it: within one table, and built again with it.
    for index, _, constraint, _ in indexes:
        if constraint is None:
            connection.execute(f"DROP INDEX {index}")
        else:
            connection.execute(f'ALTER TABLE {name} DROP CONSTRAINT "{constraint}" CASCADE')
