"""A milestone that is approved at the moment at which a signed change order gives it another amount.

Whichever is first: the invoice, the schedule and the contract say the same amount, or somebody is asked about the rest.
"""

from __future__ import annotations

import pytest

from accord.model.identity import canonical_id
from accord.simulation.books import check_books
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

RAISED, BILLED_BEFORE = "1200.00", "1000.00"


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("first", ["approval", "change"])
def test_it_is_billed_by_one_amount_and_nothing_is_lost_of_the_other(
    place: Database, first: str, seconds: float
) -> None:
    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell(BILLED_BEFORE)
        id = canonical_id("milestone", "salesforce", milestone)
        task = canonical_id("task", id)

        def approve() -> None:
            scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())

        def change() -> None:
            signed = {"Change_Order__c": "CO-1", "Change_Order_Signed__c": scene.today.isoformat()}
            scene.vendors.act("salesforce", "update", id=milestone, fields={"Amount__c": 1200, **signed})

        one, other = (approve, change) if first == "approval" else (change, approve)
        one()
        scene.loop.call_later(seconds, other)
        await scene.rest()
        (invoice,) = scene.invoices()
        schedule = scene.record("scheduled_milestone", id)
        assert schedule["status"] == "billed"
        assert schedule["amount"] == invoice["net"]
        # Either the change came in time, or there is a case about a milestone that was billed before it.
        expected = [] if invoice["net"]["amount"] == RAISED else ["billed_milestone_changed"]
        assert scene.cases() == expected
        assert invoice["net"]["amount"] in (RAISED, BILLED_BEFORE)
        async with scene.database() as db:
            assert await check_books(db) == []

    play(place, script)
