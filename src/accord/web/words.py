"""How values look on pages: money with its currency, times with the exact one behind, states as word and shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from accord.model.money import Money, UnknownCurrency, decimals_of

NO_BREAK = "\u00a0"
NOTHING = "\u2013"  # where there is no value

# Shape and tone of each state; the word always stands beside the shape, so that neither colour nor shape is alone.
SHAPES: Mapping[str, tuple[str, str]] = {
    "good": ("●", "good"),
    "active": ("●", "good"),
    "done": ("●", "good"),
    "committed": ("●", "good"),
    "paid": ("●", "good"),
    "resolved": ("●", "good"),
    "collected": ("●", "good"),
    "in gate": ("▲", "warn"),
    "slow": ("▲", "warn"),
    "reopened": ("▲", "warn"),
    "parked": ("▲", "warn"),
    "billed": ("●", "good"),
    "posted": ("●", "good"),
    "approved": ("●", "good"),
    "open": ("◐", "calm"),
    "waiting": ("◐", "calm"),
    "ready": ("◐", "calm"),
    "running": ("◐", "calm"),
    "sending": ("◐", "calm"),
    "activating": ("◐", "calm"),
    "draft": ("○", "calm"),
    "closing": ("◐", "warn"),
    "closed": ("●", "good"),
    "proposed": ("◐", "calm"),
    "applied": ("●", "good"),
    "taken back": ("✕", "calm"),
    "dropped": ("✕", "calm"),
    "scheduled": ("○", "calm"),
    "billing": ("◐", "calm"),
    "unknown": ("◆", "warn"),
    "undoing": ("◆", "warn"),
    "asked again": ("◐", "calm"),
    "submitted": ("◐", "calm"),
    "part paid": ("◐", "calm"),
    "recalled": ("▲", "warn"),
    "overdue": ("■", "bad"),
    "stopped": ("■", "bad"),
    "disputed": ("■", "bad"),
    "rejected": ("■", "bad"),
    "dead": ("■", "bad"),
    "paused": ("■", "bad"),
    "broken": ("■", "bad"),
    "uncollectible": ("■", "bad"),
    "written off": ("■", "bad"),
    "requested": ("◐", "calm"),
    "credited": ("✕", "calm"),
    "refused": ("✕", "calm"),
    "cancelled": ("✕", "calm"),
    "skipped": ("✕", "calm"),
    "superseded": ("✕", "calm"),
    "void": ("✕", "calm"),
}


def amount(value: Money) -> str:
    """`120,000.00 USD`: grouped, all decimals of the currency, a space that does not break."""
    return f"{number(value.amount, value.currency)}{NO_BREAK}{value.currency}"


def number(value: Decimal, currency: str) -> str:
    """The amount alone, with the decimals of its currency; more when it has more."""
    try:
        places = decimals_of(currency)
    except UnknownCurrency:
        places = 2
    exponent = value.as_tuple().exponent
    return f"{value:,.{max(places, -exponent if isinstance(exponent, int) else 0)}f}"


def amounts(values: Iterable[Money], nothing: str = NOTHING) -> Markup:
    """Amounts of several currencies, each on a line of its own."""
    return Markup("<br>").join(escape(amount(each)) for each in values) or escape(nothing)


def in_one_line(values: Iterable[Money]) -> str:
    """Amounts as a sentence has them: `1.00 EUR and 2.00 USD`."""
    texts = [amount(each) for each in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else "no money"


def span(seconds: float) -> str:
    """A span in words: 45 s, 12 min, 3 h, 2 d."""
    if 0 < seconds < 1:
        return f"under 1{NO_BREAK}s"
    whole = int(max(0, seconds))
    for unit, size, least in (("d", 86400, 2 * 86400), ("h", 3600, 2 * 3600), ("min", 60, 60)):
        if whole >= least:
            return f"{whole // size}{NO_BREAK}{unit}"
    return f"{whole}{NO_BREAK}s"


def ago(at: datetime, now: datetime) -> Markup:
    """A relative time with the exact one behind it."""
    seconds = (now - at).total_seconds()
    text = f"{span(seconds)} ago" if seconds >= 1 else "now" if seconds > -1 else f"in {span(-seconds)}"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(at.isoformat(), exact(at), text)


def exact(at: datetime) -> str:
    """`2026-11-23 17:20:06 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def clock(at: datetime) -> Markup:
    """The time of day to the millisecond, with the whole moment behind it."""
    text = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), exact(at), text)


def day(value: date | str | None) -> str:
    """A day as ISO has it; a dash for none."""
    return NOTHING if value is None else str(value)[:10]


def state(word: str) -> Markup:
    """A state as word and shape."""
    shape, tone = SHAPES.get(word, ("○", "calm"))
    return Markup('<span class="state {}"><span class="shape" aria-hidden="true">{}</span>{}</span>').format(
        tone, shape, word
    )


def latency(milliseconds: float | None) -> str:
    """`85 ms`, `1.2 s`; a dash for none."""
    if milliseconds is None:
        return NOTHING
    return f"{milliseconds:.0f}{NO_BREAK}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f}{NO_BREAK}s"


def human(text: Any) -> str:
    """`quote_to_project` as people write it."""
    return str(text).replace("_", " ")


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 case`, `1,204 cases`."""
    return f"{n:,}{NO_BREAK}{one if n == 1 else many or one + 's'}"
