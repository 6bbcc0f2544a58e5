"""Edge case 10: customer merged in CRM while an invoice is in flight."""

from __future__ import annotations

import asyncio

from accord.model.identity import canonical_id
from accord.simulation.database import Database
from accord.workbench import cases
from tests.edge_cases.scene import Scene, play


def test_what_is_in_flight_ends_at_its_account_and_sales_sees_it_on_the_one_that_is_left(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        master = scene._create("Account", Name="Customer Group", CurrencyIsoCode="EUR", BillingCountryCode="DE")
        await scene.rest()
        note = scene.history.note

        def noted(*words: object) -> None:
            note(*words)
            if words[:2] == ("call", "stripe") and str(words[2]).endswith("/finalize"):
                # Issued, and not posted yet: now the two accounts become one.
                scene.history.note = note  # type: ignore[method-assign]
                scene.loop.call_soon(
                    lambda: scene.vendors.act("salesforce", "merge", master=master, merged=[scene.account])
                )

        scene.history.note = noted  # type: ignore[method-assign]
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
        await scene.rest()
        await asyncio.sleep(60)
        (invoice,) = scene.invoices()
        assert invoice["customer_id"] == scene.customer, "it stays with the one it was issued to"
        scene.pays(invoice, 50000)
        await scene.rest()
        # What was on its way to the account that went is refused there; by now it goes to the one that is left.
        for (case,) in scene.server.ask("SELECT id FROM business_case WHERE state = 'open' AND reason = 'rejected'"):
            async with scene.database() as db:
                await cases.retry(db, case, by="ines")
        await scene.rest()
        assert scene.cases() == []
        (account,) = [each for each in scene.held("salesforce", "Account") if each["Id"] == master]
        assert (account["AR_Balance__c"], account["Payment_Status__c"]) == ("690.00", "partially paid")
        assert len(scene.held("stripe", "invoice")) == len(scene.held("netsuite", "invoice")) == 1
        assert await scene.lies() == {"billed": "579.83", "collected": "420.17"}
        await scene.agrees()

    play(place, script)


def test_work_of_a_customer_that_is_gone_is_a_case_with_its_cure(place: Database) -> None:
    """Deleted, not merged: nobody can say who is to pay, until it is back."""

    async def script(scene: Scene) -> None:
        (milestone,) = await scene.sell("1000.00")
        scene.server.tell("UPDATE record SET deleted = true WHERE kind = 'customer'")
        task = canonical_id("task", canonical_id("milestone", "salesforce", milestone))
        scene.vendors.act("netsuite", "approve_milestone", external_id=task, on=scene.today.isoformat())
        await scene.rest()
        assert scene.cases() == ["milestone_not_billable"]
        assert scene.invoices() == []
        scene.vendors.act("salesforce", "update", id=scene.account, fields={"Name": "Customer, again"})
        await scene.rest()
        assert scene.cases() == []
        assert [each["net"]["amount"] for each in scene.invoices()] == ["1000.00"]
        await scene.agrees()

    play(place, script)
