"""Write-offs and write-ups: a reason, two people, and every cent in its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accord.errors import Conflict, UsageError
from accord.ledger import adjusting, approving
from accord.ledger.explaining import disagreements
from accord.ledger.proposing import propose
from accord.ledger.writing_off import ask_write_off, ask_write_up
from accord.model.money import Money
from accord.model.terms import Cap, CapLevel
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play


async def approved(scene: Scene, id: str) -> None:
    with pytest.raises(Conflict, match="somebody else"):
        async with scene.database() as db:
            await adjusting.approve(db, id, by="paula", at=scene.at)
    async with scene.database() as db:
        await adjusting.approve(db, id, by="fatima", at=scene.at)
    await scene.rest()


def test_a_debt_that_is_given_up_is_so_everywhere(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice, 33333)
        await scene.rest()
        async with scene.database() as db:
            small = await ask_write_off(db, invoice["number"], Decimal("56.67"), reason="fee", by="paula", at=scene.at)
        with pytest.raises(UsageError, match=r"between 0 and 800.00 EUR can be written off"):
            async with scene.database() as db:
                await ask_write_off(db, invoice["id"], Decimal("800.01"), reason="x", by="paula", at=scene.at)
        await approved(scene, small)
        (held,) = scene.held("netsuite", "invoice")
        assert held["amountRemaining"] == 800
        async with scene.database() as db:
            rest = await ask_write_off(db, invoice["id"], reason="insolvent", by="paula", at=scene.at)
        await approved(scene, rest)
        assert [each["status"] for each in scene.held("stripe", "invoice")] == ["uncollectible"]
        assert scene.held("netsuite", "invoice")[0]["amountRemaining"] == 0
        (account,) = scene.held("salesforce", "Account")
        assert (account["Payment_Status__c"], account["AR_Balance__c"]) == ("written off", "0.00")
        assert await scene.lies() == {"collected": "280.11", "written_off": "719.89"}
        await scene.agrees()

    play(place, script)


def test_work_over_a_cap_is_given_up_and_work_is_written_up_onto_the_next_invoice(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell()
        cap = Cap("PO", CapLevel.PURCHASE_ORDER, Money.of("1000.00", "EUR"))
        await scene.worked("8", "4", caps=(cap,))
        assert await scene.lies() == {"over_cap": "200.00", "wip": "1000.00"}
        async with scene.database() as db:
            over = await ask_write_off(db, "BIL-2-1", Decimal(200), reason="not agreed", by="paula", at=scene.at)
            up = await ask_write_up(db, scene.engagement, "DE", Decimal(150), reason="bonus", by="paula", at=scene.at)
        await approved(scene, over)
        await approved(scene, up)
        assert await scene.lies() == {"wip": "1150.00", "written_off": "200.00"}
        invoice = await scene.bill()
        assert [each["text"] for each in invoice["lines"]][-1] == "Write Up"
        async with scene.database() as db:
            assert [each async for each in disagreements(db)] == []
        await scene.agrees()

    play(place, script)


def test_a_line_that_was_written_down_explains_itself(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell()
        await scene.worked("8")
        async with scene.database() as db:
            await propose(db, scene.today.replace(day=31), at=scene.at)
            ((id,),) = await (await db.execute("SELECT id FROM proposal")).fetchall()
            await approving.write_down(db, id, Decimal("80.01"), line=1, reason="discount", by="paula", at=scene.at)
            await approving.approve(db, id, by="fatima", at=scene.at)
        await scene.rest()
        assert await scene.lies() == {"billed": "719.99", "written_off": "80.01"}
        async with scene.database() as db:
            assert [each async for each in disagreements(db)] == []
        await scene.agrees()

    play(place, script)
