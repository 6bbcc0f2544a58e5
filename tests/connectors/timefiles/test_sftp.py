"""The same drop on a real SFTP server on loopback: entered by key, believed under its pinned host key alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest

from accord.connectors.timefiles import open_place
from accord.connectors.timefiles.collecting import Collector
from accord.connectors.timefiles.legacy import LEGACY
from accord.connectors.timefiles.places import FileChanged, PlaceMissing, PlaceUnreachable
from accord.connectors.timefiles.sftp import HostKeyNotPinned, HostKeyWrong, KeyRefused, SftpServer
from accord.db.pool import Pool, transaction
from accord.errors import UsageError
from accord.ledger.bindings import declare

from .conftest import PROJECTS, ROWS, Drop, lines

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
US, STRANGER = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))


def private(key: asyncssh.SSHKey, passphrase: str | None = None) -> str:
    return key.export_private_key("openssh", passphrase).decode()


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode()


@dataclass(frozen=True)
class Running:
    """A server, what it shows, and what a connection to it needs."""

    host_key: asyncssh.SSHKey
    port: int
    stop: Callable[[], None]

    @property
    def settings(self) -> dict[str, str]:
        return {
            "place": f"sftp://accord@127.0.0.1:{self.port}/in",
            "host_key": public(self.host_key),
            "private_key": private(US),
        }


async def serve(root: Path, host_key: asyncssh.SSHKey, authorized: Path) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=str(authorized),
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
    )


@pytest.fixture
def root(tmp_path: Path, folder: Path) -> Path:
    """What the server shows as its whole disk: the drop lies in its folder `in`."""
    root = tmp_path / "root"
    root.mkdir()
    folder.rename(root / "in")
    folder.symlink_to(root / "in")
    return root


@pytest.fixture
def authorized(tmp_path: Path) -> Path:
    file = tmp_path / "authorized"
    file.write_text(public(US))
    return file


@pytest.fixture(params=["ssh-ed25519", "ssh-rsa"])
async def server(request: pytest.FixtureRequest, root: Path, authorized: Path) -> AsyncIterator[Running]:
    host_key = asyncssh.generate_private_key(request.param)
    acceptor = await serve(root, host_key, authorized)
    yield Running(host_key, acceptor.get_port(), acceptor.close)
    acceptor.close()
    await acceptor.wait_closed()


async def test_files_are_listed_and_fetched_with_their_sums(server: Running, drop: Drop, tmp_path: Path) -> None:
    path = drop("march.csv", *([str(n), *ROWS[0][1:]] for n in range(9_000)))
    (path.parent / "sub").mkdir()
    (path.parent / "link.csv").symlink_to("march.csv")
    async with open_place(server.settings) as place:
        [file] = await place.listing()
        assert (file.name, file.size) == ("march.csv", path.stat().st_size)
        assert file.size > 300_000
        await place.fetch(file, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()
        assert await place.read_small("march.csv", 500_000_000) == path.read_bytes()
        with pytest.raises(FileChanged, match="longer"):
            await place.read_small("march.csv", 10)
        changes = ({"size": file.size - 1}, {"size": file.size + 1}, {"name": "gone.csv"}, {"modified_at": LONG_AGO})
        for other in (replace(file, **change) for change in changes):
            with pytest.raises(FileChanged):
                await place.fetch(other, tmp_path / "copy")


async def test_a_drop_on_a_server_is_taken_like_one_in_a_folder(server: Running, drop: Drop, pool: Pool) -> None:
    moments = iter(datetime.now(UTC) + timedelta(minutes=n) for n in range(100))
    async with transaction(pool) as db:
        await declare(db, LEGACY.source, PROJECTS, by="test")
    collector = Collector(pool, LEGACY, lambda: next(moments))
    drop("march.csv", text=lines(*ROWS)[:50])
    async with open_place(server.settings) as place:
        assert [each.what for each in await collector.collect(place)] == ["waiting"]
        drop("march.csv")
        assert [each.what for each in await collector.collect(place)] == ["waiting"]
    async with open_place(server.settings) as place:
        [taken] = await collector.collect(place)
        assert (taken.what, taken.taken and taken.taken.rows) == ("taken", 3)
        assert await collector.collect(place) == []


async def test_a_server_with_another_host_key_is_not_believed(server: Running) -> None:
    stranger = asyncssh.generate_private_key(server.host_key.get_algorithm())
    for pinned in (stranger, asyncssh.generate_private_key("ecdsa-sha2-nistp256")):
        with pytest.raises(HostKeyWrong):
            async with open_place({**server.settings, "host_key": public(pinned)}):
                pass
    both = public(stranger) + public(server.host_key)
    async with open_place({**server.settings, "host_key": both}) as place:
        assert await place.listing() == []


async def test_a_key_that_the_server_does_not_know_is_refused(server: Running) -> None:
    with pytest.raises(KeyRefused, match="does not let accord in"):
        async with open_place({**server.settings, "private_key": private(STRANGER)}):
            pass


async def test_a_key_under_a_passphrase_is_opened_with_it(server: Running) -> None:
    sealed = {**server.settings, "private_key": private(US, "open sesame")}
    async with open_place({**sealed, "passphrase": "open sesame"}) as place:
        assert await place.listing() == []
    for wrong in ({}, {"passphrase": "abracadabra"}):
        with pytest.raises(KeyRefused, match="cannot be read") as refused:
            async with open_place({**sealed, **wrong}):
                pass
        assert "abracadabra" not in str(refused.value)


async def test_a_folder_that_is_not_there_and_a_server_that_is_gone_are_told_apart(server: Running) -> None:
    async with open_place({**server.settings, "place": server.settings["place"] + "/nowhere"}) as place:
        with pytest.raises(PlaceMissing, match="/in/nowhere"):
            await place.listing()
    server.stop()
    with pytest.raises(PlaceUnreachable):
        async with open_place(server.settings):
            pass


@pytest.mark.parametrize(
    ("place", "words"),
    [("sftp://127.0.0.1/in", "write sftp://"), ("sftp://u:secret@127.0.0.1/in", "private key"),
     ("in/here", "no whole path"), ("sftp://u@127.0.0.1:99999/in", "write sftp://"), ("", "no whole path")],
)  # fmt: skip
async def test_an_address_that_leads_nowhere_is_refused(place: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        async with open_place({"place": place, "host_key": public(US), "private_key": private(US)}):
            pass


def test_without_a_pinned_key_no_server_is_entered() -> None:
    with pytest.raises(HostKeyNotPinned):
        SftpServer.at("sftp://u@127.0.0.1/in", " ", private(US))
    assert "PRIVATE" not in repr(SftpServer.at("sftp://u@127.0.0.1/in", public(US), private(US), "pass-phrase"))
    assert "pass-phrase" not in repr(SftpServer.at("sftp://u@127.0.0.1/in", public(US), private(US), "pass-phrase"))
