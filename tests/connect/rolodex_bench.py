"""Rolodex on the bench: the connector of docs/how-to/add-a-vendor.md and its simulator over HTTPS."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from accord.connect.conformance import Bench, PushCase, ReadCase, WriteCase
from accord.connect.connector import Connector
from accord.connect.store import Connection
from accord.engine.outcomes import Write
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.serve import serve
from tests.connect.rolodex import WEBHOOK_SECRET, Rolodex

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-vendor.md"


def connector_of_the_page() -> Connector:
    """What a reader has who follows the page to its end."""
    module = ModuleType("rolodex_of_the_page")
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    connector: Connector = module.CONNECTOR
    return connector


def write_of(number: int, name: str = "Ada & Söhne", **body: Any) -> Write:
    """The n-th write: a customer of its own, owing nothing, which must survive."""
    id = f"CUS-{number:016}"
    receivable = {"amount": "0.00", "currency": "EUR"}
    return Write(
        number, f"key-{number}", "customer", "put", id, {"id": id, "legal_name": name, "receivable": receivable, **body}
    )


@asynccontextmanager
async def rolodex_bench(connector: Connector, folder: Path) -> AsyncIterator[tuple[Bench, Rolodex]]:
    rolodex = Rolodex()
    async with serve([rolodex], state_dir=folder) as running:
        served = running["rolodex"]
        settings = {"base_url": served.url, "ca_file": str(served.ca_file)}
        credentials = {**rolodex.credentials(served.url), "webhook_secret": WEBHOOK_SECRET}
        yield (
            Bench(
                connector=connector,
                connection=Connection("cards", "rolodex", {**settings}, credentials),
                inject=lambda kind, **options: rolodex.faults.add(Fault(kind, **options)),  # type: ignore[arg-type]
                calls=lambda: [(each["method"], each["path"]) for each in served.journal.as_json(1000)["last"]],
                now=lambda: datetime.now(UTC),
                reading=[
                    ReadCase(
                        kind="customer",
                        seed=lambda n: [rolodex.file(f"Card {each}") for each in range(n)],
                        change=rolodex.touch,
                        many=35,
                        next_page=r"[?&]after=C",
                        rename={"object": "customer", "field": "name", "to": "full_name"},
                    )
                ],
                writing=[
                    WriteCase(
                        kind="customer",
                        verb="put",
                        make=write_of,
                        held=lambda write: rolodex.held(write.canonical_id),
                        path="^/customers/ref:",
                        method="PUT",
                        refused=lambda: write_of(99, name="nobody"),
                    )
                ],
                pushing=[PushCase(name="changed", make=rolodex.push, secrets={"webhook_secret": WEBHOOK_SECRET})],
                token_path="^/token",
                peak=lambda: rolodex.peak,
            ),
            rolodex,
        )
