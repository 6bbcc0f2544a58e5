"""Edge case 25: replay must not resend e-mails/payments (effects fenced from recomputation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accord.engine.replaying import Replayed, replay_process
from accord.engine.story import Process
from accord.model.billing import Invoice
from accord.model.events import Fact
from accord.processes import PROCESSES
from accord.processes.billing_steps import notice
from accord.processes.known import known
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

RUNS = "SELECT id, name FROM process WHERE end_state IS NOT NULL ORDER BY id"
WRITTEN = "SELECT (SELECT count(*) FROM effect), (SELECT count(*) FROM event), (SELECT count(*) FROM transfer)"


async def _also_tells(received: Fact) -> dict[str, object]:
    """The next release of the story of a payment: the account team gets a message more."""
    result = await PROCESSES["invoice_to_cash"].story(received)
    invoice = await known("invoice", str(received.payload["invoice_id"]), Invoice)
    assert invoice is not None
    await notice(invoice, "paid", "It is paid", "Thank you.")
    return dict(result)


async def replayed(scene: Scene, processes: Mapping[str, Process]) -> dict[str, Replayed]:
    found = {}
    for id, name in scene.server.ask(RUNS):
        async with scene.database() as db:
            found[name] = await replay_process(db, processes, id)
    return found


def everything(scene: Scene) -> tuple[Any, ...]:
    """What was written here, and what every vendor holds: messages and payments too."""
    return (scene.server.ask(WRITTEN), scene.holdings())


def test_stories_played_again_ask_for_what_was_done_and_do_none_of_it_again(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice)
        await scene.rest()
        scene.vendors.act("stripe", "dispute_invoice", invoice=invoice["billing_ref"])
        await scene.rest()
        before = everything(scene)
        found = await replayed(scene, PROCESSES)
        assert {"quote_to_project", "milestone_to_bill", "invoice_to_cash"} <= set(found)
        assert [(name, each.differences) for name, each in found.items() if not each.same] == []
        changed = replace(PROCESSES["invoice_to_cash"], story=_also_tells)
        cash = (await replayed(scene, {**PROCESSES, "invoice_to_cash": changed}))["invoice_to_cash"]
        assert len(cash.differences) == 1
        assert "It is paid" in cash.differences[0]
        await scene.rest()
        assert everything(scene) == before, "what a changed story would do now is told, and not done"
        await scene.agrees()

    play(place, script)
