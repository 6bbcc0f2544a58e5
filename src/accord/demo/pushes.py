"""Subscribes the platform to what the simulated vendors push, as an administrator would at the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.app import House, open_switchboard
from accord.connect.store import Connection, load_connection, save_connection
from accord.connectors.stripe import register_webhook
from accord.db.pool import transaction
from accord.demo.world import World

OUTBOUND_OBJECTS = ("Opportunity", "Account", "Contract", "SOW_Milestone__c", "SOW_Phase__c", "Managed_Service__c")


async def subscribe(
    house: House, sandbox: Mapping[str, Mapping[str, Any]], base_url: str, secrets: Mapping[str, str]
) -> None:
    """Pushes of every vendor go to `base_url`; what Stripe tells us to verify them by goes into the vault."""
    switchboard = await open_switchboard(house)
    try:
        async with World(sandbox, switchboard.session("salesforce")) as world:
            door = f"{base_url}/in"
            for name in OUTBOUND_OBJECTS:
                url = f"{door}/salesforce/{secrets['salesforce']}"
                await world.happen("salesforce", "subscribe_outbound", object=name, url=url)
            await world.happen(
                "netsuite", "subscribe", record="projectTask", url=f"{door}/netsuite", secret=secrets["netsuite"]
            )
        _, signing = await register_webhook(switchboard.session("stripe"), f"{door}/stripe")
    finally:
        await switchboard.close()
    await _keep(house, "stripe", {"webhook_secret": signing})


async def _keep(house: House, name: str, more: Mapping[str, str]) -> None:
    async with transaction(house.pool) as db:
        known = await load_connection(db, house.vault, name)
        credentials = {**known.credentials, **more}
        await save_connection(db, house.vault, Connection(name, known.vendor, known.config, credentials))
