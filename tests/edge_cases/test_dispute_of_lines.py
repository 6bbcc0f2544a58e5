"""A dispute of lines: the evidence is kept with it, the rest stays payable, and what a person decides is carried on."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from accord.errors import Conflict, UsageError
from accord.ledger import adjusting, disputing
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play


async def disputed(scene: Scene, lines: dict[int, Decimal | None]) -> tuple[dict[str, Any], str]:
    """An invoice of work (400.00 and 200.00 net) of which lines are disputed; it and the dispute."""
    await scene.sell()
    await scene.worked("4", "2")
    invoice = await scene.bill()
    async with scene.database() as db:
        id = await disputing.open_dispute(db, invoice["number"], lines, reason="too many hours", by="aron", at=scene.at)
    await scene.rest()
    return invoice, id


def shown(scene: Scene) -> tuple[bool, Any, Any]:
    """Disputed for sales, the disputed amount in the ERP, and whether it holds the whole invoice back."""
    (invoice,), (held,) = scene.held("salesforce", "Invoice__c"), scene.held("netsuite", "invoice")
    return bool(invoice["Disputed__c"]), held["custbody_accord_disputed"], held["custbody_accord_hold"]


def test_the_undisputed_part_is_paid_and_an_upheld_claim_is_owed_as_before(place: Database) -> None:
    async def script(scene: Scene) -> None:
        invoice, id = await disputed(scene, {1: Decimal("100.00")})
        assert shown(scene) == (True, 119, False)
        assert await scene.lies() == {"billed": "500.00", "disputed": "100.00"}
        (task,) = [each for each in scene.held("salesforce", "Task") if "disputed" in each["Subject"]]
        assert "119.00 EUR" in task["Description"]
        scene.pays(invoice, 59500)
        await scene.rest()
        assert await scene.lies() == {"collected": "500.00", "disputed": "100.00"}
        with pytest.raises(UsageError, match=r"between 0 and 300.00 EUR of line 1"):
            async with scene.database() as db:
                await disputing.open_dispute(db, invoice["id"], {1: Decimal(301)}, reason="x", by="aron", at=scene.at)
        async with scene.database() as db:
            assert (
                await disputing.decide(db, id, "uphold", note="the hours are signed", by="fatima", at=scene.at) is None
            )
        with pytest.raises(Conflict, match="decided already: uphold"):
            async with scene.database() as db:
                await disputing.decide(db, id, "credit", note="x", by="fatima", at=scene.at)
        await scene.rest()
        assert shown(scene) == (False, 0, False)
        assert await scene.lies() == {"billed": "100.00", "collected": "500.00"}
        assert scene.record("line_dispute", id)["status"] == "closed"
        await scene.agrees()

    play(place, script)


def test_the_packet_proves_each_line_to_entry_approval_rate_and_clause(place: Database) -> None:
    async def script(scene: Scene) -> None:
        _, id = await disputed(scene, {2: None})
        async with scene.database() as db:
            _, packet = await disputing.show(db, id)
        (line,) = packet["lines"]
        (item,) = line["items"]
        assert (line["line"], line["net"]["amount"], line["agrees"]) == (2, "200.00", True)
        assert (item["amount"], item["recomputed"]) == ("200.00", "200.00")
        assert (item["entry"]["worker"], item["entry"]["quantity"], item["entry"]["approved_by"]) == (
            "person 2", "2", "paul",
        )  # fmt: skip
        assert (item["rate"]["clause"], item["clause"], item["terms_version"]) == ("4.1", "SOW 4", 1)
        await scene.tell(scene.entry(2, "1"))
        async with scene.database() as db:
            assert (await disputing.show(db, id))[1] == packet, "it stays as it was when the dispute was opened"

    play(place, script)


@pytest.mark.parametrize("outcome", ["credit", "rebill"])
def test_what_was_decided_for_the_customer_is_credited_once_somebody_else_agrees(place: Database, outcome: str) -> None:
    async def script(scene: Scene) -> None:
        invoice, id = await disputed(scene, {1: None})
        scene.pays(invoice)
        await scene.rest()
        assert await scene.lies() == {"collected": "600.00"}, "who pays what he disputes has paid"
        async with scene.database() as db:
            credit = await disputing.decide(db, id, outcome, note="agreed", by="fatima", at=scene.at)
            assert credit is not None
        with pytest.raises(Conflict, match="somebody else"):
            async with scene.database() as db:
                await adjusting.approve(db, credit, by="fatima", at=scene.at)
        async with scene.database() as db:
            await adjusting.refuse(db, credit, reason="by half", by="carla", at=scene.at)
            credit = await disputing.decide(db, id, outcome, note="agreed", by="fatima", at=scene.at)
            assert credit is not None
            await adjusting.approve(db, credit, by="carla", at=scene.at)
        await scene.rest()
        await scene._still(90)
        assert shown(scene) == (False, 0, False)
        rebilled = {"reversed": "-400.00", "wip": "400.00"} if outcome == "rebill" else {}
        assert await scene.lies() == {"collected": "200.00", "credited": "400.00", **rebilled}
        assert scene.record("line_dispute", id)["status"] == "closed"
        assert [each["total"] for each in scene.held("stripe", "credit_note")] == [47600]
        assert [each["amount"]["amount"] for each in scene.records("unapplied_cash")] == ["476.00"]
        await scene.agrees()

    play(place, script)


def test_a_dispute_that_nobody_answers_becomes_a_case_of_its_owner(place: Database) -> None:
    async def script(scene: Scene) -> None:
        _, id = await disputed(scene, {1: None})
        async with scene.database() as db:
            assert [each.id for each in await disputing.disputes(db)] == [id]
        scene._skip_to(16)
        await asyncio.sleep(10)  # virtual seconds, in which the workers look at their timers
        await scene.rest()
        rows = scene.server.ask("SELECT owner, title FROM business_case WHERE state = 'open'")
        assert [row[0] for row in rows] == ["finance"]
        assert id in rows[0][1]

    play(place, script)
