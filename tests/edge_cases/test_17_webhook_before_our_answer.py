"""Edge case 17: webhook before our own API response; webhook for object we have not stored; duplicate id with different
body. (The time systems' pushes are in tests of their own.)"""

from __future__ import annotations

import asyncio

import psycopg

from accord.api.shelf import Shelf
from accord.connect.translation import Translation
from accord.db.pool import Pool
from accord.model.identity import canonical_id
from accord.simulation.database import Database
from tests.connect.exchange import NOW, Exchange, opened, payment, push, rows
from tests.edge_cases.scene import Scene, play

ISSUES = "SELECT count(*), min(state), max(state) FROM effect WHERE kind = 'invoice' AND verb = 'issue'"


def test_webhooks_that_overtake_our_own_answers_and_tell_of_what_is_not_stored_yet(place: Database) -> None:
    """Every call is done at once and answered seconds later: what billing pushes of an invoice comes before its id, its
    number and its amount are known, and its payment before it is posted."""

    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        scene.network.slow = 1.0
        told: list[tuple[str, ...]] = []
        note = scene.history.note

        def noted(*words: object) -> None:
            told.append(tuple(map(str, words)))
            note(*words)
            if told[-1][:2] == ("call", "stripe") and told[-1][2].endswith("/finalize"):
                # It is paid before we know that it was issued.
                (invoice,) = scene.held("stripe", "invoice")
                scene.loop.call_soon(lambda: scene.pays({"billing_ref": invoice["id"]}))

        scene.history.note = noted  # type: ignore[method-assign]
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
        await asyncio.sleep(300)
        scene.network.slow = 0.0
        await scene.rest()
        finalized = next(n for n, words in enumerate(told) if words[2:] and words[2].endswith("/finalize"))
        assert ("push", "stripe", "200") in told[finalized:], "the pushes were to come while the answer was on its way"
        (invoice,) = scene.invoices()
        assert (invoice["status"], invoice["paid"]["amount"]) == ("paid", "1190.00")
        assert scene.server.ask(ISSUES) == [(1, 2, 2)]
        assert await scene.lies() == {"collected": "1000.00"}
        await scene.agrees()

    play(place, script)


async def test_an_id_that_comes_again_with_another_body_is_kept_flagged_and_not_mistaken_for_the_first(
    pool: Pool, database_url: str
) -> None:
    switchboard = await opened(pool, Exchange())
    shelf = Shelf(lambda: psycopg.AsyncConnection.connect(database_url, autocommit=True))
    first, other = push("a", payment(1)), push("a", payment(1, version="2", note="corrected"))
    for body in (first, other, first, other):
        await shelf.put("exchange", "a", body, {})
    await shelf.close()
    assert await Translation(pool, switchboard, lambda: NOW).once() == 2
    assert await rows(pool, "SELECT differs, state FROM inbox ORDER BY id") == [(False, 1), (True, 1)]
    assert await rows(pool, "SELECT count(*) FROM event WHERE type = 'payment.received'") == [(1,)]
    assert await rows(pool, "SELECT body ->> 'note', version FROM record WHERE kind = 'payment'") == [("corrected", 1)]
