"""The geometry of the pictures; templates draw them, so that every word in them is escaped. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from accord.insight.flow import Home, Stage
from accord.insight.timeline import Entry
from accord.web.words import amount, span

LANES = (("crm", "CRM"), ("accord", "Accord"), ("erp", "ERP"), ("billing", "Billing"))

# -- the flow from won to cash -----------------------------------------------------------------------------------------
LABELS = {
    "won": "Won",
    "in gate": "Held in the gate",
    "active": "Active",
    "milestone approved": "Approved",
    "invoiced": "Invoiced",
    "posted": "Posted",
    "paid": "Paid",
    "disputed": "Disputed",
}
ADDRESSES = {
    "won": "/engagements",
    "in gate": "/engagements?status=in+gate",
    "active": "/engagements?status=active",
    "milestone approved": "/billing?stage=milestone+approved",
    "invoiced": "/billing?stage=invoiced",
    "posted": "/billing?stage=posted",
    "paid": "/billing?stage=paid",
    "disputed": "/billing?stage=disputed",
}
MAIN = ("won", "active", "milestone approved", "invoiced", "posted", "paid")
BELOW = {"in gate": "won", "disputed": "paid"}
MOST_CURRENCIES = 4


@dataclass(frozen=True, slots=True)
class Box:
    """One stage: where its box stands, and its lines of text."""

    name: str
    label: str
    href: str
    count: str
    money: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to the next."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class FlowPicture:
    """All stages, for a wide or a narrow page."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def flow_picture(home: Home, *, narrow: bool = False) -> FlowPicture:
    """Six stages in a row (or a column), what is held up or disputed beside its stage."""
    lines = max(1, min(MOST_CURRENCIES, max(len(stage.money) for stage in home.stages)))
    height = 62.0 + 17 * lines
    return _narrow(home, height) if narrow else _wide(home, height)


def _wide(home: Home, height: float) -> FlowPicture:
    width, gap, top = 162.0, 24.0, 4.0
    places = {name: (4 + index * (width + gap), top) for index, name in enumerate(MAIN)}
    for name, above in BELOW.items():
        places[name] = (places[above][0], top + height + 30)
    boxes = tuple(_box(home.stage(name), *places[name], width, height) for name in (*MAIN, *BELOW))
    middle = top + height / 2
    arrows = [Arrow(places[a][0] + width, middle, places[b][0], middle) for a, b in pairwise(MAIN)]
    arrows += [
        Arrow(places[a][0] + width / 2, top + height, places[a][0] + width / 2, places[b][1]) for b, a in BELOW.items()
    ]
    return FlowPicture(8 + len(MAIN) * width + (len(MAIN) - 1) * gap, top + 2 * height + 34, boxes, tuple(arrows))


def _narrow(home: Home, height: float) -> FlowPicture:
    width, gap = 280.0, 22.0
    order = ("won", "in gate", "active", "milestone approved", "invoiced", "posted", "paid", "disputed")
    places = {name: 4 + index * (height + gap) for index, name in enumerate(order)}
    boxes = tuple(_box(home.stage(name), 4, places[name], width, height) for name in order)
    middle = 4 + width / 2
    arrows = tuple(Arrow(middle, places[a] + height, middle, places[b]) for a, b in pairwise(order))
    return FlowPicture(width + 8, places[order[-1]] + height + 4, boxes, arrows)


def _box(stage: Stage, x: float, y: float, width: float, height: float) -> Box:
    money = [amount(each) for each in stage.money]
    if len(money) > MOST_CURRENCIES:
        money = [*money[: MOST_CURRENCIES - 1], f"and {len(money) - MOST_CURRENCIES + 1} currencies more"]
    return Box(
        name=stage.name,
        label=LABELS[stage.name],
        href=ADDRESSES[stage.name],
        count=f"{stage.count:,}",
        money=tuple(money),
        x=x,
        y=y,
        width=width,
        height=height,
        alarm=stage.name in BELOW and stage.count > 0,
    )


