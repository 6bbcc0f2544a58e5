"""Everything behind PgBouncer in transaction mode: no state of a session is needed, and death changes nothing."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import psycopg

from .bouncer import bouncer
from .postgres import own_postgres
from .scene import scene

SEED = 20261125


async def test_behind_pgbouncer_with_kills(tmp_path: Path) -> None:
    """Workers, server, the pooler itself and PostgreSQL die during the import; migrations went through it, too."""
    chance = random.Random(SEED)
    with own_postgres(tmp_path / "database") as database, bouncer(tmp_path / "bouncer", database.home) as pooler:
        async with scene(tmp_path / "home", pooler.url, deals=300) as here:
            here.serve()
            loading = asyncio.create_task(here.load())
            for what in ("worker", "pooler", "server", "worker", "database", "worker", "pooler", "all"):
                await asyncio.sleep(chance.uniform(1.5, 3))
                if what == "pooler":
                    await asyncio.to_thread(pooler.restart)
                elif what == "database":
                    await asyncio.to_thread(database.restart, "immediate")
                elif what == "server":
                    here.kill_server()
                else:
                    for index in range(3) if what == "all" else (chance.randrange(3),):
                        here.kill_worker(index)
            await loading
            await here.prove("behind PgBouncer", pooler_restarts=2, database_restarts=1)
            assert_no_session_state(pooler.direct)


async def test_behind_pgbouncer_sigstop_is_fenced(tmp_path: Path) -> None:
    """A worker that stands still, perhaps in a transaction, is taken over; its session ends and with it its client."""
    with own_postgres(tmp_path / "database") as database, bouncer(tmp_path / "bouncer", database.home) as pooler:
        async with scene(tmp_path / "home", pooler.url, deals=300) as here:
            loading = asyncio.create_task(here.load())
            for index in (0, 1, 2, 0, 1):
                await asyncio.sleep(1.5)
                here.workers[index].send_signal(signal.SIGSTOP)
                await asyncio.sleep(4)
                here.workers[index].send_signal(signal.SIGCONT)
            await loading
            log = (tmp_path / "home" / "log" / "worker.log").read_text()
            assert "work taken over" in log
            await here.prove("behind PgBouncer, SIGSTOP", begun_anew=log.count("starting anew"))
            assert all(worker.poll() is None for worker in here.workers)
            assert_no_session_state(pooler.direct)


def assert_no_session_state(direct: str) -> None:
    """No lock of a session is left, and nothing was set or prepared in what the pooler lends to everybody."""
    with psycopg.connect(direct) as db:
        held = db.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND a.state = 'idle'"
        ).fetchone()
    assert held == (0,)
