"""Which addresses this installation may talk to. The rule, enforced where a socket is made and nowhere else:

    public addresses        always
    loopback                for a connection whose `ca_file` is the authority of this home's own sandbox
    other private ones      only those that ACCORD_PRIVATE_ADDRESSES names (an ERP in the firm's own network)
    link-local, metadata    never: no business system lives there, the keys of a machine in a cloud do

It is asked with the very address a socket is about to connect to, so a name that means another address a moment later
(DNS rebinding), an odd spelling of an address and a host named by an answer all meet it. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from accord.connect.failures import ForeignAddress, NotSent
from accord.settings import Settings

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]  # as getaddrinfo gives it

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Where clouds answer machines about themselves; the others of them are link-local.
_METADATA = frozenset((ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")))


@dataclass(frozen=True, slots=True)
class Egress:
    """What one connection may reach beside public addresses."""

    private: Sequence[Network] = ()

    @classmethod
    def of(cls, settings: Settings, ca_file: str | None) -> Egress:
        """By the settings of this process; `ca_file` is the connection's."""
        sandbox = settings.home / "sandbox"
        ours = ca_file is not None and Path(ca_file).resolve().is_relative_to(sandbox.resolve())
        return cls((*settings.private_networks, *(LOOPBACK if ours else ())))

    def allows(self, address: str) -> bool:
        """Whether a socket may be connected to this address, an IPv4 or IPv6 literal."""
        found = _meant(ipaddress.ip_address(address.partition("%")[0]))
        if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
            return False
        return found.is_global or any(found in network for network in self.private)

    def check(self, address: str) -> None:
        """Raises ForeignAddress."""
        if not self.allows(address):
            raise ForeignAddress(
                f"{address} is no public address; if a system of the firm is there, name its network in "
                "ACCORD_PRIVATE_ADDRESSES"
            )

    def new_socket(self, info: AddressInfo) -> socket.socket:
        """The socket for an address that may be reached, not connected yet. Raises ForeignAddress."""
        family, kind, protocol, _, place = info
        self.check(str(place[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    def check_scheme(self, scheme: str, host: str | None) -> None:
        """Credentials go over HTTPS; plain HTTP only to a private address that is allowed. Raises ForeignAddress."""
        if scheme == "https":
            return
        try:
            private = scheme == "http" and any(ipaddress.ip_address(host or "") in each for each in self.private)
        except ValueError:
            private = False
        if not private:
            raise ForeignAddress(f"{scheme}://{host} is not HTTPS; credentials are not sent in the clear")

    async def connected(self, host: str, port: int) -> socket.socket:
        """A socket connected to the first address of a name that answers, for clients that are no HTTP clients.

        Raises ForeignAddress when any address of the name may not be reached, NotSent when none answers.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotSent(f"{host} is not known: {error}", outage=True) from None
        for info in found:
            self.check(str(info[4][0]))
        reason = "it has no address"
        for info in found:
            client = self.new_socket(info)
            client.setblocking(False)
            try:
                await loop.sock_connect(client, info[4])
            except OSError as error:
                client.close()
                reason = str(error)
            except BaseException:
                client.close()
                raise
            else:
                return client
        raise NotSent(f"{host} does not answer: {reason}", outage=True)


def _meant(address: Address) -> Address:
    """The address a packet really goes to: an IPv4 address can be written inside an IPv6 one in three ways."""
    if isinstance(address, IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _NAT64:
        inside = IPv4Address(int(address) & 0xFFFFFFFF)
    return inside or address
