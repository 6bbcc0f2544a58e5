"""Rows of one value: text, number, flag, choice, day, instant and own codes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from accord.connect.mapping.row import Scalar, Unfit, shown

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# PostgreSQL stores no NUL in text, and a lone surrogate is no text in any encoding.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Scalar):
    """Text as it was written. Writing more than `max_length` is a problem, unless `cut` puts an ellipsis there."""

    max_length: int | None = None
    cut: bool = False

    type = "text"

    def decode(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Unfit(f"{shown(value)} is not text")
        if _UNSTORABLE.search(value):
            raise Unfit("contains a character that is no text (NUL or half of a pair)")
        return value

    def encode(self, value: Any) -> str:
        text = self.decode(value)
        if self.max_length is None or len(text) <= self.max_length:
            return text
        if self.cut:
            return text[: self.max_length - 1] + "…"
        raise Unfit(f"is {len(text)} characters long, at most {self.max_length} fit")

    def detail(self) -> str:
        return f"at most {self.max_length} characters" if self.max_length else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Scalar):
    """A whole number. `as_text` where the vendor writes numbers as text; both are read."""

    minimum: int | None = None
    maximum: int | None = None
    as_text: bool = False

    type = "number"

    def decode(self, value: Any) -> int:
        exact = to_decimal(value)
        if exact != exact.to_integral_value():
            raise Unfit(f"{shown(value)} is not a whole number")
        return self._in_range(int(exact))

    def encode(self, value: Any) -> int | str:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit(f"{shown(value)} is not a whole number")
        return str(self._in_range(value)) if self.as_text else self._in_range(value)

    def _in_range(self, value: int) -> int:
        if self.minimum is not None and value < self.minimum:
            raise Unfit(f"{value} is less than {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise Unfit(f"{value} is more than {self.maximum}")
        return value

    def detail(self) -> str:
        low, high = self.minimum, self.maximum
        return (
            ""
            if low is None and high is None
            else f"{low if low is not None else ''}..{high if high is not None else ''}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecimalNumber(Scalar):
    """An exact number with at most `places` decimals; canonically text without trailing zeros ("7.7", "19", "0")."""

    places: int = 4
    as_text: bool = False

    type = "decimal"

    def decode(self, value: Any) -> str:
        return plain_decimal(self._fitting(value))

    def encode(self, value: Any) -> Decimal | str:
        text = plain_decimal(self._fitting(value))
        return text if self.as_text else Decimal(text)

    def _fitting(self, value: Any) -> Decimal:
        exact = to_decimal(value)
        if exact.as_tuple().exponent < -self.places and exact != round(exact, self.places):  # type: ignore[operator]
            raise Unfit(f"{shown(value)} has more than {self.places} decimals")
        return exact

    def detail(self) -> str:
        return f"at most {self.places} decimals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Scalar):
    """Yes or no. Read from true/false, "T"/"F", "true"/"false"; written as `style` says (T/F is NetSuite's)."""

    style: Literal["json", "T/F", "true/false"] = "json"

    type = "flag"

    def decode(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        read = {"T": True, "F": False, "true": True, "false": False}.get(value) if isinstance(value, str) else None
        if read is None:
            raise Unfit(f"{shown(value)} is neither true nor false")
        return read

    def encode(self, value: Any) -> bool | str:
        if not isinstance(value, bool):
            raise Unfit(f"{shown(value)} is neither true nor false")
        if self.style == "json":
            return value
        yes, no = self.style.split("/") if self.style == "true/false" else ("T", "F")
        return yes if value else no

    def detail(self) -> str:
        return "" if self.style == "json" else self.style


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Scalar):
    """One of few words, by a table vendor -> canonical. Of several vendor words for one canonical the first is written.

    `otherwise` is what an unknown vendor word is read as; without it an unknown word is a problem.
    """

    choices: Mapping[Any, str] = field(default_factory=dict)
    otherwise: str | None = None

    type = "choice"

    def decode(self, value: Any) -> str:
        found = self.choices.get(value) if isinstance(value, str | int) else None
        found = found if found is not None else self.otherwise
        if found is None:
            raise Unfit(f"{shown(value)} is none of {', '.join(map(str, self.choices))}")
        return found

    def encode(self, value: Any) -> Any:
        for vendor, canonical in self.choices.items():
            if canonical == value:
                return vendor
        raise Unfit(f"{shown(value)} is none of {', '.join(dict.fromkeys(self.choices.values()))}")

    def mistakes(self) -> Iterator[str]:
        yield from Scalar.mistakes(self)
        if not self.choices:
            yield f"{self.field}: no choices are given"

    def detail(self) -> str:
        return ", ".join(f"{vendor} = {canonical}" for vendor, canonical in self.choices.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Scalar):
    """A calendar day. `form`: iso (2026-11-23), unix (epoch seconds, midnight in `zone`), instant (an ISO moment, its
    day in `zone`), or a strptime pattern such as %d.%m.%Y.
    """

    form: str = "iso"
    zone: str = "UTC"

    type = "day"

    def decode(self, value: Any) -> str:
        try:
            return self._day(value).isoformat()
        except Unfit:
            raise
        except (ValueError, OverflowError, OSError):
            raise Unfit(f"{shown(value)} is not a day ({self.form})") from None

    def encode(self, value: Any) -> Any:
        day = _iso_day(value)
        if "%" in self.form:
            return day.strftime(self.form)
        if self.form == "iso":
            return day.isoformat()
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone))
        return int(midnight.timestamp()) if self.form == "unix" else iso_instant(midnight)

    def _day(self, value: Any) -> date:
        if self.form == "unix":
            return datetime.fromtimestamp(whole_seconds(value), ZoneInfo(self.zone)).date()
        if not isinstance(value, str):
            raise Unfit(f"{shown(value)} is not a day ({self.form})")
        if self.form == "iso":
            return _iso_day(value)
        if self.form == "instant":
            return _aware(value, None).astimezone(ZoneInfo(self.zone)).date()
        return datetime.strptime(value, self.form).replace(tzinfo=UTC).date()

    def mistakes(self) -> Iterator[str]:
        yield from Scalar.mistakes(self)
        if self.form not in ("iso", "unix", "instant") and "%" not in self.form:
            yield f"{self.field}: {self.form!r} is not a form of a day"
        yield from _zone_mistakes(self.field, self.zone)

    def detail(self) -> str:
        return self.form if self.form == "iso" else f"{self.form}, {self.zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant(Scalar):
    """A moment, canonically ISO text in UTC. `form`: iso or unix (seconds). `zone`: for vendors without offsets."""

    form: Literal["iso", "unix"] = "iso"
    zone: str | None = None

    type = "instant"

    def decode(self, value: Any) -> str:
        try:
            at = datetime.fromtimestamp(whole_seconds(value), UTC) if self.form == "unix" else _aware(value, self.zone)
            return at.astimezone(UTC).isoformat()
        except (TypeError, ValueError, OverflowError, OSError):
            raise Unfit(f"{shown(value)} is not a moment with its offset") from None

    def encode(self, value: Any) -> Any:
        try:
            at = _aware(value, None)
        except (TypeError, ValueError):
            raise Unfit(f"{shown(value)} is not a moment with its offset") from None
        return int(at.timestamp()) if self.form == "unix" else iso_instant(at)

    def mistakes(self) -> Iterator[str]:
        yield from Scalar.mistakes(self)
        yield from _zone_mistakes(self.field, self.zone or "UTC")

    def detail(self) -> str:
        return self.form


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded(Scalar):
    """A value converted by two functions of the vendor's own, which may raise Unfit with the reason why not.

    `examples` are canonical values by which the law read(write(x)) == x is tested; there must be some.
    """

    decoder: Callable[[Any], Any] = field(default=lambda value: value)
    encoder: Callable[[Any], Any] = field(default=lambda value: value)
    examples: tuple[Any, ...] = ()

    type = "coded"

    def decode(self, value: Any) -> Any:
        return _converted(self.decoder, value)

    def encode(self, value: Any) -> Any:
        return _converted(self.encoder, value)

    def mistakes(self) -> Iterator[str]:
        yield from Scalar.mistakes(self)
        if not self.examples:
            yield f"{self.field}: no examples are given"


