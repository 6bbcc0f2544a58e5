"""`accord terms`, `propose`, `proposals`, `explain`, `reconcile`: hour to cash by the command line."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.tree import Tree

from accord.app import House
from accord.cli.house import with_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.errors import CheckFailed, UsageError
from accord.ledger import approving
from accord.ledger.explaining import ItemExplained, LineExplained, explain
from accord.ledger.proposing import Proposed, propose_some
from accord.ledger.terms import declare
from accord.model.plain import NotReadable, from_plain
from accord.model.terms import BillingTerms
from accord.reconcile.checking import check
from accord.reconcile.running import Break, Reconciled, breaks, reconcile
from accord.reconcile.unexplained import Unexplained, by_currency, standing_by_currency, unexplained

OPEN_PROPOSALS = """
SELECT p.id, p.status, p.engagement, p.legal_entity, p.period_to, p.lines, p.net, p.currency, coalesce(p.changed_by, '')
FROM proposal p WHERE p.status IN ('draft', 'held', 'approved') ORDER BY p.net DESC, p.id LIMIT %(limit)s
"""


def run_declare(file: Path, by: str) -> None:
    """Declare the terms of a JSON file: one object or a list of them."""
    try:
        given = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        terms = [from_plain(BillingTerms, each) for each in (given if isinstance(given, list) else [given])]
    except (OSError, ValueError, NotReadable) as error:
        raise UsageError(f"{file}: {error}; see docs/reference/rating.md for the fields") from error

    async def work(house: House) -> dict[tuple[str, str], int]:
        async with transaction(house.pool) as db:
            return await declare(db, terms, by=by)

    written = with_house(work)
    rows = [(key[0], key[1], version) for key, version in written.items()]
    as_table("Terms declared", ("engagement", "legal entity", "version"), rows, right=("version",))


def run_propose(to: date, by: str, engagement: str | None, *, as_json: bool) -> None:
    """Propose invoices for the work in WIP up to a day; commits engagement by engagement."""

    async def work(house: House) -> Proposed:
        total, place = Proposed(), ("", "", "")
        following: tuple[str, str, str] | None = place
        while following is not None:
            async with transaction(house.pool) as db:
                some, following = await propose_some(
                    db, to, at=datetime.now(UTC), by=by, engagement=engagement, after=following
                )
            total.proposals += some.proposals
            total.lines += some.lines
            total.parts += some.parts
        return total

    found = with_house(work)
    if as_json:
        print_json(asdict(found))
    else:
        Console().print(f"{found.proposals} proposals with {found.lines} lines of {found.parts} items")


def run_proposals(limit: int, *, as_json: bool) -> None:
    """What waits for approval or for its invoice."""

    async def work(house: House) -> list[tuple[Any, ...]]:
        async with house.pool.connection() as db:
            return await (await db.execute(OPEN_PROPOSALS, {"limit": limit})).fetchall()

    columns = ("id", "status", "engagement", "entity", "up to", "lines", "net", "currency", "changed by")
    rows = with_house(work)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        as_table("Invoice proposals", columns, rows, right=("id", "lines", "net"))


def run_approve(id: str, by: str) -> None:
    """Approve a proposal: it becomes an invoice."""

    async def work(house: House) -> Any:
        async with transaction(house.pool) as db:
            return await approving.approve(db, id, by=by, at=datetime.now(UTC))

    found = with_house(work)
    Console().print(f"approved: {found.net}, {len(found.lines)} lines; the invoice is on its way")


def run_explain(name: str, *, as_json: bool) -> None:
    """Explain an item or an invoice line."""

    async def work(house: House) -> LineExplained | ItemExplained:
        async with house.pool.connection() as db:
            return await explain(db, name)

    found = with_house(work)
    if as_json:
        print_json({**asdict(found), "agrees": found.agrees})
        return
    Console().print(_line_tree(found) if isinstance(found, LineExplained) else _item_tree(found))
    if not found.agrees:
        raise CheckFailed(f"{name} does not come to what it says")


def _line_tree(line: LineExplained) -> Tree:
    tree = Tree(f"{line.number or line.document} line {line.line}: {line.net} {line.currency}  {line.text or ''}")
    for item in line.items:
        _item_tree(item, tree, line.on_line.get(item.id))
    return tree


def _item_tree(item: ItemExplained, under: Tree | None = None, share: Decimal | None = None) -> Tree:
    on_line = "" if share is None or share == item.amount else f" ({share} on this line)"
    verdict = "recomputed, equal" if item.agrees else f"recomputed: {item.recomputed}"
    title = f"{item.id}: {item.amount} {item.currency}{on_line}, {verdict}"
    tree = Tree(title) if under is None else under.add(title)
    if item.entry is not None:
        entry = item.entry
        tree.add(f"{entry.worker}, {item.quantity} {item.unit} on {entry.worked_on}, task {entry.task or '-'}")
        tree.add(f"told by {entry.source} {entry.source_key}, revision {entry.revision}; approved by {entry.approver}")
    if item.rate_row is not None:
        row = item.rate_row
        tree.add(f"rate {row.id}: {row.per_hour} an hour from {row.valid_from}; clause {row.clause or '-'}")
    if item.terms_version is not None:
        tree.add(f"terms version {item.terms_version}; clause {item.clause or '-'}")
    for name, added, after in item.counters:
        tree.add(f"{name}: {added} used by this item, {after} in all")
    for part in item.parts:
        tree.add(f"{part.disposition}: {part.amount}  ({part.cause}{', ' + part.reference if part.reference else ''})")
    return tree


def run_reconcile(*, as_json: bool, limit: int) -> None:
    """What is unexplained, and where systems differ; exit code 1 when there is anything."""

    async def work(house: House) -> tuple[list[Unexplained], dict[str, Decimal], list[Reconciled], list[Break]]:
        async with transaction(house.pool) as db:
            await db.execute("SET LOCAL statement_timeout = '600s'")
            # Kept for the pages, unless a worker is at it just now.
            kept = await check(db, house.now())
            found = await unexplained(db, limit) if kept is None else kept
            standing = await standing_by_currency(db)
        async with transaction(house.pool) as db:
            results = await reconcile(db, datetime.now(UTC))
        async with house.pool.connection() as db:
            return found, standing, results, await breaks(db, limit=limit)

    found, standing, results, open_breaks = with_house(work)
    sums = {currency: Decimal(0) for currency in standing} | by_currency(found)
    if as_json:
        print_json(
            {
                "unexplained": sums,
                "unexplained_items": [asdict(each) for each in found],
                "matches": [{**asdict(each), "agrees": each.agrees} for each in results],
                "breaks": [asdict(each) for each in open_breaks],
            }
        )
    else:
        rows = [(currency, standing.get(currency, 0), amount) for currency, amount in sorted(sums.items())]
        as_table(
            "Unexplained", ("currency", "in the ledger", "unexplained"), rows, right=("in the ledger", "unexplained")
        )
        for each in found:
            Console().print(f"  {each.subject} {each.amount} {each.currency}: {each.what}", markup=False)
        columns = ("match", "ours", "theirs", "equal", "breaks", "sees its canary")
        table = [
            (each.match, each.ours, each.theirs, each.matched, each.breaks, "yes" if each.sees else "NO")
            for each in results
        ]
        as_table("Reconciliation", columns, table, right=("ours", "theirs", "equal", "breaks"))
        for one in open_breaks:
            Console().print(
                f"  {one.match}: {one.key}: ours {one.ours}, theirs {one.theirs} {one.currency or ''},"
                f" since {one.first_seen:%Y-%m-%d %H:%M}, {one.owner}",
                markup=False,
            )
    if found or not all(each.agrees for each in results):
        raise CheckFailed(f"{len(found)} unexplained, {sum(each.breaks for each in results)} breaks")
