"""What must hold of the books once all is at rest: everything that was approved is explained, and so is every line of
every invoice. Both are made again from the sources, and never read from the ledger alone."""

from __future__ import annotations

from typing import Any

from accord.invariants import Violation
from accord.ledger.explaining import disagreements
from accord.reconcile.unexplained import unexplained

UNEXPLAINED, LINES = "nothing_unexplained", "lines_explain_themselves"


async def check_books(db: Any) -> list[Violation]:
    """Every piece of work that the ledger does not explain, and every line that does not come to what it says."""
    found = [
        Violation(UNEXPLAINED, each.subject, f"{each.engagement} {each.legal_entity}: {each.what}", each.amount)
        for each in await unexplained(db)
    ]
    async for line in disagreements(db):
        on_line = sum(line.on_line.values())
        wrong = [each.id for each in line.items if not each.agrees]
        if on_line == line.net and not wrong:
            continue
        what = f"line {line.line} says {line.net} {line.currency}, its items come to {on_line}"
        found.append(Violation(LINES, line.document, what, line.net - on_line))
    return found
