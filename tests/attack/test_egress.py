"""No address a user, a vendor's answer or a name server can name makes this installation talk to what is not public.

Nothing here is connected to but this machine's loopback: what is refused is refused before a socket is made.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from asyncssh import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.auth import client_credentials
from accord.connect.authenticator import Authenticator, NoAuth
from accord.connect.egress import LOOPBACK, Egress
from accord.connect.failures import CallFailed, ForeignAddress, NotSent, outcome_of
from accord.connect.session import Session
from accord.connectors.salesforce import CONNECTOR as SALESFORCE
from accord.connectors.timefiles.sftp import SftpServer
from accord.engine.outcomes import Misconfigured, Rejected
from accord.errors import UsageError
from accord.settings import Settings
from tests.attack.conftest import examples

NEVER = (
    "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::",
    "224.0.0.1", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:0",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "127.8.9.10", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "fd12::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "192.0.2.1",
    "198.18.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.1", "2001:db8::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1")
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not Egress().allows(address)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_are_refused_whatever_is_set(address: str) -> None:
    assert not Egress(EVERYTHING).allows(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_allowed(address: str) -> None:
    assert Egress().allows(address)


def test_a_network_that_is_named_is_allowed_and_its_neighbour_is_not() -> None:
    egress = Egress(Settings(private_addresses="10.20.0.0/16, fd12:1::/32").private_networks)
    assert egress.allows("10.20.3.4")
    assert egress.allows("::ffff:10.20.3.4")
    assert egress.allows("fd12:1::7")
    assert not egress.allows("10.21.0.1")
    assert not egress.allows("127.0.0.1")


@pytest.mark.parametrize("text", ["10.0.0.0/99", "intranet", "10.0.0.1/8", "1;2"])
def test_a_setting_that_names_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="private_addresses"):
        Settings(private_addresses=text)


def test_loopback_is_open_to_the_sandbox_of_this_home_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", private_addresses="")
    ours = settings.home / "sandbox" / "ca.pem"
    assert Egress.of(settings, str(ours)).private == LOOPBACK
    for other in (None, "/etc/ssl/certs/ca-certificates.crt", str(settings.home / "ca.pem"),
                  str(settings.home / "sandbox" / ".." / "ca.pem"), str(tmp_path / "sandbox" / "ca.pem")):  # fmt: skip
        assert Egress.of(settings, other).private == ()


@given(st.ip_addresses())
@examples(500)
def test_every_address_that_is_allowed_is_global(address: Any) -> None:
    if Egress().allows(str(address)):
        assert address.is_global


class Listening:
    """A plain server on the loopback that counts who comes, and answers what it was told to."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def open(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Listening]:
        server = await asyncio.start_server(self._meet, host, port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


def session(base_url: str, authenticator: Authenticator | None = None, **config: Any) -> Session:
    return Session("it", base_url=base_url, authenticator=authenticator or NoAuth(), now=lambda: datetime.now(UTC),
                   classify=lambda *_: Rejected("no", "no"), config=config)  # fmt: skip


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCORD_PRIVATE_ADDRESSES")


SPELLINGS = ("127.0.0.1", "localhost", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
             "127.0.0.1.", "LOCALHOST", "ip6-localhost", "[::]", "0.0.0.0", "0")  # fmt: skip


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_the_loopback_is_connected_to(host: str) -> None:
    async with Listening(OK).open() as server, session(f"https://{host}:{server.port}") as it:
        with pytest.raises(CallFailed):
            await it.call("GET", "/x")
    assert server.connections == 0


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "192.168.0.1", "[fe80::1]"])
async def test_a_private_address_is_a_misconfigured_connection(address: str) -> None:
    async with session(f"https://{address}/latest/meta-data") as it:
        with pytest.raises(ForeignAddress, match="ACCORD_PRIVATE_ADDRESSES") as refused:
            await it.call("GET", "/x")
    assert isinstance(outcome_of(refused.value), Misconfigured)


@pytest.mark.usefixtures("strict")
async def test_a_token_address_meets_the_same_rule() -> None:
    async with Listening(OK).open() as server:
        grant = client_credentials(
            token_url=f"https://127.0.0.1:{server.port}/t", client_id="i", client_secret="secret-1"
        )
        async with session("https://vendor.example", grant) as it:
            with pytest.raises(ForeignAddress):
                await it.call("GET", "/x")
    assert server.connections == 0


