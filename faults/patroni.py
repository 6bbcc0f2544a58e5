"""Three PostgreSQL nodes under Patroni with one etcd, each a process of its own on loopback, ended by its own pid."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.commands import free_port

PROGRAMS = ("patroni", "etcd")
POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
SCOPE, SUPERUSER = "accord", "postgres"
# As short as Patroni's rule (ttl >= loop_wait + 2 * retry_timeout) and two busy cores allow.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 8, 1, 3
START_SECONDS = 120.0
SETTINGS = {
    "max_connections": 100,
    "shared_buffers": "64MB",
    "synchronous_commit": "on",
    "wal_log_hints": "on",
    "max_wal_size": "512MB",
    "wal_keep_size": "256MB",
    "jit": "off",
    "unix_socket_directories": "",
}


def missing() -> str:
    """What is not installed of what a cluster needs; empty when all is there."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return ", ".join([*absent, *([] if (POSTGRESQL / "initdb").exists() else ["PostgreSQL 15"])])


@dataclass
class Node:
    """One PostgreSQL with its Patroni. `port` is PostgreSQL's, `api_port` Patroni's."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    patroni: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        return self.folder / "patroni.yml"

    def postmaster(self) -> int | None:
        try:
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def says(self, path: str) -> Any:
        """What Patroni answers to GET; None when it does not, or not with 200."""
        with contextlib.suppress(OSError), _plain.open(f"http://127.0.0.1:{self.api_port}{path}", timeout=2) as answer:
            return json.load(answer)
        return None


_plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cluster:
    """The nodes, and what is done to them. Everything runs as the user that owns the folder."""

    def __init__(self, folder: Path, owner: pwd.struct_passwd | None) -> None:
        self._folder = folder
        self._owner = owner
        self._etcd: subprocess.Popen[bytes] | None = None
        self._etcd_port = free_port()
        self.nodes = [Node(f"node{number}", folder / f"node{number}") for number in (1, 2, 3)]

    @property
    def url(self) -> str:
        """The address of whichever node takes writes."""
        return self.address("accord")

    def address(self, database: str) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{SUPERUSER}@{hosts}/{database}?target_session_attrs=read-write"

    def start(self) -> None:
        """All three running, one of them leading with a synchronous standby, and an empty database `accord`."""
        self._start_etcd()
        for node in self.nodes:
            node.folder.mkdir(mode=0o700)
            node.configuration.write_text(json.dumps(self._configuration(node)))  # JSON is YAML
            self._owned(node.folder, node.configuration)
            self.begin(node)
        self.settle()
        with psycopg.connect(self.address("postgres"), autocommit=True) as db:
            db.execute("CREATE DATABASE accord")

    def begin(self, node: Node) -> None:
        """Start a node's Patroni, as a service manager would; it brings up PostgreSQL."""
        node.patroni = self._run(["patroni", str(node.configuration)], node.folder / "patroni.log")

    def leader(self) -> Node | None:
        """The node that leads, by its own word."""
        return next((node for node in self.nodes if node.says("/primary")), None)

    def settle(self, seconds: float = START_SECONDS) -> Node:
        """Wait until one leads and both others stream from it, one of them synchronously; the leader."""
        deadline = time.monotonic() + seconds
        while True:
            leader = self.leader()
            members = (leader.says("/cluster") or {}).get("members", []) if leader else []
            told = sorted((each["role"], each["state"]) for each in members)
            healthy = {state for _, state in told} <= {"running", "streaming"}
            if (
                leader
                and [role for role, _ in told] == ["leader", "replica", "sync_standby"]
                and healthy
                and self._streams(leader) == 2
            ):
                return leader
            assert time.monotonic() < deadline, f"the cluster does not settle: {told}; logs in {self._folder}"
            time.sleep(0.2)

    def kill(self, node: Node) -> float:
        """The node dies as a machine does: Patroni, the postmaster and all its backends, by SIGKILL. The wall clock's
        time at which nothing of it was left to commit anything."""
        assert node.patroni is not None
        postmaster = node.postmaster()
        assert postmaster is not None
        victims = [node.patroni.pid, postmaster, *_children(postmaster)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.patroni.wait()
        return time.time()

    def stop(self) -> None:
        for node in self.nodes:
            if node.patroni is not None and node.patroni.poll() is None:
                node.patroni.terminate()  # which stops its PostgreSQL, too
        for node in self.nodes:
            if node.patroni is not None:
                _await_end(node.patroni)
            postmaster = node.postmaster()
            if postmaster is not None and str(node.folder) in _command_line(postmaster):
                os.kill(postmaster, signal.SIGQUIT)
                while _command_line(postmaster):
                    time.sleep(0.05)
        if self._etcd is not None:
            self._etcd.terminate()
            _await_end(self._etcd)

    def _streams(self, leader: Node) -> int:
        with psycopg.connect(f"postgresql://{SUPERUSER}@127.0.0.1:{leader.port}/postgres", connect_timeout=5) as db:
            rows = db.execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").fetchall()
        return len(rows) if ("sync",) in rows else 0

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        data = self._folder / "etcd"
        data.mkdir(mode=0o700)
        self._owned(data)
        self._etcd = self._run(
            ["etcd", "--data-dir", str(data), "--name", "one", "--log-level", "warn",
             "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"],
            self._folder / "etcd.log",
        )  # fmt: skip

    def _run(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        become: dict[str, Any] = {}
        if self._owner is not None:
            become = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._folder,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self._folder)},
                start_new_session=True, **become,
            )  # fmt: skip

    def _owned(self, *paths: Path) -> None:
        if self._owner is not None:
            for path in paths:
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def _configuration(self, node: Node) -> dict[str, Any]:
        """What a go-live needs too: synchronous and strict, rewind, a crashed leader is left at once."""
        address = f"127.0.0.1:{node.port}"
        return {
            "scope": SCOPE,
            "name": node.name,
            "restapi": {"listen": f"127.0.0.1:{node.api_port}", "connect_address": f"127.0.0.1:{node.api_port}"},
            "etcd3": {"host": f"127.0.0.1:{self._etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": LOOP_WAIT,
                    "retry_timeout": RETRY_TIMEOUT,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "master_start_timeout": 0,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": SETTINGS},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": address,
                "connect_address": address,
                "data_dir": str(node.folder / "data"),
                "bin_dir": str(POSTGRESQL),
                "authentication": {name: {"username": SUPERUSER} for name in ("superuser", "replication", "rewind")},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            },
        }


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster in a folder of its own. PostgreSQL does not run as root: then it is the user `postgres`'s."""
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="accord-patroni-"))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    made = Cluster(folder, owner)
    try:
        made.start()
        yield made
    finally:
        made.stop()
    shutil.rmtree(folder)  # kept with its logs when the test failed


def _await_end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
