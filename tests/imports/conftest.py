"""A small pipeline to change at will, the real one where it lies, and a simulated Salesforce to load into."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accord.connect.authenticator import StaticBearer
from accord.connect.session import Session
from accord.connectors.salesforce.errors import classify
from accord.imports.salesforce_client import SalesforceClient
from accord.sandbox.kit.clock import ShiftableClock
from accord.sandbox.kit.serve import Served, serve
from accord.sandbox.salesforce import SalesforceSimulator, build

FILES = {
    "accounts.csv": [
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of",
        "Betatech,medical,1986,647.18,1185,Kenya,",
        "Codehow,software,1998,2714.9,2641,United States,Acme Corporation",
        "Acme Corporation,technolgy,1996,1100.04,2822,Philipines,",
    ],
    "products.csv": ["product,series,sales_price", "GTX Pro,GTX,4821", "MG Special,MG,55"],
    "sales_teams.csv": [
        "sales_agent,manager,regional_office",
        "Moses Frase,Dustin Brinkmann,Central",
        "Vicki Laflamme,Celia Rouche,West",
        "Carl Lin,Summer Sewald,West",
    ],
    "sales_pipeline.csv": [
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value,engage_quarter,close_quarter",
        "WON00001,Moses Frase,GTXPro,Codehow,Won,20-10-16,01-03-17,4514,Q4 2016,Q1 2017",
        "WON00002,Vicki Laflamme,MG Special,Betatech,Won,25-10-16,11-03-17,50,Q4 2016,Q1 2017",
        "LOST0001,Moses Frase,MG Special,Acme Corporation,Lost,25-10-16,31-12-17,0,Q4 2016,Q4 2017",
        "ENGAGE01,Vicki Laflamme,MG Special,,Engaging,25-10-16,,,Q4 2016,",
        "PROSPEC1,Moses Frase,GTX Pro,Acme Corporation,Prospecting,,,,,",
    ],
}  # fmt: skip

Write = Callable[..., Path]


@pytest.fixture
def write_pipeline(tmp_path: Path) -> Write:
    """Writes the small pipeline; `write_pipeline(sales_pipeline=[...])` adds rows, a str replaces the whole file."""

    def write(**more: list[str] | str) -> Path:
        folder = tmp_path / "pipeline"
        folder.mkdir(exist_ok=True)
        for file, lines in FILES.items():
            extra = more.get(file.removesuffix(".csv"), [])
            content = extra if isinstance(extra, str) else "\r\n".join([*lines, *extra]) + "\r\n"
            (folder / file).write_bytes(content.encode())
        return folder

    return write


def shared_folder(name: str) -> Path:
    """Public data, which is not part of the project: ACCORD_SHARED_DATA names the folder that holds it."""
    shared = Path(os.environ.get("ACCORD_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    folder = shared / name
    if not folder.is_dir():
        pytest.fail(f"There is no {folder}: name the folder of the shared data in ACCORD_SHARED_DATA.")
    return folder


@pytest.fixture(scope="session")
def real_pipeline() -> Path:
    """The public pipeline."""
    return shared_folder("crm-pipeline")


@pytest.fixture(scope="session")
def real_time() -> Path:
    """The public task time."""
    return shared_folder("sip-time")


@pytest.fixture
def simulator() -> SalesforceSimulator:
    return build(clock=ShiftableClock())


@pytest.fixture
async def served(simulator: SalesforceSimulator, tmp_path: Path) -> AsyncIterator[Served]:
    async with serve([simulator], state_dir=tmp_path / "ca") as running:
        yield running["salesforce"]


@pytest.fixture
async def crm(served: Served) -> AsyncIterator[SalesforceClient]:
    """A client over HTTPS that never really waits."""
    credentials = served.simulator.credentials(served.url)
    session = Session(
        "salesforce",
        base_url=served.url,
        authenticator=StaticBearer(credentials["session_id"]),
        now=lambda: datetime.now(UTC),
        classify=classify,
        config={"ca_file": str(served.ca_file)},
    )
    async with session:
        yield SalesforceClient(session, wait=no_wait)


async def no_wait(_seconds: float) -> None:
    """Time that a test has no use for."""


def rows(simulator: Any, object_name: str, key: str = "Legacy_Id__c") -> dict[str, dict[str, Any]]:
    """The records of the simulated org by a key."""
    return {row[key]: row for row in simulator.dump()[object_name] if row[key]}
