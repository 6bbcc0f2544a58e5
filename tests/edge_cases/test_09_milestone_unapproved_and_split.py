"""Edge case 9: milestone approved, un-approved, split between customers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accord.model.billing import ScheduledMilestone
from accord.model.identity import canonical_id
from accord.model.money import Money, allocate, total
from accord.rules.invoicing import milestone_invoice
from accord.rules.tax import treatment
from accord.simulation.database import Database
from accord.workbench import cases
from tests.edge_cases.scene import Scene, play
from tests.rules.firms import TODAY, customer, firm

QUESTION = "SELECT id, title FROM business_case WHERE state = 'open' AND reason = 'decision'"


@pytest.mark.parametrize("times", [1, 2])
def test_an_approval_that_is_withdrawn_after_the_invoice_is_a_question_and_bills_nothing_twice(
    place: Database, times: int
) -> None:
    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        for _ in range(times):
            scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
            await scene.rest()
            scene.vendors.act("netsuite", "unapprove_milestone", external_id=task)
            await scene.rest()
        for _ in range(times):  # questions about one milestone come one after the other
            ((id, title),) = scene.server.ask(QUESTION)
            assert "was withdrawn" in title
            async with scene.database() as db:
                await cases.answer(db, id, "keep", by="fatima")
            await scene.rest()
        (invoice,) = scene.invoices()
        assert (invoice["status"], scene.cases()) == ("open", [])
        assert await scene.lies() == {"billed": "1000.00"}
        await scene.agrees()

    play(place, script)


def test_a_milestone_that_two_customers_share_is_two_of_the_schedule_that_come_to_the_whole() -> None:
    """The amount is shared to the cent by largest remainder; each customer has its own invoice and its own tax."""
    whole = Money.of("1000.00", "EUR")
    own = firm()
    entity = own.entities["DE"]
    customers = (
        customer(),
        customer(id="CUS-2", country="FR", tax_registration=None),
        customer(id="CUS-3", country="US"),
    )
    shares = allocate(whole, [Decimal(1)] * 3)
    invoices = []
    for share, each in zip(shares, customers, strict=True):
        part = ScheduledMilestone(f"MIL-1-{each.id}", "DEA-1", each.id, "DE", "Go-live", share, TODAY)
        how = treatment(own, entity, each)
        invoices.append(milestone_invoice(part, entity, how, project_id="P", deal_id="DEA-1", terms_days=30))
    assert [str(each.net.amount) for each in invoices] == ["333.34", "333.33", "333.33"]
    assert total((each.net for each in invoices), "EUR") == whole
    assert [str(each.tax.amount) for each in invoices] == ["63.33", "63.33", "0.00"]
    assert len({each.id for each in invoices}) == len({each.lines[0].item_id for each in invoices}) == 3
