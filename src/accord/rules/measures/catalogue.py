"""All measures by their id, such as `utilization.billable@1`: what a tile names, and what its drill-down states."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from accord.rules.measures import ageing, caps, latency, people, quality, receivables, sales
from accord.rules.measures.definition import Definition, Measure


def _definitions(module: ModuleType) -> Iterator[Definition]:
    for value in vars(module).values():
        if isinstance(value, Definition):
            yield value
        elif isinstance(value, Measure):
            yield value.definition
        elif isinstance(value, latency.Latency):
            yield from (each.definition for each in value)


def _catalogue() -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for module in (people, sales, caps, latency, quality, receivables, ageing):
        for each in _definitions(module):
            if found.setdefault(each.id, each) != each:
                raise ValueError(f"two measures are called {each.id}")
    return dict(sorted(found.items()))


DEFINITIONS = _catalogue()


def history(name: str, variant: str) -> list[Definition]:
    """All versions of one variant, the oldest first."""
    found = [each for each in DEFINITIONS.values() if (each.name, each.variant) == (name, variant)]
    return sorted(found, key=lambda each: each.version)
