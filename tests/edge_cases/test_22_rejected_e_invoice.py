"""Edge case 22: rejected e-invoice after ERP posting."""

from __future__ import annotations

from typing import Any

import pytest

from accord.ledger import adjusting
from accord.ledger.crediting import ask_credit
from accord.records.observe import Seen, apply
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

HELD = "SELECT body ->> 'on_hold', state FROM effect WHERE kind = 'receivable_hold' ORDER BY id"
REASON = "the buyer reference is missing"


async def network_says(scene: Scene, invoice: dict[str, Any], status: str, attempt: int = 1) -> None:
    """As a connection to an e-invoicing network would show it."""
    body = {"invoice_id": invoice["id"], "status": status, "attempt": attempt, "reason": REASON}
    version = f"{attempt} {['sent', 'rejected', 'accepted'].index(status)}"
    seen = Seen("e_invoice", "DOC-1", version, body)
    async with scene.database() as db:
        await apply(db, "peppol", frozenset({"e_invoicing"}), [seen], scene.at)
    await scene.rest()


async def credited(scene: Scene, invoice: dict[str, Any]) -> None:
    async with scene.database() as db:
        id = await ask_credit(
            db, invoice["number"], {1: None}, reason="rejected by the network", by="paula", at=scene.at
        )
    async with scene.database() as db:
        await adjusting.approve(db, id, by="fatima", at=scene.at)
    await scene.rest()


@pytest.mark.parametrize("cure", ["sent again", "credited"])
def test_a_rejected_document_is_a_case_with_its_reason_and_the_receivable_waits(place: Database, cure: str) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        await network_says(scene, invoice, "sent")
        assert scene.cases() == []
        await network_says(scene, invoice, "rejected")
        await network_says(scene, invoice, "rejected")
        assert scene.cases() == ["e_invoice_rejected"]
        ((problems,),) = scene.server.ask("SELECT problems::text FROM business_case WHERE state = 'open'")
        assert REASON in problems
        assert scene.server.ask(HELD) == [("true", 2)]
        assert await scene.lies() == {"billed": "1000.00"}, "posted is posted: the ledger does not forget it"
        if cure == "sent again":
            await network_says(scene, invoice, "sent", 2)
            assert scene.server.ask(HELD) == [("true", 2)], "sent is not accepted"
            await network_says(scene, invoice, "accepted", 2)
        else:
            await credited(scene, invoice)
            assert await scene.lies() == {"credited": "1000.00"}
        assert scene.cases() == []
        assert scene.server.ask(HELD) == [("true", 2), ("false", 2)]
        assert len(scene.held("netsuite", "invoice")) == 1
        await scene.agrees()

    play(place, script)
