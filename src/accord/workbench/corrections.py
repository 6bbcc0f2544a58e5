"""Corrections: what a source's text means, and fields corrected here. Each is audited, told, and tried at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pycountry

from accord.engine import eventlog
from accord.engine.shell import Connection
from accord.engine.turning import fact_row
from accord.errors import Conflict, NotFound, UsageError
from accord.governance import audit
from accord.model.customer import TaxRegistration
from accord.model.events import Fact
from accord.records.observe import digest_of_record, write_records
from accord.rules.firm import Firm
from accord.rules.tax import registration_problem
from accord.workbench import remedies
from accord.workbench.listing import Case

DECLARE = """
WITH before AS (
    SELECT meaning FROM reference WHERE list = %(list)s AND given = %(given)s AND valid_from = '0001-01-01'
), written AS (
    INSERT INTO reference (list, given, meaning, declared_by) VALUES (%(list)s, %(given)s, %(meaning)s, %(by)s)
    ON CONFLICT (list, given, valid_from) DO UPDATE SET meaning = excluded.meaning, declared_by = excluded.declared_by,
        declared_at = now()
)
SELECT (SELECT meaning FROM before)
"""
# Open cases whose deal or customer says exactly this.
CURED = """
SELECT c.id FROM business_case c
LEFT JOIN record d ON d.kind = 'deal' AND d.id = c.subject
LEFT JOIN record k ON k.kind = 'customer' AND k.id = coalesce(d.body ->> 'customer_id', c.subject)
WHERE c.state = 'open' AND c.process_id IS NOT NULL
  AND c.problems @> jsonb_build_array(jsonb_build_object('code', %(code)s::text))
  AND CASE %(list)s
      WHEN 'country' THEN coalesce(k.body ->> 'country', k.body ->> 'country_as_given') = %(given)s
      WHEN 'product' THEN d.body ->> 'product_as_given' = %(given)s
      ELSE k.id = ANY(string_to_array(%(given)s, ' ')) END
