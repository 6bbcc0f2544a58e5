"""What every mapping must do: keep the law of laws.py, and be described."""

from __future__ import annotations

import asyncio

from accord.connect.conformance.bench import Bench, NotApplicable
from accord.connect.laws import hold
from accord.connect.mapping import Mapping


async def mappings_keep_the_law(bench: Bench) -> None:
    """read(write(x)) == x for every mapping of the vendor, and every row of it is in the data dictionary."""
    mappings = [each.mapping for each in bench.connector.resources.values() if isinstance(each.mapping, Mapping)]
    if not mappings:
        raise NotApplicable("it has no mappings")
    for mapping in mappings:
        assert len(mapping.dictionary()) >= len(mapping.rows)
        await asyncio.to_thread(hold, mapping)