async def test_credentials_do_not_go_over_plain_http_to_anybody_else() -> None:
    for address in ("http://vendor.example", "http://1.1.1.1", "ftp://127.0.0.1", "file:///etc/passwd"):
        async with session(address) as it:
            with pytest.raises(CallFailed):
                await it.call("GET", "/x")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A name server that tells another address each time it is asked; the last one for ever."""
    told: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != "127.rebound.example" or not told:
            return real(host, port, *args, **more)
        addresses = (told.pop(0) if len(told) > 1 else told[0]).split()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return told


async def test_a_name_that_means_another_address_a_moment_later_is_not_followed(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: asked is the address that is connected to, not what the name meant when it was looked at."""
    monkeypatch.setenv("ACCORD_PRIVATE_ADDRESSES", "127.0.0.1/32")
    names += ["127.0.0.1", "127.0.0.2"]
    async with Listening(OK).open() as outer, Listening(OK).open("127.0.0.2", outer.port) as inner:
        url = f"https://127.rebound.example:{outer.port}"
        async with session(url) as it:
            with pytest.raises(NotSent):  # it was reached, and speaks no TLS
                await it.call("GET", "/x", timeout_seconds=0.3)
        async with session(url) as it:
            with pytest.raises(ForeignAddress):
                await it.call("GET", "/x")
        with pytest.raises(ForeignAddress):
            await Egress(Settings().private_networks).connected("127.rebound.example", outer.port)
    assert (outer.connections, inner.connections) == (1, 0)


async def test_a_name_with_one_private_address_among_its_own_is_not_called(names: list[str]) -> None:
    names += ["127.0.0.2 169.254.169.254"]
    async with Listening(OK).open("127.0.0.2") as inner:
        with pytest.raises(ForeignAddress):
            await Egress(LOOPBACK).connected("127.rebound.example", inner.port)
    assert inner.connections == 0


async def test_a_socket_for_other_clients_is_connected_where_it_may() -> None:
    async with Listening(OK).open() as server:
        client = await Egress(LOOPBACK).connected("127.0.0.1", server.port)
        client.close()
        with pytest.raises(ForeignAddress):
            await Egress().connected("localhost", server.port)
    with pytest.raises(NotSent):
        await Egress(LOOPBACK).connected("127.0.0.1", server.port)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    async with Listening(OK).open() as inner:
        place = f"http://127.0.0.1:{inner.port}/"
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        async with Listening(head.encode()).open() as outer, session(f"http://127.0.0.1:{outer.port}") as it:
            assert (await it.call("GET", "/x")).status == status
    assert (outer.connections, inner.connections) == (1, 0)


@pytest.mark.parametrize(
    "url",
    ["https://other.example/x", "http://127.0.0.1:1/x", "https://127.0.0.1@other.example/x", "//other.example/x",
     "https://vendor.example.other.example/x", "https://vendor.example:444/x", "gopher://vendor.example/x"],
)  # fmt: skip
async def test_an_address_in_an_answer_is_called_at_the_connection_alone(url: str) -> None:
    """Next pages, jobs and results are named by the vendor's answers."""
    async with session("https://vendor.example") as it:
        if "://" not in url:
            assert it._address(url, ()).startswith("https://vendor.example/")
        else:
            with pytest.raises(ForeignAddress):
                it._address(url, ())


@pytest.mark.usefixtures("strict")
async def test_the_host_that_salesforce_names_for_its_org_meets_the_same_rule() -> None:
    reply = b'{"access_token":"t0ken-for-nobody","instance_url":"https://169.254.169.254"}'
    given = {"base_url": "https://vendor.example", "client_id": "c", "client_secret": "secret-1"}
    grant = SALESFORCE.auth(given)

    async def exchange(_: Any) -> Any:
        from accord.connect.answer import Answer

        return Answer(200, {}, reply)

    await grant.prepare(exchange, lambda: datetime.now(UTC))
    async with session("https://vendor.example", grant) as it:
        with pytest.raises(ForeignAddress):
            await it.call("GET", "/services/data")


@pytest.mark.usefixtures("strict")
async def test_a_server_of_files_meets_the_same_rule() -> None:
    async with Listening(OK).open() as server:
        key = generate_private_key("ssh-ed25519")
        place = SftpServer.at(f"sftp://firm@localhost:{server.port}/drop", key.export_public_key().decode(),
                              key.export_private_key().decode())  # fmt: skip
        with pytest.raises(UsageError, match="ACCORD_PRIVATE_ADDRESSES"):
            async with place.open():
                pytest.fail("it was entered")
    assert server.connections == 0
