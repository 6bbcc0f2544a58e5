"""Edge case 11: opportunity re-opened after project creation; closed-won fired twice."""

from __future__ import annotations

from accord.model.identity import canonical_id
from accord.simulation.database import Database
from accord.workbench import cases
from tests.edge_cases.scene import Scene, play

RUNS = "SELECT count(*) FROM process WHERE name = 'quote_to_project'"
QUESTION = "SELECT id FROM business_case WHERE state = 'open' AND question ->> 'key' = 'decision:reopened'"


def test_a_deal_that_is_reopened_and_won_again_is_one_project_and_bills_once_somebody_says_so(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        before = scene.held("netsuite", "job")
        scene.vendors.act("salesforce", "reopen", opportunity=scene.opportunity)
        await scene.rest()
        assert scene.record("engagement", scene.engagement)["status"] == "reopened"
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
        await scene.rest()
        assert scene.invoices() == [], "nothing is billed while nobody knows what the re-opening means"
        scene.vendors.act("salesforce", "close_won", opportunity=scene.opportunity)
        await scene.rest()
        # The same change is told once more, as a push that comes twice.
        scene.vendors.act("salesforce", "update", id=scene.opportunity, fields={"StageName": "Closed Won"})
        await scene.rest()
        assert scene.server.ask(RUNS) == [(1,)]
        assert scene.held("netsuite", "job") == before
        ((question,),) = scene.server.ask(QUESTION)
        async with scene.database() as db:
            await cases.answer(db, question, "bill on", by="petra")
        await scene.rest()
        (invoice,) = scene.invoices()
        assert (invoice["net"]["amount"], invoice["status"]) == ("1000.00", "open")
        assert scene.cases() == []
        await scene.agrees()

    play(place, script)
