"""The same flow by DBOS 3.4 on the same PostgreSQL: `python -m bench.dbos_flow URL FLOWS` prints flows a second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict


def run(url: str, *, flows: int = 300) -> dict[str, Any]:
    """In a process of its own: DBOS keeps threads."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.dbos_flow", url, str(flows)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def work(url: str, flows: int) -> None:
    import asyncio

    from dbos import DBOS

    parts = conninfo_to_dict(url)
    address = f"postgresql+psycopg://{parts['user']}@/{parts['dbname']}?host={quote(str(parts['host']))}"
    DBOS(config={"name": "bench", "system_database_url": address, "log_level": "ERROR", "enable_otlp": False})

    @DBOS.step()
    async def put(number: int) -> dict[str, Any]:
        return {"vendor_id": None, "number": number}

    @DBOS.workflow()
    async def five(flow: int) -> str:
        for number in range(5):
            await put(flow * 5 + number)
        return "done"

    DBOS.launch()

    async def main() -> float:
        await (await DBOS.start_workflow_async(five, -1)).get_result()  # warm
        started = time.perf_counter()
        waiting = asyncio.Semaphore(32)

        async def one(flow: int) -> None:
            async with waiting:
                await (await DBOS.start_workflow_async(five, flow)).get_result()

        await asyncio.gather(*(one(flow) for flow in range(flows)))
        return flows / (time.perf_counter() - started)

    speed = asyncio.run(main())
    DBOS.destroy()
    print(json.dumps({"flows_per_second": round(speed, 1), "flows": flows}))


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
