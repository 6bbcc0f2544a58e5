"""Which vendors there are, and a session from a stored connection. A vendor is imported when it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from accord.connect.connector import Connector
from accord.connect.redaction import secret_values
from accord.connect.slots import Slots
from accord.connect.store import Connection
from accord.errors import NotFound, UsageError

if TYPE_CHECKING:
    from accord.connect.egress import Egress
    from accord.connect.session import CallRecord, Session
    from accord.connect.transport import Wire

_PACKAGE = "accord.connectors"


class NoSuchVendor(NotFound):
    """There is no connector of that name; `accord connect vendors` lists them."""


class CredentialMissing(UsageError):
    """The connection lacks credentials its vendor needs; give them with `accord connect`."""


def vendors() -> list[str]:
    """The names of the vendors that can be connected, without importing them."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return sorted(module.name for module in iter_modules(places) if module.ispkg) if places else []


def connector(vendor: str) -> Connector:
    """The table of a vendor. Raises NoSuchVendor."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", vendor) or vendor not in vendors():
        raise NoSuchVendor(f"there is no connector {vendor!r}; there are {', '.join(vendors()) or 'none'}")
    found = import_module(f"{_PACKAGE}.{vendor}").CONNECTOR
    assert isinstance(found, Connector), f"{_PACKAGE}.{vendor}.CONNECTOR is not a Connector"
    return found


def missing_credentials(table: Connector, connection: Connection) -> list[str]:
    """The names of required credentials that are neither in the vault nor, when they are no secret, in the settings."""
    return [
        each.name
        for each in table.credentials
        if each.required
        and not connection.credentials.get(each.name)
        and (each.secret or not connection.config.get(each.name))
    ]


def open_session(
    connection: Connection,
    *,
    now: Callable[[], datetime],
    table: Connector | None = None,
    slots: Slots | None = None,
    may_send: Callable[[], bool] = lambda: True,
    on_call: Callable[[CallRecord], None] | None = None,
    make: type[Session] | None = None,
    wire: Wire | None = None,
    egress: Egress | None = None,
) -> Session:
    """A session for a stored connection; the caller closes it.

    The vendor's functions see settings and credentials together. Raises NoSuchVendor, CredentialMissing.
    """
    # aiohttp costs a tenth of a second that `accord --help` does not need
    from accord.connect.session import Session

    table = table or connector(connection.vendor)
    missing = missing_credentials(table, connection)
    if missing:
        raise CredentialMissing(f"the connection {connection.name} lacks {', '.join(missing)}")
    everything = {**connection.config, **connection.credentials}
    return (make or Session)(
        connection.name,
        base_url=table.base_url(connection.config),
        authenticator=table.auth(everything),
        now=now,
        classify=table.classify,
        config=connection.config,
        headers=table.headers(connection.config) if table.headers else None,
        secrets=secret_values(_hidden(table, connection)),
        slots=slots,
        may_send=may_send,
        on_call=on_call,
        wire=wire,
        egress=egress,
    )


def _hidden(table: Connector, connection: Connection) -> dict[str, object]:
    """What must never be shown: everything in the vault but what the vendor's table calls no secret."""
    public = {each.name for each in table.credentials if not each.secret}
    return {name: value for name, value in connection.credentials.items() if name not in public}
