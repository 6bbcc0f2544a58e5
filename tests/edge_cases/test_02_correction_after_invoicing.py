"""Edge case 2: a correction (negative) entry after invoicing becomes a credit line or an offset on the next invoice, by
the policy of the terms."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from accord.ledger import adjusting
from accord.ledger.explaining import disagreements
from accord.ledger.proposing import propose
from accord.model.terms import CorrectionPolicy
from accord.model.work import WorkEntry
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play


def corrected(scene: Scene, n: int, hours: str) -> WorkEntry:
    return replace(scene.entry(n, hours), note="corrected")


async def billed_and_corrected(scene: Scene, policy: CorrectionPolicy, *hours: str) -> dict[str, Any]:
    """Two persons' work is invoiced, then the first one's is corrected to so many hours; the invoice."""
    await scene.sell()
    await scene.worked("8", "2", corrections=policy)
    invoice = await scene.bill()
    await scene.tell(*(corrected(scene, n, each) for n, each in enumerate(hours, 1)))
    await scene._still(60)
    return invoice


async def explained(scene: Scene) -> list[Any]:
    async with scene.database() as db:
        return [each async for each in disagreements(db)]


def test_by_the_policy_next_invoice_the_correction_lessens_the_next_one(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await billed_and_corrected(scene, CorrectionPolicy.NEXT_INVOICE, "6")
        await scene.tell(scene.entry(3, "5"))
        invoice = await scene.bill()
        assert invoice["net"]["amount"] == "300.00"
        assert await scene.lies() == {"billed": "1300.00"}
        assert scene.records("credit_note") == []
        scene.pays(invoice)
        await scene.rest()
        assert await scene.lies() == {"billed": "1000.00", "collected": "300.00"}
        assert await explained(scene) == []
        await scene.agrees()

    play(place, script)


def test_by_the_policy_credit_note_it_is_a_credit_of_its_line_that_somebody_approves(place: Database) -> None:
    async def script(scene: Scene) -> None:
        invoice = await billed_and_corrected(scene, CorrectionPolicy.CREDIT_NOTE, "6")
        scene.pays(invoice)
        await scene.rest()
        async with scene.database() as db:
            assert (await propose(db, scene.today, at=scene.at, by="paula")).proposals == 0
            (asked,) = await adjusting.waiting(db)
        assert (asked.amount, asked.about) == (Decimal("238.00"), invoice["id"])
        assert await scene.lies() == {"collected": "1000.00", "draft": "-200.00"}
        async with scene.database() as db:
            await adjusting.approve(db, asked.id, by="fatima", at=scene.at)
        await scene.rest()
        (issued,) = scene.held("stripe", "credit_note")
        assert (issued["total"], issued["out_of_band_amount"]) == (23800, 23800)
        assert await scene.lies() == {"collected": "800.00"}
        assert [each["amount"]["amount"] for each in scene.records("unapplied_cash")] == ["238.00"]
        assert await explained(scene) == []
        await scene.agrees()

    play(place, script)


def test_a_correction_upwards_waits_for_the_next_invoice_under_either_policy(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await billed_and_corrected(scene, CorrectionPolicy.CREDIT_NOTE, "9", "1")
        invoice = await scene.bill()
        assert invoice["net"]["amount"] == "100.00"
        async with scene.database() as db:
            (asked,) = await adjusting.waiting(db)
            assert asked.amount == Decimal("119.00")
            await adjusting.refuse(db, asked.id, reason="let it be", by="fatima", at=scene.at)
        assert await scene.lies() == {"billed": "1100.00", "wip": "-100.00"}
        await scene.agrees()

    play(place, script)
