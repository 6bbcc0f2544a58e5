"""Edge case 5: a retroactive rate-card change, prospective or by credit-and-rebill. New terms that hold from an earlier
day price anew only what their policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from accord.ledger import adjusting
from accord.ledger.explaining import disagreements
from accord.ledger.terms import declare
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow, RetroactivePolicy
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

SINCE = date(2026, 1, 6)


async def cheaper(scene: Scene, policy: RetroactivePolicy) -> None:
    """10 h of the 5th, 6th and 7th cost 100.00 each; those of the first two days are invoiced. From the 6th on the hour
    costs 90.00, which is agreed later."""
    await scene.sell()
    await scene.worked("10", "10", "10")
    await scene.bill(SINCE)
    terms = BillingTerms(
        scene.engagement, "DE", 1, "EUR", scene.customer, valid_from=SINCE, retroactive=policy,
        rates=(
            RateRow("R", Money.of("100.00", "EUR"), clause="4.1"),
            RateRow("R2", Money.of("90.00", "EUR"), valid_from=SINCE, clause="Amendment 1"),
        ),
    )  # fmt: skip
    async with scene.database() as db:
        await declare(db, [terms], by="paula")
    await scene.rest()
    await scene._still(90)


async def explained(scene: Scene) -> None:
    async with scene.database() as db:
        assert [each async for each in disagreements(db)] == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetroactivePolicy.PROSPECTIVE, {"billed": "2000.00", "wip": "1000.00"}),
        (RetroactivePolicy.UNBILLED, {"billed": "2000.00", "wip": "900.00"}),
        (RetroactivePolicy.DIFFERENCE, {"billed": "2000.00", "wip": "800.00"}),
    ],
)
def test_what_has_its_price_is_priced_anew_as_far_as_the_policy_says(
    place: Database, policy: RetroactivePolicy, expected: dict[str, str]
) -> None:
    async def script(scene: Scene) -> None:
        await cheaper(scene, policy)
        assert await scene.lies() == expected
        await scene.tell(replace(scene.entry(4, "1"), worked_on=date(2026, 1, 8)))
        await scene.bill()
        assert await scene.lies() == {"billed": str(sum(map(Decimal, expected.values())) + 90)}
        await explained(scene)
        await scene.agrees()

    play(place, script)


def test_by_credit_and_rebill_the_invoiced_line_is_credited_and_invoiced_anew(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await cheaper(scene, RetroactivePolicy.CREDIT_AND_REBILL)
        assert await scene.lies() == {"billed": "2000.00", "wip": "900.00"}
        async with scene.database() as db:
            (asked,) = await adjusting.waiting(db)
            assert asked.reason == "version 2 of the terms holds from 2026-01-06"
            assert [each["line"] for each in asked.body["lines"]] == [2]
            await adjusting.approve(db, asked.id, by="fatima", at=scene.at)
        await scene.rest()
        await scene._still(90)
        assert await scene.lies() == {
            "billed": "1000.00", "credited": "1000.00", "reversed": "-1000.00", "wip": "1800.00",
        }  # fmt: skip
        invoice = await scene.bill()
        assert [each["net"]["amount"] for each in invoice["lines"]] == ["900.00", "900.00"]
        await explained(scene)
        await scene.agrees()

    play(place, script)
