"""What a cell says: numbers, hours and days, as one source writes them. Pure.

A cell is text (CSV, and text in a sheet) or what a sheet holds: a number, a day, a duration, or a mark that there is no
value to be had. Every reader raises ValueError with the reason it cannot read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any, Literal

from babel import Locale
from babel.core import UnknownLocaleError

Unit = Literal["hours", "minutes", "days"]

_TOKENS = re.compile(r"YYYY|YY|MMM|MM|M|DD|D")
_DIGITS = {"YYYY": r"(?P<y>[0-9]{4})", "YY": r"(?P<y>[0-9]{2})", "MM": r"(?P<m>[0-9]{2})", "M": r"(?P<m>[0-9]{1,2})",
           "DD": r"(?P<d>[0-9]{2})", "D": r"(?P<d>[0-9]{1,2})", "MMM": r"(?P<m>[^\W\d_]+\.?)"}  # fmt: skip
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9])(?::([0-5][0-9]))?")
_SPACES = " \u00a0\u202f"
# A third of an hour has no end in decimals: a millionth of an hour is four thousandths of a second.
_FINEST = Decimal("0.000001")
# PostgreSQL stores no NUL in text, and a lone surrogate is no text in any encoding.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Merged:
    """The value of a cell that a merge down the column stretches over this row too."""

    value: Any


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell without a value: a formula nobody calculated, or one whose result is an error. `why` says which."""

    why: str


def plain(value: Any) -> str:
    """A cell as text, for a person: what is kept of a row that cannot be taken."""
    if isinstance(value, Merged):
        return plain(value.value)
    if isinstance(value, Broken):
        return value.why
    return "" if value is None else _UNSTORABLE.sub("�", str(value))


def text(value: Any) -> str | None:
    """The text of a cell without the space around it; None for an empty one."""
    value = _present(value)
    if value is None:
        return None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    found = str(value).strip()
    if _UNSTORABLE.search(found):
        raise ValueError("contains a character that is no text (NUL or half of a pair)")
    return found or None


def _present(value: Any) -> Any:
    if isinstance(value, Merged):
        return _present(value.value)
    if isinstance(value, Broken):
        raise ValueError(value.why)  # noqa: TRY004  (it is the value that is wrong, not the program)
    return value


@dataclass(frozen=True, slots=True)
class Numbers:
    """How numbers are written: `1.234,5` has the decimal mark `,` and the grouping mark `.` (none: "")."""

    decimal: str = "."
    grouping: str = ""

    def read(self, value: Any) -> Decimal | None:
        value = _present(value)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise ValueError(f"{plain(value)!r} is not a number")  # noqa: TRY004  (as above)
        if isinstance(value, str):
            return self._of_text(value.strip())
        # A sheet keeps 15 significant digits; what a binary float has beyond them nobody typed.
        number = Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            raise ValueError(f"{value} is not a number")
        return number

    def _of_text(self, given: str) -> Decimal:
        if not self._pattern().fullmatch(given):
            groups = f" and {self.grouping!r} between thousands" if self.grouping.strip() else ""
            raise ValueError(f"{given!r} is not a number written with {self.decimal!r} before its decimals{groups}")
        bare = re.sub(f"[{_SPACES}]", "", given) if self.grouping == " " else given.replace(self.grouping or "\0", "")
        return Decimal(bare.replace(self.decimal, "."))

    def _pattern(self) -> re.Pattern[str]:
        return _number_pattern(self.decimal, self.grouping)


