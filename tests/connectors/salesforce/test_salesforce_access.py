"""Logging in, and staying in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from accord.connect.failures import AccessRefused, CallFailed, outcome_of
from accord.connect.registry import open_session
from accord.connectors.salesforce import CONNECTOR
from accord.connectors.salesforce.access import NoWayIn, auth
from accord.engine.outcomes import Misconfigured
from tests.connectors.salesforce.conftest import Desk, connection_of


def _session(desk: Desk, **settings: Any) -> Any:
    connection = connection_of(desk.served, **settings)
    return open_session(connection, now=lambda: datetime.now(UTC), table=CONNECTOR)


@pytest.mark.parametrize("grant", ["jwt_bearer", "client_credentials", "refresh_token", "session"])
async def test_every_way_in(desk: Desk, grant: str) -> None:
    async with _session(desk, grant=grant) as session:
        assert desk.simulator.org.id in await CONNECTOR.check(session)


async def test_an_app_nobody_approved_is_the_connections_trouble(desk: Desk) -> None:
    desk.simulator.admin("approve_app", {"approved": False})
    async with _session(desk) as session:
        with pytest.raises(AccessRefused, match="approved") as refused:
            await CONNECTOR.check(session)
    assert isinstance(outcome_of(refused.value), Misconfigured)


async def test_a_session_outlives_a_shift_of_the_business_clock(desk: Desk) -> None:
    await CONNECTOR.check(desk.session)
    desk.org.later(90 * 86_400)
    before = [path for _, path in desk.calls()].count("/services/oauth2/token")
    await CONNECTOR.check(desk.session)
    assert [path for _, path in desk.calls()].count("/services/oauth2/token") == before


async def test_a_spent_session_cannot_be_renewed_without_credentials(desk: Desk) -> None:
    async with _session(desk, grant="session") as session:
        desk.simulator.admin("revoke_tokens", {})
        with pytest.raises(CallFailed):
            await CONNECTOR.check(session)


def test_no_way_in_is_one_sentence() -> None:
    with pytest.raises(NoWayIn, match="client_secret"):
        auth({"client_id": "x", "base_url": "https://x"})
