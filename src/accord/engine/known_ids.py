"""What the vendors call the objects that a worker's effects are about or refer to: the last ones, kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from accord.engine import statements
from accord.engine.intents import as_json
from accord.engine.shell import Connection

About = tuple[str, str, str]  # connection, kind, canonical id


class KnownIds(OrderedDict[About, str]):
    """Vendor ids by what they name; the one unused longest is forgotten when there are more than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    async def learn(self, connection: Connection, effects: Iterable[tuple[Mapping[str, Any], bool]]) -> None:
        """Look up, in one query, what these effects are about or refer to and is not known. Each comes with whether it
        was intended in an earlier turn: its object may have an id by now."""
        wanted: set[About] = set()
        for row, waited in effects:
            if row["generation"] > 1 or waited:
                wanted.add((row["connection"], row["kind"], row["canonical_id"]))
            for link in row["links"] or ():
                kind, about = link.split(" ", 1)
                wanted.add((row["connection"], kind, about))
        missing = [each for each in wanted if each not in self]
        if not missing:
            return
        rows = [{"connection": name, "kind": kind, "canonical_id": about} for name, kind, about in sorted(missing)]
        cursor = await connection.execute(statements.VENDOR_IDS, {"rows": as_json(rows)}, prepare=True)
        for name, about, kind, vendor_id in await cursor.fetchall():
            self.remember((name, kind, about), vendor_id)

    def remember(self, about: About, vendor_id: str) -> None:
        """A vendor has said what it calls this."""
        self[about] = vendor_id
        self.move_to_end(about)
        while len(self) > self._most:
            self.popitem(last=False)

    def unlearn_links(self, row: Mapping[str, Any]) -> None:
        """What a refused write referred to may have another id by now: merged with another there, or made anew."""
        for link in row["links"] or ():
            kind, about = link.split(" ", 1)
            self.pop((row["connection"], kind, about), None)
