"""The geometry of finance's pictures: amounts by age as bars, and the way from work to cash as a waterfall. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accord.insight.work_to_cash import Way
from accord.web.words import span

ROW = 26.0
LETTER = 7.2  # average width of a letter at the size of these pictures


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a bar; `kind` is the place its amount lies in and chooses its pattern."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class AgeBar:
    """One age: its label, its bar, and its amount in words at the end of it."""

    label: str
    href: str
    text: str
    y: float
    segments: tuple[Segment, ...]
    text_x: float
    said: str


@dataclass(frozen=True, slots=True)
class AgePicture:
    """All ages of one currency, the youngest first, as wide as the greatest of them."""

    width: float
    height: float
    bar_x: float
    bars: tuple[AgeBar, ...]


# An age as a caller tells it: label, address of its rows, its amount in words, and what of it is of which kind.
Aged = tuple[str, str, str, Sequence[tuple[str, Decimal]]]


def age_picture(ages: Sequence[Aged], *, narrow: bool = False) -> AgePicture:
    """Bars to scale from one line; below zero (a correction not yet set off) there is no bar, only the amount."""
    width, bar_x = (288.0, 74.0) if narrow else (580.0, 78.0)
    room = width - bar_x - max((len(text) for _, _, text, _ in ages), default=0) * LETTER - 12
    greatest = max((sum(max(value, Decimal(0)) for _, value in parts) for _, _, _, parts in ages), default=Decimal(0))
    bars = []
    for index, (label, href, text, parts) in enumerate(ages):
        x = bar_x
        segments = []
        for kind, value in parts:
            if value <= 0 or greatest <= 0:
                continue
            length = max(1.5, float(value / greatest) * max(room, 40.0))
            segments.append(Segment(kind, round(x, 1), round(length, 1)))
            x += length
        said = f"{label} days: {text}" if label[0].isdigit() or label.startswith("over") else f"{label}: {text}"
        bars.append(AgeBar(label, href, text, index * ROW + 2, tuple(segments), round(x + 6, 1), said))
    return AgePicture(width, len(bars) * ROW + 4, bar_x, tuple(bars))


@dataclass(frozen=True, slots=True)
class Fall:
    """One step of the waterfall: half of the money is through at `width`, nine tenths at `far` (both from `x`)."""

    name: str
    label: str
    label_y: float
    text: str
    text_x: float
    x: float
    y: float
    width: float
    far: float
    whole: bool
    said: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The way from work to cash, each step beginning where the one before it ended."""

    width: float
    height: float
    falls: tuple[Fall, ...]


def waterfall(way: Way, *, narrow: bool = False) -> Waterfall | None:
    """The steps that any invoice went; None when there are none. Medians of steps do not add up to the whole's."""
    steps = [each for each in way.steps if each.median_hours is not None and each.p90_hours is not None]
    if not steps:
        return None
    width, left, row = (288.0, 4.0, 50.0) if narrow else (1000.0, 190.0, 34.0)
    longest, start = 0.0, 0.0
    for each in steps:
        begins = 0.0 if each.name == "whole" else start
        longest = max(longest, begins + max(float(each.p90_hours or 0), float(each.median_hours or 0), 0.0))
        start += max(0.0, float(each.median_hours or 0)) if each.name != "whole" else 0.0
    room = width - left - (8 if narrow else 170)
    scale = room / longest if longest > 0 else 0.0
    falls, start = [], 0.0
    for index, each in enumerate(steps):
        median, far = float(each.median_hours or 0), float(each.p90_hours or 0)
        whole = each.name == "whole"
        x = left + (0.0 if whole else start) * scale
        length, reach = max(2.0, median * scale), max(2.0, far * scale)
        half, most = span(max(0.0, median) * 3600), span(max(0.0, far) * 3600)
        text = f"{half}, 90 % in {most}"
        y = 4 + index * row + (20 if narrow else 0)
        text_x = width - 4 if narrow else min(x + reach + 8, width - 4 - len(text) * LETTER)
        said = f"{each.label}: half of the money within {half}, nine tenths within {most}; {each.count} invoices"
        falls.append(
            Fall(each.name, each.label, y - 6 if narrow else y + 16, text, round(text_x, 1), round(x, 1), y,
                 round(length, 1), round(reach, 1), whole, said)
        )  # fmt: skip
        if not whole:
            start += max(0.0, median)
    return Waterfall(width, 8 + len(steps) * row, tuple(falls))
