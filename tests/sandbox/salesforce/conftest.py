"""A simulated org with two virtual clocks, called by raw requests; and one served over HTTPS for the real client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.inprocess import InProcess
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.kit.simulator import ManualClock, Response
from accord.sandbox.salesforce import SalesforceSimulator, build

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
V = "/services/data/v67.0"


@dataclass
class Caller:
    """Raw calls against the core, without a socket."""

    simulator: SalesforceSimulator
    clock: ManualClock
    wall: ManualClock

    def __post_init__(self) -> None:
        self.door = InProcess(self.simulator, wall=self.wall)
        self.token = self.simulator.tokens.open()

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
        url = path if path.startswith("/services") else f"{V}/{path}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body, default=str).encode()
        return self.door.send(method, url, {"authorization": f"Bearer {self.token}", **(headers or {})}, raw)

    def ask(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.send(method, path, body, named)
        assert response.status == status, (response.status, response.body)
        return json.loads(response.body) if response.body else None

    def refused(self, method: str, path: str, body: Any = None, status: int = 400) -> tuple[str, str]:
        (error,) = self.ask(method, path, body, status)
        return error["errorCode"], error["message"]

    def query(self, text: str, status: int = 200, *, everything: bool = False, **headers: str) -> Any:
        name = "queryAll" if everything else "query"
        return self.ask("GET", f"{name}?q={quote(text)}", None, status, **headers)

    def records(self, text: str) -> list[Any]:
        return [{k: v for k, v in row.items() if k != "attributes"} for row in self.query(text)["records"]]

    def make(self, name: str, **fields: Any) -> str:
        made: str = self.ask("POST", f"sobjects/{name}", fields, 201)["id"]
        return made

    def account(self, **fields: Any) -> str:
        return self.make("Account", **{"Name": "Acme", **fields})

    def opportunity(self, **fields: Any) -> str:
        usual = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-11-30"}
        return self.make("Opportunity", **{**usual, **fields})

    def happen(self, action: str, **arguments: Any) -> Any:
        return self.simulator.admin(action, arguments)

    def later(self, **duration: float) -> None:
        self.clock.at += timedelta(**duration)

    def fault(self, kind: Any, **options: Any) -> None:
        self.simulator.faults.add(Fault(kind, **options))

    def row(self, id: str) -> dict[str, Any]:
        found = self.simulator.org.find(id)
        assert found is not None
        return found[1]


@pytest.fixture
def caller() -> Caller:
    clock, wall = ManualClock(START), ManualClock(START)
    return Caller(build(clock=clock, wall=wall), clock, wall)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The org over HTTPS, on a loop of its own thread: the real client blocks."""
    simulator = build(clock=ShiftableClock())
    ready, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def run() -> None:
        async with serve([simulator], state_dir=tmp_path) as running:
            found["served"], found["loop"] = running["salesforce"], asyncio.get_running_loop()
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20)
    yield found["served"]
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(20)
