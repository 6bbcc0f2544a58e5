"""What the stories read and keep: records, twins, policies with their reference lists; a fixed number of queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from accord.engine.intents import as_json
from accord.engine.shell import Changed, Connection, Kept, Reading
from accord.engine.story import Read, ReadPolicy, ReadRelated
from accord.errors import UsageError
from accord.records.observe import digest_of_record, write_records

# What was merged into another is read as the other.
READ_RECORDS = """
SELECT r.kind, r.id, coalesce(m.body, r.body) FROM json_to_recordset(%(rows)s::json) AS x (kind text, id text)
JOIN record r ON r.kind = x.kind AND r.id = x.id
LEFT JOIN record m ON r.deleted AND m.kind = r.kind AND m.id = r.body ->> 'merged_into' AND NOT m.deleted
WHERE NOT r.deleted OR m.id IS NOT NULL
"""
READ_RELATED = """
SELECT r.kind, r.correlation, r.body FROM json_to_recordset(%(rows)s::json) AS x (kind text, correlation text)
JOIN record r ON r.kind = x.kind AND r.correlation = x.correlation WHERE NOT r.deleted ORDER BY r.id
"""
# Other customers that may be the same: the same name but for its legal form, or the same tax number.
READ_TWINS = """
SELECT me.id, twin.body
FROM record me JOIN record twin ON twin.kind = 'customer' AND twin.id <> me.id AND NOT twin.deleted
    AND (name_key(twin.body ->> 'legal_name') = name_key(me.body ->> 'legal_name')
         OR twin.body -> 'tax_registration' ->> 'number' = me.body -> 'tax_registration' ->> 'number')
WHERE me.kind = 'customer' AND me.id = ANY(%(ids)s)
  AND NOT EXISTS (SELECT FROM reference d WHERE d.list = 'distinct_customers'
                  AND d.given IN (me.id || ' ' || twin.id, twin.id || ' ' || me.id))
