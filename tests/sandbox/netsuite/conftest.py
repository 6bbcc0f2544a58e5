"""A simulated account with two virtual clocks, called raw, and a served one for the independent client."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from netsuite import Config, NetSuite, TokenAuth

from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.inprocess import InProcess
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.kit.simulator import ManualClock, Response
from accord.sandbox.netsuite import NetSuiteSimulator, build

START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
COLLECTION = "application/vnd.oracle.resource+json; type=collection"


@dataclass
class Caller:
    """Raw calls against the core, logged in, without a socket."""

    simulator: NetSuiteSimulator
    clock: ManualClock
    wall: ManualClock

    def __post_init__(self) -> None:
        self.line = InProcess(self.simulator, wall=self.wall)
        self.token = self.simulator.logins._grant()

    def send(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None, **headers: str
    ) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **named}
        asked = f"?{urlencode(query)}" if query else ""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.line.send(method, f"https://erp.test/services/rest/{path}{asked}", sent, content)

    def put(self, record: str, external_id: str, **fields: Any) -> str:
        answer = self.send("PUT", f"record/v1/{record}/eid:{external_id}", fields)
        assert answer.status == 204, answer.body
        return answer.headers["location"].rpartition("/")[2]

    def patch(self, record: str, external_id: str, fields: Any, query: Mapping[str, Any] | None = None) -> None:
        answer = self.send("PATCH", f"record/v1/{record}/eid:{external_id}", fields, query)
        assert answer.status == 204, answer.body

    def get(self, record: str, external_id: str, **query: str) -> Any:
        answer = self.send(
            "GET", f"record/v1/{record}/eid:{external_id}", query={"expandSubResources": "true", **query}
        )
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def refused(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        status: int = 400,
        **headers: str,
    ) -> Any:
        answer = self.send(method, path, body, query, **headers)
        assert answer.status == status, answer.body
        found = json.loads(answer.body)
        assert found["status"] == status
        return found["o:errorDetails"][0]

    def query(self, sql: str, **query: int) -> list[dict[str, Any]]:
        answer = self.send("POST", "query/v1/suiteql", {"q": sql}, query, prefer="transient")
        assert answer.status == 200, answer.body
        items: list[dict[str, Any]] = json.loads(answer.body)["items"]
        return [{name: value for name, value in item.items() if name != "links"} for item in items]

    def batch(
        self, method: str, record: str, items: list[Any], query: Mapping[str, Any] | None = None, **headers: str
    ) -> Response:
        sent = {"prefer": "respond-async", "content_type": COLLECTION, **headers}
        return self.send(method, f"record/v1/{record}", {"items": items}, query, **sent)

    def result(self, accepted: Response) -> list[Any]:
        """What came of a batch, after the time it takes."""
        assert accepted.status == 202, accepted.body
        self.wall.at += timedelta(minutes=1)
        job = accepted.headers["location"].rpartition("/")[2]
        items: list[Any] = json.loads(self.send("GET", f"async/v1/job/{job}/task/1/result").body)["items"]
        return items

    def firm(self) -> None:
        """Customer CUS-1 of the German entity with project PRJ-1."""
        self.put("customer", "CUS-1", companyName="Acme GmbH", subsidiary={"externalId": "DE"})
        self.put("job", "PRJ-1", companyName="Transformation", entityId="P-1", parent={"externalId": "CUS-1"})

    def invoice(self, external_id: str = "INV-1", amount: float = 1000, tax: float = 190, **fields: Any) -> str:
        items = [{"item": {"externalId": "ACCORD-SERVICES"}, "amount": amount, "taxAmount": tax}]
        return self.put("invoice", external_id, entity={"externalId": "CUS-1"}, item={"items": items}, **fields)

    def payment(self, external_id: str, amount: float, applied: float, invoice: str = "INV-1") -> dict[str, Any]:
        apply = {"items": [{"doc": {"externalId": invoice}, "apply": True, "amount": applied}]}
        return {"externalId": external_id, "customer": {"externalId": "CUS-1"}, "payment": amount, "apply": apply}

    def fault(self, kind: Any, **more: Any) -> None:
        self.simulator.faults.add(Fault(kind, **more))


@pytest.fixture
def caller() -> Caller:
    clock, wall = ManualClock(START), ManualClock(START)
    return Caller(build(clock=clock, wall=wall, seed=7), clock, wall)


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("netsuite-ca")


@pytest.fixture
async def served(state_dir: Path) -> AsyncIterator[Served]:
    async with serve([build(clock=ManualClock(START), seed=7, queue_seconds=0.01)], state_dir=state_dir) as running:
        yield running["netsuite"]


@pytest.fixture
def client(served: Served, monkeypatch: pytest.MonkeyPatch) -> Any:
    """PyPI netsuite, the token-based client of others, pointed at the served account.

    It makes its own HTTP client without a word about authorities, and of httpx, while the signatures it takes from
    authlib are for httpx2 where there is one: it gets httpx2 with our authority.
    """
    trust = ssl.create_default_context(cafile=str(served.ca_file))
    ours = SimpleNamespace(AsyncClient=lambda: httpx2.AsyncClient(verify=trust), Response=httpx2.Response)
    monkeypatch.setattr("netsuite.rest_api_base.httpx", ours)
    given = served.simulator.credentials(served.url)
    auth = TokenAuth(**{name: given[name] for name in ("consumer_key", "consumer_secret", "token_id", "token_secret")})
    api = NetSuite(Config(account=given["account_id"], auth=auth)).rest_api
    api.hostname = served.url.removeprefix("https://")
    return api
