"""What arrives, by push or poll, becomes canonical records: one way in for both.

A push is translated from the inbox, a poll reads pages from a watermark; both end in `records.observe.apply`, and the
second to see a change changes nothing. Nothing that cannot be read is dropped: it is a case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from accord.connect.connector import Observed
from accord.connect.observation import LONGEST_ID, is_id
from accord.engine import statements
from accord.engine.casework import case_row
from accord.engine.identities import Identities
from accord.engine.intents import as_json
from accord.engine.shell import Connection
from accord.model.problem import Problem
from accord.records.observe import Applied, Seen, apply

_READ_BY_THE_GATE = frozenset({"deal"})  # their problems travel with the record and are reported by the activation gate


class Taker(Protocol):
    """Takes kinds that become no records, such as work, which becomes entries of the ledger."""

    async def take(self, db: Connection, connection: str, observed: Sequence[Observed]) -> None:
        """Take a batch in, inside the caller's transaction. What was taken before changes nothing."""

    async def missed(self, db: Connection, connection: str, kind: str, vendor_ids: Sequence[str]) -> None:
        """These ids were asked for and not found, and nobody says that they were deleted."""


Takers = Mapping[str, Taker]
NO_TAKERS: Takers = {}


class UnfitId(ValueError):
    """What the vendor calls an object cannot be kept as its name."""


def _check_ids(each: Observed) -> None:
    ours = () if each.canonical_id is None else (each.canonical_id,)
    for value in (each.vendor_id, *ours, *(id for _, id in each.links.values())):
        if not is_id(value):
            raise UnfitId(
                f"the {each.kind} has the id {str(value)[:40]!r}; one is text of 1 to {LONGEST_ID} characters"
            )


async def observe(
    db: Connection,
    connection: str,
    roles: frozenset[str],
    observed: Sequence[Observed],
    now: datetime,
    takers: Takers = NO_TAKERS,
) -> Applied:
    """Apply a batch inside the caller's transaction, and open a case for each object that cannot be read in full.

    A kind of `takers` goes to its taker instead. Raises UnfitId: a push becomes a case by it, a poll tries again and
    says so.
    """
    for each in observed:
        _check_ids(each)
    for taker in dict.fromkeys(takers.values()):
        own = [each for each in observed if takers.get(each.kind) is taker]
        if own:
            await taker.take(db, connection, own)
    seen = [
        Seen(
            kind=each.kind,
            vendor_id=each.vendor_id,
            version=each.version,
            body=each.body,
            canonical_id=each.canonical_id,
            links=each.links,
            deleted=each.deleted,
            problems=each.problems,
            actor=each.modified_by,
        )
        for each in observed
        if each.kind not in takers
    ]
    applied = await apply(db, connection, roles, seen, now)
    unreadable = [found for found in applied.problems if found[0] not in _READ_BY_THE_GATE]
    if unreadable:
        await _open_cases(db, connection, unreadable)
    if applied.facts:
        await db.execute("SELECT pg_notify('accord_facts', '')")
    return applied


async def _open_cases(db: Connection, connection: str, unreadable: list[tuple[str, str, tuple[str, ...]]]) -> None:
    identities = Identities(db)
    await identities.ensure(len(unreadable))
    rows = []
    for kind, id, problems in unreadable:
        listed = tuple(
            Problem("unreadable", each, each.split(":")[0], f"Correct the {kind} in {connection}.") for each in problems
        )
        rows.append(
            case_row(
                id=identities.take(),
                reason="unreadable",
                title=f"A {kind} from {connection} cannot be read in full: {problems[0]}",
                problems=listed,
                owner="integration engineer",
                connection=connection,
                subject=id,
            )
        )
    await db.execute(statements.OPEN_CASES, {"rows": as_json(rows)})
