"""What the PMO reads first: what needs doing, in words and money. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from accord.insight.engagements import sums
from accord.insight.pmo import Overview
from accord.insight.pmo_caps import SOON_DAYS
from accord.insight.pmo_missing import MissingTime
from accord.model.money import Money
from accord.web.words import NO_BREAK, count, in_one_line

ONE = 1


def hours(value: Decimal) -> str:
    """`1,204.5 h`."""
    text = f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{text}{NO_BREAK}h"


def todo(found: Overview) -> str:
    """Time missing, caps about to be hit, milestones due, engagements on hold."""
    told = [*_missing(found.missing), *_caps(found), *_milestones(found), *_held(found)]
    return " ".join(told) or "Nothing waits for the PMO: time is in, caps have room, nothing is due or on hold."


def _missing(found: MissingTime) -> Iterable[str]:
    late = sum(1 for each in found.people if each.lacking)
    waiting = sum(1 for each in found.people if each.submitted)
    parts = []
    if late:
        verb = "has" if late == ONE else "have"
        parts.append(f"{count(late, 'person', 'people')} {verb} not submitted {hours(found.lacking)}")
    if waiting:
        verb = "wait" if found.submitted != ONE else "waits"
        whose = count(waiting, "person", "people")
        parts.append(f"{hours(found.submitted)} of {whose} {verb} for approval")
    if parts:
        stake = found.at_stake
        yield " and ".join(parts) + (f": {in_one_line(stake)} at stake." if stake else ".")


def _caps(found: Overview) -> Iterable[str]:
    close = found.close
    over = sums([amount for each in close for amount in each.over])
    left = _positive(sums([each.left for each in close]))
    if close:
        verb, them = ("has", "it") if len(close) == ONE else ("have", "them")
        rest = f"{in_one_line(left)} left" if left else "nothing left"
        more = f", and {in_one_line(over)} {'is' if len(over) == ONE else 'are'} worked over {them}" if over else ""
        yield f"{count(len(close), 'cap')} near {'its' if len(close) == ONE else 'their'} end {verb} {rest}{more}."


def _milestones(found: Overview) -> Iterable[str]:
    if found.due:
        verb = "is" if len(found.due) == ONE else "are"
        yield f"{count(len(found.due), 'milestone')} {verb} due and not approved: {in_one_line(found.due_value)}."


def _held(found: Overview) -> Iterable[str]:
    if found.on_hold:
        verb = "is" if len(found.on_hold) == ONE else "are"
        value = sums([amount for each in found.on_hold for amount in each.value])
        yield f"{count(len(found.on_hold), 'engagement')} {verb} on hold, worth {in_one_line(value)}."
    if found.held:
        yield f"{in_one_line(found.held)} of work {'is' if len(found.held) == ONE else 'are'} held."


def _positive(amounts: tuple[Money, ...]) -> tuple[Money, ...]:
    return tuple(each for each in amounts if each.amount > 0)


CLOSE_MEANS = f"at least 80{NO_BREAK}% used, or used up within {SOON_DAYS} days at the present pace"