ORDER BY c.id
"""
RECORD = """
SELECT r.version, r.body, r.provenance, r.connection, r.source_version, r.correlation, r.deleted
FROM record r WHERE r.kind = %(kind)s AND r.id = %(id)s FOR UPDATE
"""


async def declare(db: Connection, list_name: str, given: str, meaning: str, *, by: str) -> list[int]:
    """Write what a text means into the reference list; the cases it cures. Raises UsageError."""
    code = remedies.LISTS.get(list_name)
    if code is None:
        raise UsageError(f"there is no reference list {list_name!r}; there are {', '.join(remedies.LISTS)}")
    given, meaning = given.strip(), meaning.strip()
    if not given:
        raise UsageError("say which text of the source is meant")
    if list_name == "time_project" and not (given.partition("/")[2] and len(meaning.split()) == 2):
        raise UsageError("write SOURCE/PROJECT as the source has it, and ENGAGEMENT LEGAL_ENTITY as its meaning")
    await _check_meaning(db, list_name, meaning)
    about = {"list": list_name, "given": given, "meaning": meaning, "by": by, "code": code}
    row = await (await db.execute(DECLARE, about)).fetchone()
    detail = {"given": given, "before": row[0] if row else None, "after": meaning}
    await audit.write(db, by, "reference.declared", f"reference {list_name}", detail)
    return [found[0] for found in await (await db.execute(CURED, about)).fetchall()]


async def _check_meaning(db: Connection, list_name: str, meaning: str) -> None:
    if list_name == "country" and pycountry.countries.get(alpha_2=meaning) is None:
        raise UsageError(f"{meaning!r} is not a country; give its ISO 3166 code of two capital letters, such as DE")
    if list_name == "distinct_customers" and meaning != "distinct":
        raise UsageError("the only meaning in this list is 'distinct'; if they are one customer, merge them in the CRM")
    if list_name == "product":
        firm = await _firm(db)
        if firm is None or meaning not in firm.products:
            raise UsageError(f"{meaning!r} is not in the catalogue; declare it in the policy `firm` first")


async def override(db: Connection, case: Case, name: str, value: str, *, by: str, now: datetime) -> None:
    """Correct one field of the deal or customer behind a case. It holds until the CRM, whose field it is, sends another
    value. Raises UsageError, NotFound, Conflict."""
    codes = [code for code, (kind, path) in remedies.FIELDS.items() if f"{kind}.{path}" == name]
    if not codes:
        allowed = ", ".join(sorted({f"{kind}.{path}" for kind, path in remedies.FIELDS.values()}))
        raise UsageError(f"{name!r} cannot be corrected here; these can: {allowed}")
    if not any(problem["code"] in codes for problem in case.problems):
        raise Conflict(f"case {case.id} has no problem with {name}; it may have been corrected already")
    firm = await _firm(db)
    new = _checked(name, value.strip(), firm)
    kind, path = remedies.FIELDS[codes[0]]
    id = await _subject(db, case, kind)
    row = await (await db.execute(RECORD, {"kind": kind, "id": id})).fetchone()
    if row is None:
        raise NotFound(f"the {kind} of case {case.id} is not known; link it in the CRM")
    version, body, provenance, connection, source_version, correlation, deleted = row
    before, changed = _with(body, path.split("."), new)
    record = {
        "kind": kind,
        "id": id,
        "version": version + 1,
        "body": changed,
        "digest": digest_of_record(changed, deleted=deleted),
        "provenance": {**provenance, path.partition(".")[0]: f"accord: corrected by {by}"},
        "connection": connection,
        "source_version": source_version,
        "correlation": correlation,
        "deleted": deleted,
        "at": now,
    }
    await write_records(db, [record])
    detail = {"case": case.id, "field": name, "before": before, "after": new}
    await audit.write(db, by, "field.corrected", f"{kind} {id}", detail)
    fact = Fact(
        f"{kind}.corrected",
        id,
        now.isoformat(),
        by,
        {**detail, "what": f"{name} corrected"},
        correlation=case.engagement,
    )
    await eventlog.append(db, [fact_row(fact, case.engagement, f"case {case.id}")])


def _checked(name: str, value: str, firm: Firm | None) -> Any:
    """The value as the record holds it. Raises UsageError for what would be a problem again."""
    choices = remedies.choices_of(name, firm)
    if choices and value not in choices:
        raise UsageError(f"{value!r} is not one of {', '.join(choices)}")
    if name == "customer.country" and pycountry.countries.get(alpha_2=value) is None:
        raise UsageError(f"{value!r} is not a country; give its ISO 3166 code of two capital letters, such as DE")
    if name == "customer.tax_registration":
        country, _, number = value.partition(" ")
        registration = TaxRegistration(country, number.replace(" ", ""))
        if pycountry.countries.get(alpha_2=country) is None or not number:
            raise UsageError("give the country's code and the number, such as `DE DE136695976`")
        wrong = registration_problem(registration)
        if wrong is not None:
            raise UsageError(f"{wrong}; ask the customer for the right one")
        return {"country": registration.country, "number": registration.number}
    return value


def _with(body: Mapping[str, Any], path: list[str], value: Any) -> tuple[Any, dict[str, Any]]:
    """The value at a path before, and a body in which it is another."""
    name, *rest = path
    changed = dict(body)
    if not rest:
        changed[name] = value
        return body.get(name), changed
    inner = body.get(name)
    if not isinstance(inner, Mapping):
        raise Conflict(f"there is no {name} to correct; link it in the CRM")
    before, changed[name] = _with(inner, rest, value)
    return before, changed


async def _subject(db: Connection, case: Case, kind: str) -> str:
    row = await (await db.execute(remedies.RECORDS_OF, {"subject": case.subject})).fetchone()
    body = None if row is None else row[0 if kind == "deal" else 1]
    if body is None:
        raise NotFound(f"the {kind} of case {case.id} is not known; link it in the CRM")
    return str(body["id"])


async def _firm(db: Connection) -> Firm | None:
    row = await (await db.execute(remedies.FIRM)).fetchone()
    return None if row is None else Firm.parse(row[0])
