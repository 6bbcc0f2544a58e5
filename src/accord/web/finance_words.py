"""The first line of the finance workbench: what is unexplained and what waits, in words and money. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from accord.insight.proposals import Waiting
from accord.insight.receivables import Receivables
from accord.insight.unbilled import AgedWork
from accord.model.money import Money
from accord.reconcile.checking import Check, UnexplainedSum
from accord.web.words import count, in_one_line, span


def first_line(
    checked: Check | None,
    unexplained: Sequence[UnexplainedSum],
    currencies: Iterable[str],
    waiting: Sequence[Waiting],
    now: datetime,
) -> str:
    """What is unexplained in each currency the firm has money in, said calmly when it is nothing; then what waits."""
    return " ".join(part for part in (_unexplained(checked, unexplained, currencies, now), _waiting(waiting)) if part)


def second_line(aged: Sequence[AgedWork], owed: Sequence[Receivables]) -> str:
    """What is late: work not billed, and invoices not paid. Empty when nothing is."""
    old = [Money(each.older.amount, each.currency) for each in aged if each.older.amount > 0]
    due = [each.overdue for each in owed if each.overdue.amount > 0]
    said = []
    if old:
        said.append(f"{in_one_line(old)} of work {_is(len(old))} more than 60 days old and not billed.")
    if due:
        said.append(f"{in_one_line(due)} {_is(len(due))} overdue from customers.")
    return " ".join(said)


def _unexplained(
    checked: Check | None, found: Sequence[UnexplainedSum], currencies: Iterable[str], now: datetime
) -> str:
    if checked is None:
        return "What is unexplained was not looked at yet."
    things = sum(each.count for each in found)
    if not things:
        zeros = [Money.zero(each) for each in sorted(set(currencies))]
        return f"Unexplained: {in_one_line(zeros)}." if zeros else "Nothing is unexplained."
    amounts = [Money(each.amount, each.currency) for each in found if each.currency is not None]
    age = span(max((now - each.oldest_at).total_seconds() for each in found))
    priceless = sum(each.count for each in found if each.currency is None)
    if not amounts:
        return f"{count(things, 'thing')} without a price cannot be explained, known for {age}."
    more = f"; {count(priceless, 'more has', 'more have')} no price" if priceless else ""
    return f"{in_one_line(amounts)} cannot be explained: {count(things, 'thing')}, known for {age}{more}."


def _waiting(waiting: Sequence[Waiting]) -> str:
    drafts = [each for each in waiting if each.status == "draft"]
    number = sum(each.count for each in drafts)
    if not number:
        return ""
    money = in_one_line([each.net for each in drafts])
    return f"{count(number, 'invoice proposal')} over {money} {'waits' if number == 1 else 'wait'} for approval."


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def quantity(value: Decimal | None) -> str:
    """`133.33`: at most two decimals, and none that say nothing; a dash for none."""
    if value is None:
        return "\u2013"
    return f"{value:,.2f}".rstrip("0").rstrip(".")
