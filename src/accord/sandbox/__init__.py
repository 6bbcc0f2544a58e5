"""Simulated vendors to build and test integrations against: `accord sandbox`, or one by one from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module

from accord.sandbox.kit.simulator import Simulator

__all__ = ["VENDORS"]

Build = Callable[..., Simulator]
_NAMES = ("salesforce", "netsuite", "stripe")


@cache
def _build(vendor: str) -> Build:
    build: Build = import_module(f"{__name__}.{vendor}").build
    return build


class _Vendors(Mapping[str, Build]):
    """The vendors by name. Each is imported when it is asked for, so one costs nothing to the others."""

    def __getitem__(self, vendor: str) -> Build:
        if vendor not in _NAMES:
            raise KeyError(vendor)
        return _build(vendor)

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


# `VENDORS["stripe"](clock=..., wall=..., seed=1)` gives a fresh simulator.
VENDORS: Mapping[str, Build] = _Vendors()
