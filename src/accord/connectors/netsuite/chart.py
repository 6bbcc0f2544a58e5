"""What the account calls our legal entities, currencies and terms: from the settings, or asked for once a session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from accord.connect.mapping import Mapping as Table
from accord.connect.session import Session
from accord.connectors.netsuite.calls import rows
from accord.engine.outcomes import Rejected

_QUERY = """
SELECT 'subsidiaries' AS kind, id, externalid AS code FROM subsidiary WHERE externalid IS NOT NULL
UNION ALL SELECT 'currencies' AS kind, id, symbol AS code FROM currency
UNION ALL SELECT 'terms' AS kind, id, TO_CHAR(daysuntilnetdue) AS code FROM term WHERE daysuntilnetdue IS NOT NULL
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """`subsidiaries` by legal entity code, `currencies` by ISO code, `terms` by days: NetSuite's internal ids."""

    subsidiaries: Mapping[str, str] = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)

    def subsidiary(self, code: str) -> dict[str, str]:
        """The reference to write. Raises NotCharted."""
        return {"id": _charted(self.subsidiaries, code, "legal_entity", "subsidiary")}

    def entity(self, subsidiary: str | None) -> str | None:
        """The legal entity that is this subsidiary; None for one that nobody named."""
        return next((code for code, id in self.subsidiaries.items() if id == subsidiary), None)

    def iso(self, currency: str) -> str | None:
        """The ISO code of a currency of the account."""
        return next((code for code, id in self.currencies.items() if id == currency), None)

    def currency(self, code: str) -> dict[str, str]:
        """The reference to write. Raises NotCharted."""
        return {"id": _charted(self.currencies, code, "currency", "currency")}


class NotCharted(Exception):
    """The account has nothing for this code; `rejected` is the outcome of a write that needs it."""

    def __init__(self, field_name: str, code: str, what: str) -> None:
        super().__init__(f"NetSuite has no {what} for {code!r}; name it in the connection's settings")
        self.rejected = Rejected(f"unknown_{what}", str(self), (field_name,))


_CHARTS: WeakKeyDictionary[Session, Chart] = WeakKeyDictionary()
_LOCKS: WeakKeyDictionary[Session, asyncio.Lock] = WeakKeyDictionary()
_TABLES: dict[tuple[str, tuple[tuple[str, str], ...]], Table] = {}


async def chart_of(session: Session) -> Chart:
    """The settings complete one another: what they do not name is asked for, in one query. Raises CallFailed."""
    async with _LOCKS.setdefault(session, asyncio.Lock()):
        if session not in _CHARTS:
            _CHARTS[session] = await _drawn(session)
        return _CHARTS[session]


async def _drawn(session: Session) -> Chart:
    named = {name: dict(session.config.get(name) or {}) for name in ("subsidiaries", "currencies", "terms")}
    if not all(named.values()):
        for row in await rows(session, _QUERY):
            named[row["kind"]].setdefault(str(row["code"]), str(row["id"]))
    return Chart(**{kind: {str(code): str(id) for code, id in codes.items()} for kind, codes in named.items()})


def table_of(session: Session, table: Table) -> Table:
    """The mapping with the firm's own names, `{"fields": {"task": {"amount": "custevent_price"}}}` in the settings."""
    names: dict[str, Any] = (session.config.get("fields") or {}).get(table.kind) or {}
    if not names:
        return table
    key = (table.name, tuple(sorted(names.items())))
    if key not in _TABLES:
        _TABLES[key] = table.with_names(names)
    return _TABLES[key]


def _charted(codes: Mapping[str, str], code: str, field_name: str, what: str) -> str:
    if code not in codes:
        raise NotCharted(field_name, code, what)
    return codes[code]