# -- the story of an engagement ----------------------------------------------------------------------------------------
LANE_HEIGHT = 74.0
LEFT = 84.0
# What a reader looks for on the picture; everything else is a mark without words, and a row in the table.
NAMED = {
    "deal.won": "Won",
    "deal.reopened": "Re-opened",
    "project.activated": "Active",
    "milestone.approved": "Milestone approved",
    "milestone.unapproved": "Approval withdrawn",
    "subscription_period.closed": "Period closed",
    "service.changed": "Service changed",
    "invoice.issued": "Invoiced",
    "invoice.posted": "Posted",
    "payment.received": "Paid",
    "payment.failed": "Payment failed",
    "dispute.opened": "Disputed",
    "dispute.closed": "Dispute closed",
    "case.opened": "Case",
    "case.closed": "Case closed",
    "case.resolved": "Case settled",
}
_TOGETHER_SECONDS = 2.0
_LETTER = 6.4  # average width of a letter of the labels, in the picture's units


@dataclass(slots=True)
class Mark:
    """One or several entries at one place. `href` leads to the first one's row."""

    x: float
    y: float
    kind: str
    count: int
    title: str
    href: str
    label: str = ""
    label_y: float = 0.0
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Break:
    """A long pause: where it is drawn, and how long it was."""

    x: float
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A time under the picture."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class StoryPicture:
    """The story across lanes, left to right."""

    width: float
    height: float
    lanes: tuple[tuple[str, float], ...]
    marks: tuple[Mark, ...]
    breaks: tuple[Break, ...]
    ticks: tuple[Tick, ...]
    path: str


def story_picture(entries: Sequence[Entry]) -> StoryPicture | None:
    """Entries in order as marks; pauses are compressed, long ones broken. None when there is nothing to draw."""
    if not entries:
        return None
    lane_y = {lane: 34 + LANE_HEIGHT * index for index, (lane, _) in enumerate(LANES)}
    marks: list[Mark] = []
    breaks: list[Break] = []
    ticks: list[Tick] = []
    x, before = LEFT + 16, entries[0].at
    ends: dict[tuple[str, int], float] = {}
    for index, entry in enumerate(entries):
        if entry.kind == "gap":
            x += 46
            breaks.append(Break(x - 10, span(entry.seconds or 0), entry.what))
            x += 22
            continue
        pause = max(0.0, (entry.at - before).total_seconds())
        before = entry.at
        if marks and _joins(marks[-1], entry, pause):
            marks[-1].count += 1
            marks[-1].entries.append(entry)
            marks[-1].title += f"\n{entry.what}"
            continue
        if marks:
            x += min(64.0, 20 + 7 * math.log1p(pause))
        mark = Mark(x, lane_y[entry.lane], entry.kind, 1, entry.what, f"#e{index}", entries=[entry])
        _name(mark, entry, ends)
        marks.append(mark)
        if not ticks or x - ticks[-1].x > 118:
            ticks.append(Tick(x, _tick(entry, ticks, entries)))
    path = " ".join(f"{'M' if index == 0 else 'L'}{mark.x:.1f} {mark.y:.1f}" for index, mark in enumerate(marks))
    height = 34 + LANE_HEIGHT * len(LANES)
    lanes = tuple((label, lane_y[lane]) for lane, label in LANES)
    last = max([x, *ends.values()]) + 24
    return StoryPicture(max(last, 640), height, lanes, tuple(marks), tuple(breaks), tuple(ticks), path)


def _joins(mark: Mark, entry: Entry, pause: float) -> bool:
    """Whether an entry is one more of the same at the same moment, and has no name of its own."""
    same = mark.entries[-1].lane == entry.lane and mark.kind == entry.kind
    return same and pause < _TOGETHER_SECONDS and entry.type not in NAMED and not mark.label


def _name(mark: Mark, entry: Entry, ends: dict[tuple[str, int], float]) -> None:
    """Write a label above or below the mark, where it does not run into another one of its lane."""
    text = NAMED.get(entry.type)
    if text is None:
        return
    for row, offset in ((0, -15.0), (1, 25.0), (2, -28.0)):
        if ends.get((entry.lane, row), 0) < mark.x - 6:
            mark.label, mark.label_y = text, mark.y + offset
            ends[entry.lane, row] = mark.x - 5 + len(text) * _LETTER
            return


def _tick(entry: Entry, ticks: Sequence[Tick], entries: Sequence[Entry]) -> str:
    whole = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    if not ticks:
        return whole
    earlier = [each for each in entries if each.at < entry.at]
    same_day = bool(earlier) and earlier[0].at.date() == entry.at.date()
    return f"{entry.at:%H:%M:%S}" if same_day else f"{entry.at:%m-%d %H:%M}"
