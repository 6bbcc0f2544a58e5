"""Edge case 3: approval withdrawn while draft invoice is locked."""

from __future__ import annotations

from accord.db.pool import Pool, transaction
from accord.ledger import approving
from accord.ledger.dispositions import Disposition, move_document
from accord.ledger.postings import write
from accord.model.work import WorkStatus
from tests.ledger.worked import NOW, agree, entry, lies, proposal, rows, work

PROPOSALS = "SELECT status, net, lines FROM proposal ORDER BY proposed_at, id"


async def test_an_open_draft_lets_the_work_go(pool: Pool) -> None:
    await agree(pool)
    await work(pool, entry(2), entry(3, worker="ben"))
    await proposal(pool)
    await work(pool, entry(3, worker="ben", status=WorkStatus.RECALLED))
    assert await lies(pool) == {"draft": "800.00"}
    assert [(status, str(net), lines) for status, net, lines in await rows(pool, PROPOSALS)] == [("draft", "800.00", 1)]


async def test_a_locked_draft_is_invoiced_as_approved_and_the_withdrawal_lessens_the_next(pool: Pool) -> None:
    """The customer's document is being made of what two people have agreed on; it is not changed behind their back."""
    await agree(pool)
    await work(pool, entry(2), entry(3, worker="ben"))
    id = await proposal(pool)
    async with transaction(pool) as db:
        found = await approving.approve(db, id, by="carla", at=NOW)
    await work(pool, entry(3, worker="ben", status=WorkStatus.RECALLED))
    assert await lies(pool) == {"draft": "1600.00", "wip": "-800.00"}
    bill = move_document(
        f"bill {id}", id, found.net, out_of=Disposition.DRAFT, into=Disposition.BILLED, cause="t", at=NOW.isoformat()
    )
    async with transaction(pool) as db:
        await write(db, [(bill.entry, bill.items, bill.postings)])
    await work(pool, entry(4, "6"))
    assert await lies(pool) == {"billed": "1600.00", "wip": "400.00"}
    await proposal(pool)
    assert [str(net) for _, net, _ in await rows(pool, PROPOSALS)] == ["1600.00", "400.00"]
