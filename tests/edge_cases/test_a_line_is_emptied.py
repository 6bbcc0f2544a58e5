"""A line of a proposal is emptied before it is approved: the invoice counts its lines without it, and ledger, credits
and explanations mean the same line as the customer who reads the invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from accord.ledger import adjusting, approving, crediting
from accord.ledger.explaining import LineExplained, disagreements, explain
from accord.ledger.proposing import propose
from accord.model.work import WorkStatus
from accord.simulation.books import check_books
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

HOURS = ("1", "2", "4", "8")


async def invoiced_without(scene: Scene, *taken_back: int) -> dict[str, Any]:
    """Four people's work is proposed, of some of them it is taken back, the rest is invoiced: the invoice."""
    await scene.sell("500.00")
    await scene.worked(*HOURS)
    async with scene.database() as db:
        await propose(db, date(2026, 1, 31), at=scene.at)
        ((proposal,),) = await (await db.execute("SELECT id FROM proposal")).fetchall()
    await scene.tell(
        *(replace(scene.entry(n, HOURS[n - 1]), revision=2, status=WorkStatus.RECALLED) for n in taken_back)
    )
    async with scene.database() as db:
        await approving.approve(db, proposal, by="fatima", at=scene.at)
    await scene.rest()
    return scene.record("invoice", proposal)


@pytest.mark.parametrize("taken_back", [(), (1,), (2,), (4,), (1, 3), (1, 2, 3)])
def test_each_line_explains_itself(place: Database, taken_back: tuple[int, ...]) -> None:
    async def script(scene: Scene) -> None:
        invoice = await invoiced_without(scene, *taken_back)
        left = [f"{int(each) * 100}.00" for n, each in enumerate(HOURS, 1) if n not in taken_back]
        assert [each["net"]["amount"] for each in invoice["lines"]] == left
        async with scene.database() as db:
            assert [each async for each in disagreements(db)] == []
            for number, net in enumerate(left, 1):
                line = await explain(db, f"{invoice['number']}/{number}")
                assert isinstance(line, LineExplained)
                assert [str(each.amount) for each in line.items] == [net]
            assert await check_books(db) == []

    play(place, script)


def test_a_credit_of_a_line_is_of_what_the_customer_reads_there(place: Database) -> None:
    async def script(scene: Scene) -> None:
        invoice = await invoiced_without(scene, 1)
        async with scene.database() as db:
            asked = await crediting.ask_credit(db, invoice["id"], {1: None}, reason="agreed", by="ann", at=scene.at)
            await adjusting.approve(db, asked, by="bea", at=scene.at)
        await scene.rest()
        credited = scene.server.ask("SELECT item_id, amount FROM item_part WHERE disposition = 'credited'")
        worked = scene.server.ask("SELECT id FROM billable_item WHERE worker = 'person 2'")
        assert credited == [(worked[0][0], 200)]
        assert scene.cases() == []

    play(place, script)
