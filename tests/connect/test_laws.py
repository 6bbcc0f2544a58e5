"""The law finds the mappings that lose something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accord.connect import laws
from accord.connect.mapping import Mapping, coded, money, text


def losing(decode: Callable[[Any], Any], encode: Callable[[Any], Any], *examples: Any) -> Mapping:
    return Mapping("toy.x", "x", "X", rows=(coded("field", "Field", decode, encode, examples),))


@pytest.mark.parametrize(
    "mapping",
    [
        losing(lambda value: value, lambda value: value or None, 0, 5),
        losing(lambda value: value.strip(), lambda value: value, "a", " a"),
        losing(lambda value: round(value, 1), lambda value: value, 1.25),
        losing(lambda value: {"EUR": "USD"}.get(value, value), lambda value: value, "EUR"),
    ],
)
def test_a_mapping_that_loses_something_breaks_the_law(mapping: Mapping) -> None:
    with pytest.raises(AssertionError):
        laws.hold(mapping)


def test_a_reader_that_raises_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading must not raise, whatever a vendor sends."""
    mapping = Mapping("toy.x", "x", "X", rows=(text("a", "A", access="read"),))
    from accord.connect.mapping.scalars import Text

    monkeypatch.setattr(Text, "decode", lambda self, value: value.upper())
    with pytest.raises(AttributeError):
        laws.hold(mapping)


def test_one_body_can_be_tried_by_itself() -> None:
    mapping = Mapping("toy.x", "x", "X", rows=(money("net", "Net", currency="JPY"),))
    laws.read_back(mapping, {"id": "A", "net": {"amount": "0", "currency": "JPY"}})
    with pytest.raises(AssertionError, match="cannot be written"):
        laws.read_back(mapping, {"id": "A", "net": {"amount": "0.5", "currency": "JPY"}})
