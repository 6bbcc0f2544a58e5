"""Customers: one that exists is found and taken over, not made again; each is related to its subsidiaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from accord.connect.connector import Action
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.mapping import Mapping as Table
from accord.connect.mapping import key, nested, text
from accord.connect.session import Session
from accord.connectors.netsuite.batches import BATCH, Item, send_job
from accord.connectors.netsuite.calls import address, find, holds, patch, quoted, rows
from accord.connectors.netsuite.chart import Chart, NotCharted, chart_of, table_of
from accord.connectors.netsuite.projects import LONGEST_NAME
from accord.connectors.netsuite.writing import UPSERT, Fields, asked, not_written, send_all, with_chart
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Write
from accord.model.customer import Customer

CUSTOMER = Table(
    "netsuite.customer", "customer", "Customer", of=Customer,
    rows=(
        key("id"),
        text("legal_name", "companyName", required=True, max_length=LONGEST_NAME, cut=True),
        text("email", "email", max_length=254),
        nested("tax_registration", "", (text("number", "vatRegNumber", max_length=20),)),
    ),
)  # fmt: skip
# Columns compared with the legal name, exactly: `customer_match` in the settings, [] to find by external id only.
MATCH = ("companyname", "entityid")
OURS = "CUS-"  # how the external ids this platform gives to customers begin


@dataclass(frozen=True, slots=True)
class Known:
    """A customer that is there: its external id, its names, the subsidiaries it is related to."""

    id: str
    external_id: str | None
    names: frozenset[str]
    subsidiaries: set[str] = field(default_factory=set)


async def put(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    """Find or make the customers of a batch, then relate them to their subsidiaries."""

    async def work(chart: Chart) -> Sequence[Outcome]:
        try:
            known = await _known(session, writes)
        except CallFailed as error:
            return [not_written(outcome_of(error))] * len(writes)
        matches = [_match(write, known) for write in writes]
        outcomes = await _put_all(session, writes, matches, chart)
        return await _relate(session, writes, matches, outcomes, chart)

    return await with_chart(session, writes, work)


async def _known(session: Session, writes: Sequence[Write]) -> list[Known]:
    """Whoever might be one of these customers, with its relations, by one query. Raises CallFailed."""
    columns = session.config.get("customer_match", MATCH)
    names = quoted(sorted({str(write.body.get("legal_name", "")) for write in writes}))
    ids = ", ".join(write.vendor_id for write in writes if write.vendor_id and write.vendor_id.isdigit())
    tests = [f"c.externalid IN ({quoted(write.canonical_id for write in writes)})"]
    tests += [f"c.{column} IN ({names})" for column in columns if column in MATCH]
    tests += [f"c.id IN ({ids})"] if ids else []
    query = (
        "SELECT c.id, c.externalid, c.companyname, c.entityid, r.subsidiary FROM customer c "
        "LEFT JOIN customersubsidiaryrelationship r ON r.entity = c.id "
        f"WHERE {' OR '.join(tests)} ORDER BY c.id, r.id"
    )
    found: dict[str, Known] = {}
    for row in await rows(session, query):
        named = frozenset(str(row[each]) for each in columns if each in MATCH and row.get(each))
        known = found.setdefault(row["id"], Known(row["id"], row.get("externalid"), named))
        if row.get("subsidiary"):
            known.subsidiaries.add(row["subsidiary"])
    return list(found.values())


def _match(write: Write, known: Sequence[Known]) -> Known | Rejected | None:
    """The customer that is this one: by NetSuite's id, by our id, by name; None when it has to be made.

    One that carries another id of ours is another customer, however it is called.
    """
    own = [each for each in known if each.external_id == write.canonical_id]
    own = own or [each for each in known if each.id == write.vendor_id]
    if own:
        return own[0]
    name = str(write.body.get("legal_name", ""))
    twins = [each for each in known if name in each.names and not (each.external_id or "").startswith(OURS)]
    if len(twins) > 1:
        ids = ", ".join(each.id for each in twins)
        return Rejected(
            "ambiguous_customer", f"NetSuite has {len(twins)} customers named {name!r} (ids {ids}).", ("legal_name",)
        )
    return twins[0] if twins else None


async def _put_all(
    session: Session, writes: Sequence[Write], matches: Sequence[Known | Rejected | None], chart: Chart
) -> list[Outcome]:
    bodies = [_body(session, write, match, chart) for write, match in zip(writes, matches, strict=True)]
    outcomes: list[Outcome] = [each if isinstance(each, Rejected) else Absent() for each in bodies]
    by_key = [n for n, body in enumerate(bodies) if not isinstance(body, Rejected) and _is_ours(matches[n], writes[n])]
    adopted = [n for n, body in enumerate(bodies) if not isinstance(body, Rejected) and n not in by_key]
    made = await send_all(session, "customer", [bodies[n] for n in by_key], [writes[n] for n in by_key], ())
    taken = await _adopt(session, [(writes[n], matches[n], bodies[n]) for n in adopted])
    for n, outcome in zip([*by_key, *adopted], [*made, *taken], strict=True):
        outcomes[n] = outcome
    return outcomes


def _is_ours(match: Known | Rejected | None, write: Write) -> bool:
    return match is None or (isinstance(match, Known) and match.external_id == write.canonical_id)


def _body(session: Session, write: Write, match: Known | Rejected | None, chart: Chart) -> Fields | Rejected:
    """A new customer gets its first entity as primary subsidiary; of one that is there it is left alone."""
    if isinstance(match, Rejected):
        return match
    writing = table_of(session, CUSTOMER).write(write.body)
    if (rejected := writing.rejected()) is not None:
        return rejected
    fields = dict(writing.fields)
    entities = write.body.get("entities") or ()
    try:
        if match is None:
            if not entities:
                return Rejected(
                    "no_entity", "A customer needs a legal entity that does business with it.", ("entities",)
                )
            fields["subsidiary"] = chart.subsidiary(entities[0])
            if write.body.get("currency"):
                fields["currency"] = chart.currency(write.body["currency"])
        for code in entities:
            chart.subsidiary(code)
    except NotCharted as lacking:
        return lacking.rejected
    term = chart.terms.get(str(write.body.get("payment_terms_days")))
    return {**fields, "terms": {"id": term}} if term is not None else fields


async def _adopt(session: Session, found: Sequence[tuple[Write, Any, Any]]) -> list[Outcome]:
    """Take over customers made by others: they get our external id, unless another integration's is on them (a record
    has only one, and one integration should own it: vendors.md 2.1)."""
    items = []
    for write, match, body in found:
        marked = body if match.external_id else {**body, "externalId": write.canonical_id}
        items.append(Item(write, marked, match.id))
    if len(items) >= int(session.config.get("batch_from") or 2):
        outcomes = await send_job(session, "customer", items, method="PATCH")
    else:
        outcomes = [
            await patch(session, "customer", address("customer", item.known, ""), item.fields) for item in items
        ]
    named = zip(items, outcomes, strict=True)
    return [replace(each, vendor_id=item.known) if isinstance(each, Committed) else each for item, each in named]


async def _relate(
    session: Session, writes: Sequence[Write], matches: Sequence[Known | Rejected | None], outcomes: list[Outcome],
    chart: Chart,
) -> list[Outcome]:  # fmt: skip
    """The relations that are missing. A customer without one of them is not done: its outcome is the relation's."""
    missing: dict[int, list[Write]] = defaultdict(list)
    bodies: dict[str, Fields] = {}
    for n, (write, match, outcome) in enumerate(zip(writes, matches, outcomes, strict=True)):
        codes: Sequence[str] = write.body.get("entities") or ()
        if not isinstance(outcome, Committed):
            continue
        present = match.subsidiaries if isinstance(match, Known) else {chart.subsidiaries[codes[0]]}
        for code in codes:
            if chart.subsidiaries[code] in present:
                continue
            relation = f"{write.canonical_id}-{code}"
            missing[n].append(replace(write, canonical_id=relation, key=f"{write.key}:{code}"))
            entity = {"id": outcome.vendor_id} if outcome.vendor_id else {"externalId": write.canonical_id}
            bodies[relation] = {"entity": entity, "subsidiary": chart.subsidiary(code)}
    flat = [(n, each) for n, several in missing.items() for each in several]
    for start in range(0, len(flat), BATCH):
        part = flat[start : start + BATCH]
        relations = [each for _, each in part]
        fields = [bodies[each.canonical_id] for each in relations]
        sent = await send_all(session, "customerSubsidiaryRelationship", fields, relations, ())
        for (n, _), outcome in zip(part, sent, strict=True):
            if not isinstance(outcome, Committed) and not _is_there(outcome) and isinstance(outcomes[n], Committed):
                outcomes[n] = outcome
    return outcomes


def _is_there(outcome: Outcome) -> bool:
    """Somebody else related them in the meantime."""
    return isinstance(outcome, Rejected) and "already exists" in outcome.message


async def probe(session: Session, write: Write) -> Outcome:
    """Committed when the customer is there as written and related to every subsidiary."""
    try:
        chart = await chart_of(session)
        match = _match(write, await _known(session, [write]))
        if not isinstance(match, Known) or not (match.external_id == write.canonical_id or match.id == write.vendor_id):
            return Absent("NetSuite has no customer with our id")
        wanted = {chart.subsidiaries.get(code) for code in write.body.get("entities") or ()}
        fields = table_of(session, CUSTOMER).write(write.body).fields
        held: Mapping[str, Any] | None = await find(session, "customer", address("customer", match.id, ""))
    except CallFailed as error:
        return asked(outcome_of(error))
    if held is None or not wanted <= match.subsidiaries or not holds(held, fields):
        return Absent("NetSuite holds another state of it")
    return Committed(match.id)


PUT = Action(put, probe, UPSERT, batch=BATCH)