ORDER BY me.id, twin.id
"""
# All invoices of a customer and of those that were merged into it, whatever the engagement.
READ_CUSTOMER_INVOICES = """
WITH asked AS (
    SELECT x.id AS asked, x.id FROM unnest(%(ids)s::text[]) AS x (id)
    UNION
    SELECT c.body ->> 'merged_into', c.id FROM record c
    WHERE c.kind = 'customer' AND c.deleted AND c.body ->> 'merged_into' = ANY(%(ids)s)
)
SELECT a.asked, r.body FROM asked a JOIN record r ON r.kind = 'invoice' AND r.body ->> 'customer_id' = a.id
WHERE NOT r.deleted ORDER BY r.id
"""
# The legal entities that deliver a customer's won deals (a part's own, that of its phase, or the deal's), and the terms
# of its newest signed deal.
READ_NEEDS = """
WITH deal AS (
    SELECT body, body ->> 'customer_id' AS customer_id, body ->> 'legal_entity' AS lead,
           first_value(body #>> '{contract,billing_terms}') OVER (PARTITION BY body ->> 'customer_id'
               ORDER BY body #>> '{contract,signed_on}' IS NULL, body ->> 'closes_on' DESC NULLS LAST, id DESC) AS terms
    FROM record
    WHERE kind = 'deal' AND body ->> 'customer_id' = ANY(%(ids)s) AND body ->> 'is_won' = 'true' AND NOT deleted
), part AS (
    SELECT d.customer_id, d.lead, d.terms, coalesce(p.body ->> 'legal_entity', (
               SELECT phase ->> 'legal_entity' FROM jsonb_array_elements(d.body -> 'phases') AS phase
               WHERE phase ->> 'id' = p.body ->> 'phase_id'), d.lead) AS code
    FROM deal d LEFT JOIN LATERAL jsonb_array_elements(coalesce(d.body -> 'phases', '[]')
        || coalesce(d.body -> 'milestones', '[]') || coalesce(d.body -> 'services', '[]')) AS p (body) ON true
)
SELECT customer_id, jsonb_build_object('legal_entity', code, 'leads', bool_or(code = lead), 'billing_terms', min(terms))
FROM part WHERE code IS NOT NULL GROUP BY customer_id, code ORDER BY customer_id, code
"""
READ_POLICIES = """
SELECT DISTINCT ON (name) name, version, body FROM policy
WHERE name = ANY(%(names)s) AND valid_from <= current_date ORDER BY name, valid_from DESC, version DESC
"""
# Stories journal what they read: the projects of time systems, which may be thousands, are nothing to them.
READ_REFERENCES = """
SELECT list, given, meaning FROM reference
WHERE valid_from <= current_date AND list <> 'time_project' ORDER BY valid_from
"""
CURRENT_VERSIONS = """
SELECT r.kind, r.id, r.version, r.provenance, r.body, r.connection, r.source_version
FROM json_to_recordset(%(rows)s::json) AS x (kind text, id text)
JOIN record r ON r.kind = x.kind AND r.id = x.id ORDER BY r.kind, r.id FOR UPDATE OF r
"""
# Kinds under which a story asks for what belongs to a customer rather than to an engagement.
TWINS = "customer_twins"
CUSTOMER_INVOICES = "customer_invoices"
NEEDS = "customer_needs"
BY_CUSTOMER = {TWINS: READ_TWINS, CUSTOMER_INVOICES: READ_CUSTOMER_INVOICES, NEEDS: READ_NEEDS}
OURSELVES = "accord"


class PolicyMissing(UsageError):
    """A policy is not declared; `accord demo` and `accord import` declare one for trials."""


Entries = Sequence[tuple[str, tuple[Any, ...], tuple[Any, ...]]]


class Records:
    """The engine's `Knowledge`; `post` writes ledger entries."""

    def __init__(self, post: Callable[[Connection, Entries], Awaitable[None]]) -> None:
        self._post = post

    async def read(self, connection: Connection, readings: Sequence[Reading]) -> list[Any]:
        records = await self._records(connection, readings)
        related = await self._related(connection, readings)
        by_customer = await self._by_customer(connection, readings)
        policies = await self._policies(connection, readings)
        values: list[Any] = []
        for reading in readings:
            if isinstance(reading, Read):
                values.append(records.get((reading.kind, reading.id)))
            elif isinstance(reading, ReadPolicy):
                values.append(policies[reading.name])
            elif reading.kind in BY_CUSTOMER:
                values.append(by_customer.get((reading.kind, reading.correlation), []))
            else:
                values.append(related.get((reading.kind, reading.correlation), []))
        return values

    async def _records(self, connection: Connection, readings: Sequence[Reading]) -> dict[tuple[str, str], Any]:
        rows = [{"kind": each.kind, "id": each.id} for each in readings if isinstance(each, Read)]
        if not rows:
            return {}
        unique = list({(row["kind"], row["id"]): row for row in rows}.values())
        cursor = await connection.execute(READ_RECORDS, {"rows": as_json(unique)}, prepare=True)
        return {(kind, id): body for kind, id, body in await cursor.fetchall()}

    async def _related(self, connection: Connection, readings: Sequence[Reading]) -> dict[tuple[str, str], list[Any]]:
        found: dict[tuple[str, str], list[Any]] = {}
        wanted = {
            (each.kind, each.correlation)
            for each in readings
            if isinstance(each, ReadRelated) and each.kind not in BY_CUSTOMER
        }
        if wanted:
            rows = [{"kind": kind, "correlation": correlation} for kind, correlation in sorted(wanted)]
            cursor = await connection.execute(READ_RELATED, {"rows": as_json(rows)}, prepare=True)
            for kind, correlation, body in await cursor.fetchall():
                found.setdefault((kind, correlation), []).append(body)
        return found

    async def _by_customer(
        self, connection: Connection, readings: Sequence[Reading]
    ) -> dict[tuple[str, str], list[Any]]:
        found: dict[tuple[str, str], list[Any]] = {}
        for kind, query in BY_CUSTOMER.items():
            ids = sorted({each.correlation for each in readings if isinstance(each, ReadRelated) and each.kind == kind})
            if ids:
                cursor = await connection.execute(query, {"ids": ids}, prepare=True)
                for customer_id, body in await cursor.fetchall():
                    found.setdefault((kind, customer_id), []).append(body)
        return found

    async def _policies(self, connection: Connection, readings: Sequence[Reading]) -> dict[str, Any]:
        names = sorted({each.name for each in readings if isinstance(each, ReadPolicy)})
        if not names:
            return {}
        cursor = await connection.execute(READ_POLICIES, {"names": names}, prepare=True)
        policies = {name: {**body, "version": version} for name, version, body in await cursor.fetchall()}
        missing = [name for name in names if name not in policies]
        if missing:
            raise PolicyMissing(f"the policy {missing[0]!r} is not declared")
        cursor = await connection.execute(READ_REFERENCES, prepare=True)
        references: dict[str, dict[str, str]] = {}
        for list_name, given, meaning in await cursor.fetchall():
            references.setdefault(list_name, {})[given] = meaning
        return {name: {**body, "references": references} for name, body in policies.items()}

    async def keep(self, connection: Connection, objects: Sequence[Kept], at: datetime) -> None:
        """Keep the platform's own objects. What other systems told of them stays: our fields are laid over theirs.

        Which system told of it last, and how new that was, stays too: something older must not come in behind our back.
        """
        newest: dict[tuple[str, str], list[Kept]] = {}
        for each in objects:
            newest.setdefault((each.kind, each.id), []).append(each)
        while newest:  # a second time only for objects that somebody else wrote first at the same moment
            rows = await self._versions(connection, newest, at)
            written = await write_records(connection, rows)
            raced = {(row["kind"], row["id"]) for row in rows} - written
            newest = {about: newest[about] for about in sorted(raced)}

    async def post(
        self,
        connection: Connection,
        entries: Entries,
        at: datetime,  # noqa: ARG002  (the engine hands it to all it writes; a posting bears its own time)
    ) -> None:
        """Post ledger entries inside the caller's transaction."""
        await self._post(connection, entries)

    async def _versions(
        self, connection: Connection, newest: Mapping[tuple[str, str], Sequence[Kept]], at: datetime
    ) -> list[dict[str, Any]]:
        """The next version of each object that changes."""
        about = [{"kind": kind, "id": id} for kind, id in sorted(newest)]
        cursor = await connection.execute(CURRENT_VERSIONS, {"rows": as_json(about)}, prepare=True)
        known = {(row[0], row[1]): row[2:] for row in await cursor.fetchall()}
        rows = []
        for kind, id in sorted(newest):
            version, provenance, before, source, told = known.get((kind, id), (0, {}, {}, OURSELVES, ""))
            steps = newest[kind, id]
            merged = _laid_over(before, steps)
            if merged == before:
                continue
            changed = {name: OURSELVES for name, value in merged.items() if before.get(name) != value}
            rows.append(
                {
                    "kind": kind,
                    "id": id,
                    "version": version + 1,
                    "body": merged,
                    "digest": digest_of_record(merged, deleted=False),
                    "provenance": {**provenance, **changed},
                    "connection": source,
                    "source_version": told,
                    "correlation": next(
                        (each.correlation for each in newest[kind, id][::-1] if each.correlation), None
                    ),
                    "deleted": False,
                    "at": at,
                }
            )
        return rows


def _laid_over(before: dict[str, Any], steps: Sequence[Kept]) -> dict[str, Any]:
    """The fields of each step over what was there. Raises Changed when a step was decided by something else."""
    merged = before
    for each in steps:
        if any(merged.get(name) != value for name, value in (each.instead_of or {}).items()):
            raise Changed(f"{each.kind} {each.id} was changed meanwhile")
        merged = {**merged, **each.body}
    return merged
