"""What a measure is, and one reading of it. Two people never argue about which utilization is right: it has a name.

A formula that has no value for its inputs (nothing to divide by, no rows) gives a reading without a value and the
reason; it never gives zero, and never nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import update_wrapper
from typing import Any, Generic, ParamSpec

from accord.model.money import Money, Rounding
from accord.rules.allocation import rounded_to

P = ParamSpec("P")
Value = Decimal | Money


class Unit(StrEnum):
    """What a value is counted in. A ratio of 1 is 100 %; money is in the currency of its inputs."""

    RATIO = "ratio"
    FACTOR = "factor"
    DAYS = "days"
    HOURS = "hours"
    MONEY = "money"
    MONEY_HOURS = "money_hours"


class NotDefined(Exception):
    """The formula has no value for these inputs; the message says why."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of one variant of a measure. A change of the formula is a new version; the old one stays readable."""

    name: str
    variant: str
    version: int
    formula: str
    inputs: tuple[str, ...]
    unit: Unit
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}.{self.variant}@{self.version}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A value by a definition, exact and not rounded, or None with the reason in `undefined_because`.

    `inputs` says what went in, in words: an amount as it is, a list of rows as their number.
    """

    definition: Definition
    value: Value | None
    inputs: Mapping[str, str]
    undefined_because: str | None = None

    @property
    def number(self) -> Decimal:
        """The value as a number. Raises NotDefined with the reason where there is none."""
        if self.value is None:
            raise NotDefined(self.undefined_because or "no value")
        return self.value.amount if isinstance(self.value, Money) else self.value

    @property
    def text(self) -> str:
        """The value for people, two decimals rounded half up ("72.22 %", "74.11 days"), or why there is none."""
        if self.value is None:
            return f"not defined: {self.undefined_because}"
        if isinstance(self.value, Money):
            hours = "\N{NO-BREAK SPACE}h" if self.definition.unit is Unit.MONEY_HOURS else ""
            return f"{self.value.rounded(Rounding.HALF_UP)}{hours}"
        if self.definition.unit is Unit.RATIO:
            return f"{_two_decimals(self.value * 100)} %"
        if self.definition.unit is Unit.FACTOR:
            return str(_two_decimals(self.value))
        return f"{_two_decimals(self.value)} {self.definition.unit.value}"


class Measure(Generic[P]):
    """A definition that can be called with its inputs and answers with a reading."""

    def __init__(self, definition: Definition, formula: Callable[P, Value]) -> None:
        self.definition = definition
        self._formula = formula
        self._signature = inspect.signature(formula)
        update_wrapper(self, formula)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Reading:
        given = {name: in_words(value) for name, value in self._signature.bind(*args, **kwargs).arguments.items()}
        try:
            return Reading(self.definition, self._formula(*args, **kwargs), given)
        except NotDefined as reason:
            return Reading(self.definition, None, given, str(reason))


def measure(
    name: str, variant: str, formula: str, unit: Unit, *, version: int = 1, note: str = ""
) -> Callable[[Callable[P, Value]], Measure[P]]:
    """Make a measure of the function below: its parameters are the definition's inputs."""

    def made(function: Callable[P, Value]) -> Measure[P]:
        inputs = tuple(inspect.signature(function).parameters)
        return Measure(Definition(name, variant, version, formula, inputs, unit, note), function)

    return made


def ratio(above: Value, below: Value, what: str) -> Decimal:
    """`above` ÷ `below`, which is called `what`. Raises NotDefined where that is zero, CurrenciesDiffer for two."""
    if isinstance(above, Money) and isinstance(below, Money):
        zero = below - below
        above, below = (above + zero).amount, below.amount
    if isinstance(above, Money) or isinstance(below, Money):
        raise TypeError("an amount of money and a number have no ratio")
    if below == 0:
        raise NotDefined(f"{what} is zero")
    return above / below


def in_words(value: Any) -> str:
    """An input as a reading tells it: rows by their number, anything else as text."""
    if isinstance(value, Sized) and not isinstance(value, str):
        return "1 row" if len(value) == 1 else f"{len(value)} rows"
    return str(value)


def _two_decimals(value: Decimal) -> Decimal:
    return rounded_to(Fraction(value), 2)
