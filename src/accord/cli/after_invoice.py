"""`accord credit`, `accord adjustments`: what happens to an invoice after it is issued, by the command line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console

from accord.app import House, open_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.ledger import adjusting, crediting
from accord.settings import Settings

_LINE = re.compile(r"(\d{1,6})(?:=(.+))?")


def in_transaction(work: Callable[[Connection], Awaitable[Any]]) -> Any:
    """What the work gives, done in one transaction on the platform's database."""

    async def run() -> Any:
        async with open_house(Settings()) as house:
            return await _within(house, work)

    return asyncio.run(run())


async def _within(house: House, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    async with transaction(house.pool) as db:
        return await work(db)


def lines_of(given: Sequence[str]) -> dict[int, Decimal | None]:
    """Lines as `3` (all of it) or `3=120.50`. Raises UsageError."""
    found: dict[int, Decimal | None] = {}
    for each in given:
        match = _LINE.fullmatch(each)
        if match is None:
            raise UsageError(f"a line is given as 3 or 3=120.50, not as {each!r}")
        found[int(match[1])] = None if match[2] is None else decimal_of(match[2])
    return found


def decimal_of(text: str) -> Decimal:
    """An amount. Raises UsageError."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"{text!r} is no amount") from error
    if not amount.is_finite():
        raise UsageError(f"{text!r} is no amount")
    return amount


def run_credit(invoice: str, lines: Sequence[str], reason: str, by: str, *, rebill: bool) -> None:
    """Ask for a credit of an invoice."""
    chosen = lines_of(lines)

    async def work(db: Connection) -> str:
        return await crediting.ask_credit(
            db, invoice, chosen, reason=reason, by=by, at=datetime.now(UTC), rebill=rebill
        )

    said_who_approves(in_transaction(work))


def said_who_approves(id: str) -> None:
    """Tell how what was asked for goes on."""
    Console().print(f"asked for: {id}; somebody else approves it by `accord adjustments approve {id}`")


def run_adjustments(status: str, limit: int, *, as_json: bool) -> None:
    """Changes of money that were asked for."""
    found = in_transaction(lambda db: adjusting.waiting(db, status=status, limit=limit))
    if as_json:
        print_json([asdict(each) for each in found])
        return
    columns = ("id", "what", "about", "entity", "amount", "currency", "reason", "asked for by")
    rows = [
        (
            each.id, adjusting.WORDS[each.kind], each.about, each.legal_entity, each.amount, each.currency,
            each.reason, each.requested_by,
        )
        for each in found
    ]  # fmt: skip
    as_table("Changes of money", columns, rows, right=("amount",))


def run_approve(id: str, by: str) -> None:
    """Approve a change of money that somebody else has asked for."""
    found = in_transaction(lambda db: adjusting.approve(db, id, by=by, at=datetime.now(UTC)))
    Console().print(f"approved: {adjusting.WORDS[found.kind]} of {found.amount} {found.currency}; it is on its way")


def run_refuse(id: str, reason: str, by: str) -> None:
    """Refuse a change of money, or take back one's own."""
    in_transaction(lambda db: adjusting.refuse(db, id, reason=reason, by=by, at=datetime.now(UTC)))
    Console().print("refused")
