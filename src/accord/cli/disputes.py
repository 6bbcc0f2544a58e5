"""`accord dispute`: lines of an invoice that a customer objects to, by the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.tree import Tree

from accord.cli.after_invoice import in_transaction, lines_of, said_who_approves
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.ledger import disputing
from accord.model.plain import to_plain


def run_open(invoice: str, lines: Sequence[str], reason: str, by: str, *, owner: str, days: int) -> None:
    """Open a dispute of lines."""
    chosen = lines_of(lines)
    id = in_transaction(
        lambda db: disputing.open_dispute(
            db, invoice, chosen, reason=reason, by=by, at=datetime.now(UTC), owner=owner, answer_days=days
        )
    )
    Console().print(f"opened: {id}; `accord dispute show {id}` shows the evidence")


def run_list(status: str, limit: int, *, as_json: bool) -> None:
    """Disputes of lines."""
    found = in_transaction(lambda db: disputing.disputes(db, status=status, limit=limit))
    if as_json:
        print_json([to_plain(each) for each in found])
        return
    columns = ("id", "invoice", "lines", "amount", "reason", "owner", "answer by", "outcome")
    rows = [
        (
            each.id, each.invoice_id, ", ".join(str(line.line) for line in each.lines), str(each.amount), each.reason,
            each.owner, each.answer_by, each.outcome or "",
        )
        for each in found
    ]  # fmt: skip
    as_table("Disputes", columns, rows, right=("amount",))


def run_show(id: str, *, as_json: bool) -> None:
    """One dispute with its evidence."""
    found, packet = in_transaction(lambda db: disputing.show(db, id))
    if as_json:
        print_json({"dispute": to_plain(found), "packet": packet})
        return
    tree = Tree(f"{found.id}: {found.amount} of invoice {packet.get('invoice')}, {found.status}; {found.reason}")
    for line in packet.get("lines", ()):
        branch = tree.add(f"line {line['line']}: {line['net']['amount']} {line['net']['currency']}  {line['text']}")
        for item in line["items"]:
            _item(branch, item)
    Console().print(tree)


def _item(under: Tree, item: dict[str, Any]) -> None:
    branch = under.add(f"{item['item']}: {item['amount']}, made again {item['recomputed']}")
    entry, rate = item["entry"], item["rate"]
    if entry is not None:
        branch.add(
            f"{entry['worker']}, {entry['quantity']} {entry['unit']} on {entry['worked_on']}: {entry['note'] or '-'}"
        )
        branch.add(f"told by {entry['told_by']}; approved by {entry['approved_by']} at {entry['approved_at']}")
    if rate is not None:
        branch.add(f"rate {rate['row']} from {rate['valid_from']}; clause {rate['clause'] or '-'}")
    if item["terms_version"] is not None:
        branch.add(f"terms version {item['terms_version']}; clause {item['clause'] or '-'}")


def run_decide(id: str, outcome: str, lines: Sequence[str], note: str, by: str) -> None:
    """Decide a dispute."""
    amounts = lines_of(lines) or None
    credit = in_transaction(
        lambda db: disputing.decide(db, id, outcome, note=note, by=by, at=datetime.now(UTC), amounts=amounts)
    )
    if credit is None:
        Console().print("the claim is upheld")
    else:
        said_who_approves(credit)