@cache
def _number_pattern(decimal: str, grouping: str) -> re.Pattern[str]:
    group = f"[{_SPACES}]" if grouping == " " else re.escape(grouping)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d{{1,12}})" if grouping else r"\d{1,12}"
    return re.compile(rf"-?{whole}(?:{re.escape(decimal)}\d{{1,9}})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hours:
    """How time is written: as a number of `unit`s, or on a clock (7:30). A sheet's durations are read as they are."""

    numbers: Numbers = Numbers()
    unit: Unit = "hours"
    day_hours: Decimal = Decimal(8)

    def read(self, value: Any) -> Decimal | None:
        if isinstance(value, Merged):
            # Whether three rows share seven hours or have seven each, a merged cell does not say.
            raise ValueError("one merged cell stands for several rows; write the hours of each")  # noqa: TRY004
        if isinstance(value, timedelta):
            return _exact(Decimal(value.days * 86_400 + value.seconds) / 3600)
        if isinstance(value, time):
            return _exact(Decimal(value.hour * 3600 + value.minute * 60 + value.second) / 3600)
        if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
            hours, minutes, seconds = (int(part or 0) for part in clock.groups())
            return _exact(Decimal(hours * 3600 + minutes * 60 + seconds) / 3600)
        number = self.numbers.read(value)
        if number is None or self.unit == "hours":
            return number
        return _exact(number / 60 if self.unit == "minutes" else number * self.day_hours)


def _exact(hours: Decimal) -> Decimal:
    rounded = hours.quantize(_FINEST, ROUND_HALF_EVEN)
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral() else rounded.normalize()


@dataclass(frozen=True, slots=True)
class Days:
    """How days are written, by patterns of YYYY YY MMM MM M DD D, the first that fits. Months by name are those of
    `locale`. Two-digit years up to `pivot` belong to this century: with 68, 68 is 2068 and 69 is 1969."""

    patterns: tuple[str, ...] = ("YYYY-MM-DD",)
    pivot: int | None = None
    locale: str = "en"

    def mistakes(self) -> list[str]:
        """What is wrong with this declaration."""
        found = []
        for pattern in self.patterns:
            tokens = sorted(token[0] for token in _TOKENS.findall(pattern))
            if tokens != ["D", "M", "Y"]:
                found.append(f"the day pattern {pattern!r} must have one year, one month and one day")
            if "YY" in pattern.replace("YYYY", "") and self.pivot is None:
                found.append(f"the day pattern {pattern!r} has two-digit years; declare a pivot")
        if self.pivot is not None and not 0 <= self.pivot <= 99:
            found.append(f"the pivot {self.pivot} must be between 0 and 99")
        try:
            Locale.parse(self.locale)
        except (ValueError, UnknownLocaleError):
            found.append(f"there is no locale {self.locale!r}")
        return found

    def read(self, value: Any) -> date | None:
        value = _present(value)
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, date) or value is None:
            return value
        if not isinstance(value, str):
            raise ValueError(f"{plain(value)!r} is not a day")  # noqa: TRY004  (as above)
        given = value.strip()
        if not given:
            return None
        for pattern in self.patterns:
            if found := _day_pattern(pattern).fullmatch(given):
                return self._day(given, pattern, found)
        raise ValueError(f"{given!r} is not a day written {' or '.join(self.patterns)}")

    def _day(self, given: str, pattern: str, found: re.Match[str]) -> date:
        year = int(found["y"])
        if len(found["y"]) == 2:
            year += 2000 if self.pivot is None or year <= self.pivot else 1900
        month = int(found["m"]) if found["m"].isdecimal() else _months(self.locale).get(_bare(found["m"]))
        if month is None:
            raise ValueError(f"{given!r} names no month of {self.locale!r}")
        try:
            return date(year, month, int(found["d"]))
        except ValueError:
            raise ValueError(f"{given!r} is no day of the calendar when read as {pattern}") from None


@cache
def _day_pattern(pattern: str) -> re.Pattern[str]:
    place, parts = 0, []
    for token in _TOKENS.finditer(pattern):
        parts += [re.escape(pattern[place : token.start()]), _DIGITS[token[0]]]
        place = token.end()
    return re.compile("".join([*parts, re.escape(pattern[place:])]))


@cache
def _months(locale: str) -> dict[str, int]:
    names = Locale.parse(locale).months
    return {
        _bare(name): number
        for context in ("format", "stand-alone")
        for width in ("abbreviated", "wide")
        for number, name in names[context][width].items()
    }


def _bare(name: str) -> str:
    return name.rstrip(".").casefold()
