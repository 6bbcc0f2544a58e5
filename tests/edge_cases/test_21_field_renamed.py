"""Edge case 21: field renamed/picklist value removed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from accord.connect.mapping import Mapping, SchemaField, choice, drift, key, text, version
from accord.connect.observation import observed
from accord.connect.store import load_connection, save_connection
from accord.db.pool import transaction
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

POLL = "UPDATE poll SET next_at = clock_timestamp()"


@pytest.mark.parametrize("cure", ["renamed back", "named in the settings"])
def test_what_cannot_be_read_any_more_is_a_case_and_nothing_told_meanwhile_is_lost(place: Database, cure: str) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("1000.00")
        scene.network.lose_push = 1.0
        field = {"object": "Account", "field": "Tax_Registration__c", "to": "VAT_Number__c"}
        scene.vendors.act("salesforce", "rename_field", **field)
        scene.vendors.act("salesforce", "update", id=scene.account, fields={"Name": "Customer Holding"})
        scene.server.tell(POLL)
        await asyncio.sleep(60)
        assert scene.cases() == ["cannot_be_read"]
        ((title,),) = scene.server.ask("SELECT title FROM business_case WHERE state = 'open'")
        assert "Tax_Registration__c" in title
        assert scene.record("customer", scene.customer)["legal_name"] == "Customer"
        if cure == "renamed back":
            scene.vendors.act("salesforce", "rename_field", object="Account", field=field["to"], to=field["field"])
        else:
            await named_anew(scene, field["to"])
        scene.server.tell(POLL)
        await asyncio.sleep(60)
        await scene.rest()
        assert scene.cases() == []
        assert scene.record("customer", scene.customer)["legal_name"] == "Customer Holding"
        assert [each["companyName"] for each in scene.held("netsuite", "customer")] == ["Customer Holding"]
        await scene.agrees()

    play(place, script)


async def named_anew(scene: Scene, name: str) -> None:
    """The firm's own name of the field, in the connection's settings; workers take it up as they start."""
    async with transaction(scene.house.pool) as db:
        known = await load_connection(db, scene.house.vault, "salesforce")
        config = {**known.config, "fields": {"customer": {"tax_registration.number": name}}}
        await save_connection(db, scene.house.vault, replace(known, config=config))
    for worker in scene.platform.workers:
        scene._kill(worker)
    await asyncio.sleep(10)


MAPPING = Mapping(
    "firm.deal",
    "deal",
    "Opportunity",
    rows=(
        key("Id"),
        version("Modified"),
        text("name", "Name"),
        choice("stage", "Stage", {"Won": "won", "Lost": "lost"}),
    ),
)
SCHEMA = {
    "Id": SchemaField("id", writable=False),
    "Modified": SchemaField("instant", writable=False),
    "Name": SchemaField("text"),
    "Stage": SchemaField("text", choices=("Won", "Lost")),
}


def test_a_picklist_value_that_is_gone_is_told_before_the_first_write_of_it_fails() -> None:
    assert drift(MAPPING, SCHEMA) == ()
    told = drift(MAPPING, SCHEMA | {"Stage": SchemaField("text", choices=("Won", "Closed Lost"))})
    assert [str(each) for each in told] == ["stage / Stage: does not know Lost any more"]


def test_a_record_with_a_value_that_is_not_known_is_read_and_says_so() -> None:
    """The rest of it is taken; nothing is guessed in place of the value."""
    seen = observed(MAPPING, {"Id": "1", "Modified": "2026-11-02T09:00:00Z", "Name": "A deal", "Stage": "Closed Lost"})
    assert dict(seen.body) == {"name": "A deal"}
    assert len(seen.problems) == 1
    assert "Closed Lost" in seen.problems[0]
