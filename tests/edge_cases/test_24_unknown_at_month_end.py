"""Edge case 24: UNKNOWN at month end with the vendor down."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from accord.engine.states import EffectState
from accord.model.identity import canonical_id
from accord.reconcile import gate
from accord.reconcile.calendar import LateWork, Standing, declare_calendar
from accord.rules.periods import months
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

ISSUES = "SELECT state FROM effect WHERE kind = 'invoice' AND verb = 'issue'"


def test_what_nobody_knows_holds_the_gate_and_is_asked_before_it_is_sent_again(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        note = scene.history.note

        def noted(*words: object) -> None:
            note(*words)
            if words[:2] == ("call", "stripe") and str(words[2]).endswith("/finalize"):
                # It is done there; before anybody hears of it the vendor is gone.
                scene.network.lose_answer = 1.0
            if words[:2] == ("answer lost", "stripe"):
                scene.network.lose_answer = 0.0
                scene.network.down.add("stripe")

        scene.history.note = noted  # type: ignore[method-assign]
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
        await asyncio.sleep(300)
        assert scene.server.ask(ISSUES) == [(EffectState.UNKNOWN,)]
        assert await open_lines(scene) >= {"unknowns"}
        await asyncio.sleep(3600)
        assert scene.server.ask(ISSUES) == [(EffectState.UNKNOWN,)], "nothing is sent again before the probe has spoken"
        scene.network.down.clear()
        await asyncio.sleep(900)  # the longest wait before it is asked about again
        await scene.rest()
        (invoice,) = scene.held("stripe", "invoice")
        assert invoice["status"] == "open"
        assert scene.server.ask(ISSUES) == [(EffectState.COMMITTED,)]
        assert not await open_lines(scene) & {"unknowns", "unposted"}
        await scene.agrees()

    play(place, script)


async def open_lines(scene: Scene) -> set[str]:
    """The lines of the month's gate on which something stands."""
    period = months(scene.today, 1)[0]
    async with scene.database() as db:
        await declare_calendar(db, "DE", [period], LateWork.NEXT_PERIOD, by="fatima")
        of = Standing("DE", period.code, period.starts_on, period.ends_on, LateWork.NEXT_PERIOD, "open", *[None] * 4)
        found = await gate.look(db, of, datetime.combine(period.ends_on, datetime.min.time(), UTC))
    return {each.name for each in found if each.count}
