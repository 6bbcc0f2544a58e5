"""PgBouncer in transaction mode before a PostgreSQL of the test's own: a program of its own, from the distribution."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from accord.db import embedded, launch
from tests.e2e.commands import free_port

SETTINGS = """
[databases]
* = host={socket} port=5432

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
max_client_conn = 500
default_pool_size = {sessions}
logfile = {folder}/pgbouncer.log
pidfile =
"""
START_SECONDS = 20
# Fewer than the clients of the test have connections, so that each server session is used by all of them.
SESSIONS = 12


class Bouncer:
    """One PgBouncer; `url` is the database through it, `direct` the same past it."""

    def __init__(self, folder: Path, direct: str) -> None:
        self.direct = direct
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            pytest.skip("PgBouncer is not installed (Debian package pgbouncer)")
        self._program = program
        port = free_port()
        user, database = urlsplit(direct).username, urlsplit(direct).path.strip("/")
        self.url = f"postgresql://{user}@127.0.0.1:{port}/{database}"
        folder.mkdir()
        socket = parse_qs(urlsplit(direct).query)["host"][0]
        (folder / "users.txt").write_text(f'"{user}" ""\n')
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(SETTINGS.format(socket=socket, port=port, folder=folder, sessions=SESSIONS))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, identity: str) -> None:
        """Run it as whoever owns the socket: like PostgreSQL it refuses to be root."""
        self._identity = identity
        command = [sys.executable, "-I", "-S", launch.__file__, "run", identity, self._program, str(self._settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._settings.with_name("pgbouncer.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start(self._identity)


@contextmanager
def bouncer(folder: Path, home: Path) -> Iterator[Bouncer]:
    """PgBouncer before the embedded PostgreSQL of `home`."""
    made = Bouncer(folder, embedded.ensure_running(home))
    place = embedded._recorded_place(home)  # noqa: SLF001  (as whom its programs run is nobody else's business)
    assert place is not None
    try:
        made.start(place.identity)
        yield made
    finally:
        made.kill()
