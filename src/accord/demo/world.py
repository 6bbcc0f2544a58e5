"""The people and systems outside the platform: what sales, delivery and customers do at the (simulated) vendors."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Self

import aiohttp

from accord.connect.session import Session
from accord.errors import CheckFailed

API = "/services/data/v67.0"


class World:
    """Acts on the simulated vendors: through Salesforce's own API as a salesperson would, and through the simulators'
    admin pages for what happens at the vendors themselves."""

    def __init__(self, sandbox: Mapping[str, Mapping[str, Any]], crm: Session) -> None:
        self._sandbox = sandbox
        self._crm = crm
        trust = ssl.create_default_context(cafile=next(iter(sandbox.values()))["ca_file"])
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def create(self, object_name: str, **fields: Any) -> str:
        """Create one Salesforce record; its id."""
        answer = await self._crm.call("POST", f"{API}/sobjects/{object_name}", json=fields)
        return str(_told(answer.status, answer.json(), f"create {object_name}")["id"])

    async def change(self, object_name: str, id: str, **fields: Any) -> None:
        """Change one Salesforce record."""
        answer = await self._crm.call("PATCH", f"{API}/sobjects/{object_name}/{id}", json=fields)
        _told(answer.status, answer.body.decode(), f"change {object_name}")

    async def query(self, soql: str) -> list[dict[str, Any]]:
        """The records of a SOQL query (one page)."""
        answer = await self._crm.call("GET", f"{API}/query", query={"q": soql})
        records: list[dict[str, Any]] = _told(answer.status, answer.json(), "query")["records"]
        return records

    async def upsert(
        self, object_name: str, external_id: str, records: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Upsert up to 200 records by external id; one result each, in order."""
        path = f"{API}/composite/sobjects/{object_name}/{external_id}"
        typed = [{"attributes": {"type": object_name}, **record} for record in records]
        answer = await self._crm.call("PATCH", path, json={"allOrNone": False, "records": typed}, timeout_seconds=120)
        results: list[dict[str, Any]] = _told(answer.status, answer.json(), f"upsert {object_name}")
        return results

    async def happen(self, vendor: str, action: str, **arguments: Any) -> Any:
        """Let something happen at a vendor (approve a milestone, pay an invoice, shift its clock ...)."""
        told = await self._admin("POST", vendor, f"actions/{action}", arguments)
        return told["result"]

    async def fault(self, vendor: str, **fault: Any) -> None:
        """Let a vendor misbehave."""
        await self._admin("POST", vendor, "faults", fault)

    async def state(self, vendor: str) -> dict[str, list[dict[str, Any]]]:
        """Everything a vendor holds, by kind."""
        state: dict[str, list[dict[str, Any]]] = await self._admin("GET", vendor, "state")
        return state

    async def _admin(self, method: str, vendor: str, path: str, body: Any = None) -> Any:
        url = f"{self._sandbox[vendor]['admin_url'].rstrip('/')}/{path}"
        async with self._http.request(method, url, json=body) as answer:
            return _told(answer.status, await answer.json(content_type=None), f"{vendor} {path}")


def _told(status: int, told: Any, what: str) -> Any:
    if status >= 300:
        raise CheckFailed(f"{what} was answered {status}: {str(told)[:500]}")
    return told