def _converted(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except Unfit:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise Unfit(f"{shown(value)} does not fit") from None


def to_decimal(value: Any) -> Decimal:
    """The exact number of a JSON number or of text that is one; a binary float is not exact. Raises Unfit."""
    if isinstance(value, bool | float):
        raise Unfit(f"{shown(value)} is not an exact number")
    if not isinstance(value, str | int | Decimal) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise Unfit(f"{shown(value)} is not a number")
    try:
        exact = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise Unfit(f"{shown(value)} is not a number") from None
    if not exact.is_finite() or abs(exact.adjusted()) > 40:
        raise Unfit(f"{shown(value)} is not a number anybody means")
    return exact


def plain_decimal(exact: Decimal) -> str:
    text = format(exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def whole_seconds(value: Any) -> int:
    """Epoch seconds; a fraction is dropped, as vendors that count in seconds do. Raises Unfit."""
    return int(to_decimal(value))


def iso_instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _iso_day(value: Any) -> date:
    if not isinstance(value, str) or not _ISO_DAY.fullmatch(value):
        raise Unfit(f"{shown(value)} is not a day (iso)")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Unfit(f"{shown(value)} is not a day in the calendar") from None


def _aware(value: Any, zone: str | None) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None and zone is not None:
        at = at.replace(tzinfo=ZoneInfo(zone))
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def _zone_mistakes(name: str, zone: str) -> Iterator[str]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"{name}: {zone!r} is not a time zone"
