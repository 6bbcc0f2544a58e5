"""Edge case 16: a credit note larger than the open balance. What was paid becomes the customer's money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accord.errors import Conflict, UsageError
from accord.ledger import adjusting
from accord.ledger.crediting import ask_credit
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play


async def credit(scene: Scene, invoice: str, lines: dict[int, Decimal | None], **more: bool) -> str:
    """Asked for by one and approved by another."""
    async with scene.database() as db:
        id = await ask_credit(db, invoice, lines, reason="as agreed", by="paula", at=scene.at, **more)
    async with scene.database() as db:
        await adjusting.approve(db, id, by="fatima", at=scene.at)
    await scene.rest()
    return id


def test_what_was_paid_of_a_credit_becomes_the_customers_unapplied_cash(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice, 89250)  # 892.50 of 1190.00: 297.50 are open
        await scene.rest()
        id = await credit(scene, invoice["number"], {1: Decimal("500.00")})
        note, (cash,) = scene.record("credit_note", id), scene.records("unapplied_cash")
        assert (note["amount"]["amount"], note["of_paid"]["amount"]) == ("595.00", "297.50")
        assert (cash["amount"]["amount"], cash["source_id"], cash["customer_id"]) == ("297.50", id, scene.customer)
        (issued,) = scene.held("stripe", "credit_note")
        assert (issued["pre_payment_amount"], issued["out_of_band_amount"]) == (29750, 29750)
        (memo,) = scene.held("netsuite", "creditMemo")
        assert (memo["total"], memo["applied"], memo["unapplied"]) == (595.0, 297.5, 297.5)
        after = scene.record("invoice", invoice["id"])
        assert (after["status"], after["returned"]["amount"]) == ("paid", "297.50")
        (shown,) = scene.held("salesforce", "Account")
        assert (shown["Payment_Status__c"], shown["AR_Balance__c"]) == ("paid", "0.00")
        assert await scene.lies() == {"collected": "500.00", "credited": "500.00"}
        await scene.agrees()

    play(place, script)


def test_a_credit_of_one_line_leaves_what_pays_the_others_on_them(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell()
        await scene.worked("4", "2", "2")
        invoice = await scene.bill()
        assert [each["net"]["amount"] for each in invoice["lines"]] == ["400.00", "200.00", "200.00"]
        scene.pays(invoice, 47600)  # exactly what the first line costs
        await scene.rest()
        id = await credit(scene, invoice["number"], {1: None})
        assert scene.record("credit_note", id)["of_paid"]["amount"] == "0.00"
        assert await scene.lies() == {"collected": "400.00", "credited": "400.00"}
        assert scene.record("invoice", invoice["id"])["status"] == "paid"
        assert scene.records("unapplied_cash") == []
        await scene.agrees()

    play(place, script)


def test_no_line_is_credited_twice_and_nobody_approves_alone(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        async with scene.database() as db:
            id = await ask_credit(db, invoice["id"], {1: Decimal(600)}, reason="late", by="paula", at=scene.at)
        with pytest.raises(UsageError, match=r"between 0 and 400.00 EUR of line 1 can be credited still"):
            async with scene.database() as db:
                await ask_credit(db, invoice["id"], {1: Decimal(500)}, reason="late", by="paula", at=scene.at)
        with pytest.raises(Conflict, match="somebody else must approve it"):
            async with scene.database() as db:
                await adjusting.approve(db, id, by="paula", at=scene.at)
        async with scene.database() as db:
            await adjusting.refuse(db, id, reason="not agreed", by="fatima", at=scene.at)
        with pytest.raises(Conflict, match="it was refused by fatima already"):
            async with scene.database() as db:
                await adjusting.approve(db, id, by="carla", at=scene.at)
        await credit(scene, invoice["id"], {})
        assert await scene.lies() == {"credited": "1000.00"}
        assert [each["Status__c"] for each in scene.held("salesforce", "Invoice__c")] == ["credited"]
        await scene.agrees()

    play(place, script)
