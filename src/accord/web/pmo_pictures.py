"""Bars for the pages of the PMO: utilization, burn against caps, from won to billed. Pure; templates draw them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

from accord.insight.pmo_activation import Step
from accord.insight.pmo_caps import CapLine
from accord.insight.pmo_utilization import Hours, OfPractice
from accord.model.money import Money
from accord.rules.measures.definition import Reading, Unit
from accord.web.words import NO_BREAK, NOTHING, amount, in_one_line, span

WIDE, NARROW = 720.0, 300.0
ROW, NARROW_ROW = 46.0, 62.0
_LETTER = 7.0  # average width of a letter of the labels, in the picture's units
MOST_CAPS = 12


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a bar: `of` the whole (1 is all of it); `kind` says how it is drawn."""

    kind: str
    of: float


@dataclass(frozen=True, slots=True)
class Row:
    """What one bar says: its name and value in words, where it leads, its parts from the left."""

    label: str
    value: str
    href: str
    shares: tuple[Share, ...]
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """One part as it is drawn."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One row as it is drawn: `title` is all of it in words."""

    label: str
    value: str
    title: str
    href: str
    y: float
    alarm: bool
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A picture of bars, each `row` high; `whole` is where 1 lies."""

    width: float
    height: float
    row: float
    whole: float
    bars: tuple[Bar, ...]


def bars(rows: Sequence[Row], *, narrow: bool = False) -> Bars | None:
    """The rows as bars of one scale, at least up to 1. None when there is nothing to draw."""
    if not rows:
        return None
    width = NARROW if narrow else WIDE
    most = max([1.0, *(sum(share.of for share in row.shares) for row in rows)])
    scale = (width - 4) / min(most, 2.0)
    high = NARROW_ROW if narrow else ROW
    drawn = tuple(_bar(row, 4 + high * nth, width, scale) for nth, row in enumerate(rows))
    return Bars(width, 4 + high * len(rows), high, 2 + scale, drawn)


def _bar(row: Row, y: float, width: float, scale: float) -> Bar:
    x, segments = 2.0, []
    for share in row.shares:
        long = min(max(0.0, share.of) * scale, width - 2 - x)
        if long > 0:
            segments.append(Segment(share.kind, round(x, 1), round(max(long, 1.0), 1)))
            x += long
    # A narrow page has a line of its own for the value.
    room = int((width - (0 if width == NARROW else len(row.value) * _LETTER + 16)) / _LETTER)
    mark = "▲ " if row.alarm else ""
    label = mark + (row.label if len(row.label) + len(mark) <= room else f"{row.label[: max(3, room - 3)]}…")
    return Bar(label, row.value, f"{row.label}: {row.value}", row.href, y, row.alarm, tuple(segments))


def utilization_rows(whole: Hours, practices: Iterable[OfPractice], weeks: int) -> list[Row]:
    """All people, then each practice: billable, strategic, and what is submitted as the band."""
    rows = [_used("Everyone", whole, f"/pmo/utilization?weeks={weeks}")]
    for each in practices:
        href = f"/pmo/utilization?weeks={weeks}&practice={quote(each.practice)}"
        name = each.practice or "without a practice"
        people = f"{each.people} {'person' if each.people == 1 else 'people'}"
        rows.append(_used(f"{name}, {people}", each.hours, href))
    return rows


def _used(label: str, hours: Hours, href: str) -> Row:
    billable, upper, _ = hours.readings
    value = short(billable) if billable.value == upper.value else f"{short(billable)}, {short(upper)} with submitted"
    parts = (("solid", hours.billable), ("soft", hours.strategic), ("hollow", hours.submitted))
    shares = tuple(Share(kind, float(part / hours.available)) for kind, part in parts if hours.available)
    return Row(label, value, href, shares)


def cap_rows(caps: Sequence[CapLine]) -> list[Row]:
    """Each cap: what is used, and what was worked beyond it."""
    return [_cap(each) for each in caps[:MOST_CAPS]]


def _cap(cap: CapLine) -> Row:
    used = _number(cap.share)
    value = f"{amount(cap.left)} left"
    if cap.days_left is not None and cap.left.amount > 0:
        value += f", {int(cap.days_left)}{NO_BREAK}d"
    same = [each for each in cap.over if each.currency == cap.limit.currency]
    over = float(same[0].amount / cap.limit.amount) if same and cap.limit.amount else 0.0
    if cap.over:
        value = f"{in_one_line(cap.over)} over"
    name = cap.name if cap.task is None else f"{cap.name}, {cap.task}"
    label = f"{name} ({cap.id})"
    return Row(label, value, f"/pmo/caps#{cap.anchor}", (Share("solid", used), Share("over", over)), cap.close)


def funnel_rows(steps: Sequence[Step]) -> list[Row]:
    """Each step as part of what was won."""
    won = steps[0].count
    rows = []
    for step in steps if won else ():
        part = "" if step is steps[0] else f", {step.count * 100 / won:.0f}{NO_BREAK}%"
        rows.append(
            Row(step.name.capitalize(), f"{step.count:,}{part}", "/pmo/activation", (Share("solid", step.count / won),))
        )
    return rows


def short(reading: Reading) -> str:
    """A reading without its reason: a ratio with one decimal, a span of time in one unit, a dash for none."""
    value, unit = reading.value, reading.definition.unit
    if value is None:
        return NOTHING
    if isinstance(value, Money):
        return amount(value.rounded())
    if unit is Unit.HOURS:
        return span(float(value) * 3600)
    if unit is Unit.DAYS:
        return f"{value:.1f}{NO_BREAK}d"
    return f"{value * 100:.1f}{NO_BREAK}%" if unit is Unit.RATIO else f"{value:.2f}"


def _number(reading: Reading) -> float:
    return float(reading.value) if isinstance(reading.value, Decimal) else 0.0
