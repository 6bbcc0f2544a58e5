"""Billing terms by version: declared, never changed; what could not be priced under the old ones is tried again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.governance import audit
from accord.ledger.repricing import reach_back
from accord.model.plain import from_plain, to_plain
from accord.model.terms import BillingTerms

DECLARE = """
WITH said AS (
    SELECT x.engagement, x.legal_entity, x.customer, x.body,
        (SELECT max(t.version) FROM billing_terms t
         WHERE t.engagement = x.engagement AND t.legal_entity = x.legal_entity) AS version
    FROM json_to_recordset(%(rows)s::json) AS x (engagement text, legal_entity text, customer text, body jsonb)
)
INSERT INTO billing_terms (engagement, legal_entity, version, customer, body, declared_by)
SELECT s.engagement, s.legal_entity, coalesce(s.version, 0) + 1, s.customer,
    s.body || jsonb_build_object('version', coalesce(s.version, 0) + 1), %(by)s
FROM said s LEFT JOIN billing_terms t ON t.engagement = s.engagement AND t.legal_entity = s.legal_entity
    AND t.version = s.version
WHERE t.body IS NULL OR t.body - 'version' <> s.body - 'version'
RETURNING engagement, legal_entity, version
"""
TRY_AGAIN = """
WITH freed AS (
    DELETE FROM work_unpriced u USING unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
    WHERE u.engagement = x.engagement AND u.legal_entity = x.entity
    RETURNING u.entry_id, u.revision, u.engagement, u.legal_entity, u.worked_on, u.again
)
INSERT INTO work_to_rate (entry_id, revision, engagement, legal_entity, worked_on, again) SELECT * FROM freed
ON CONFLICT DO NOTHING
"""
# What lies over their caps is looked at anew by the next rating run.
FIT_AGAIN = """
INSERT INTO cap_to_fit (engagement, legal_entity)
SELECT DISTINCT t.engagement, t.legal_entity
FROM ledger_total t
JOIN unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
    ON t.engagement = x.engagement AND t.legal_entity = x.entity
WHERE t.disposition = 'over_cap' AND t.parts > 0
ON CONFLICT DO NOTHING
"""
LATEST = """
SELECT DISTINCT ON (t.engagement, t.legal_entity) t.engagement, t.legal_entity, t.version, t.customer, t.body
FROM billing_terms t
JOIN unnest(%(engagements)s::text[], %(entities)s::text[]) AS x (engagement, entity)
    ON t.engagement = x.engagement AND t.legal_entity = x.entity
ORDER BY t.engagement, t.legal_entity, t.version DESC
"""
ONE_VERSION = """
SELECT body FROM billing_terms WHERE engagement = %(engagement)s AND legal_entity = %(entity)s AND version = %(version)s
"""

Key = tuple[str, str]


async def declare(connection: Connection, terms: Iterable[BillingTerms], *, by: str) -> dict[Key, int]:
    """Declare terms, inside the caller's transaction; the versions of those that say something new.

    The version given is not looked at: it is one more than the last. Work that had no price is queued again, what lies
    over a cap is looked at anew, and so is work that has its price where the terms reach back.
    """
    terms = list(terms)
    rows = [
        {
            "engagement": each.engagement_id,
            "legal_entity": each.legal_entity,
            "customer": each.customer_id,
            "body": to_plain(replace(each, version=0)),
        }
        for each in terms
    ]
    cursor = await connection.execute(DECLARE, {"rows": as_json(rows), "by": by})
    written = {(engagement, entity): version for engagement, entity, version in await cursor.fetchall()}
    if written:
        parameters = {"engagements": [key[0] for key in written], "entities": [key[1] for key in written]}
        await connection.execute(TRY_AGAIN, parameters)
        await connection.execute(FIT_AGAIN, parameters)
        entries = [
            {"actor": by, "action": "terms declared", "about": key[0], "detail": {"legal_entity": key[1], "version": n}}
            for key, n in written.items()
        ]
        await audit.write_many(connection, entries)
        for each in terms:
            version = written.get((each.engagement_id, each.legal_entity), 1)
            if version > 1:
                await reach_back(connection, each, version, by=by)
        await connection.execute("NOTIFY accord_work")
    return written


async def latest(connection: Connection, keys: Iterable[Key]) -> Mapping[Key, BillingTerms]:
    """The terms in force for each engagement and legal entity that has any."""
    wanted = list(keys)
    parameters = {"engagements": [key[0] for key in wanted], "entities": [key[1] for key in wanted]}
    rows = await (await connection.execute(LATEST, parameters)).fetchall()
    return {(row[0], row[1]): from_plain(BillingTerms, row[4]) for row in rows}


async def of_version(connection: Connection, key: Key, version: int) -> BillingTerms | None:
    """The terms as they were in one version."""
    parameters = {"engagement": key[0], "entity": key[1], "version": version}
    row = await (await connection.execute(ONE_VERSION, parameters)).fetchone()
    return None if row is None else from_plain(BillingTerms, row[0])
