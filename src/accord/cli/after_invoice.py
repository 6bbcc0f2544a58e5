"""`accord credit`, `accord cash`, `accord adjustments`: what happens to an invoice after it is issued."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console

from accord.app import House, open_house
from accord.cli.printing import as_json as print_json
from accord.cli.printing import as_table
from accord.db.pool import transaction
from accord.engine.shell import Connection
from accord.errors import UsageError
from accord.ledger import adjusting, cash, crediting, transferring, writing_off
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


def run_receipt(
    customer: str,
    entity: str,
    amount: str,
    *,
    currency: str,
    received_on: date,
    reference: str,
    pays: Sequence[str] | None,
    bank_fee: str | None,
    by: str,
) -> None:
    """Record money that came in beside billing."""
    shares = None if pays is None else dict(_share(each) for each in pays)
    fee = None if bank_fee is None else decimal_of(bank_fee)

    async def work(db: Connection) -> str:
        return await cash.record_receipt(
            db, customer, entity, decimal_of(amount), currency, received_on=received_on, reference=reference, by=by,
            at=datetime.now(UTC), pays=shares, bank_fee=fee,
        )  # fmt: skip

    Console().print(f"recorded: {in_transaction(work)}; it is on its way to its invoices")


def _share(given: str) -> tuple[str, Decimal]:
    invoice, found, amount = given.rpartition("=")
    if not found or not invoice:
        raise UsageError(f"a share is given as ACC-0001=120.50, not as {given!r}")
    return invoice, decimal_of(amount)


def run_cash(limit: int, *, as_json: bool) -> None:
    """Unapplied cash of which something is left."""
    found = in_transaction(lambda db: cash.unapplied(db, limit=limit))
    if as_json:
        print_json([{**asdict(each.cash), "left": asdict(each.left)} for each in found])
        return
    columns = ("id", "customer", "entity", "received", "from", "amount", "left", "currency")
    rows = [
        (
            each.cash.id, each.cash.customer_id, each.cash.legal_entity, each.cash.received_on,
            each.cash.source_kind.replace("_", " "), each.cash.amount.amount, each.left.amount, each.left.currency,
        )
        for each in found
    ]  # fmt: skip
    as_table("Unapplied cash", columns, rows, right=("amount", "left"))


def run_apply(id: str, invoice: str, amount: str | None, by: str) -> None:
    """Let unapplied cash pay an invoice."""
    part = None if amount is None else decimal_of(amount)
    found = in_transaction(lambda db: cash.apply_cash(db, id, invoice, part, by=by, at=datetime.now(UTC)))
    Console().print(f"applied: {found} to invoice {invoice}")


def run_refund(id: str, amount: str | None, reason: str, by: str) -> None:
    """Ask for a refund of unapplied cash."""
    part = None if amount is None else decimal_of(amount)
    said_who_approves(
        in_transaction(lambda db: cash.ask_refund(db, id, part, reason=reason, by=by, at=datetime.now(UTC)))
    )


def run_write_off(about: str, amount: str | None, reason: str, by: str) -> None:
    """Ask for a write-off of an invoice or item."""
    part = None if amount is None else decimal_of(amount)
    said_who_approves(
        in_transaction(
            lambda db: writing_off.ask_write_off(db, about, part, reason=reason, by=by, at=datetime.now(UTC))
        )
    )


def run_write_up(engagement: str, entity: str, amount: str, reason: str, by: str) -> None:
    """Ask for a write-up of an engagement's work."""
    part = decimal_of(amount)
    said_who_approves(
        in_transaction(
            lambda db: writing_off.ask_write_up(
                db, engagement, entity, part, reason=reason, by=by, at=datetime.now(UTC)
            )
        )
    )


def run_transfer(item: str, to_engagement: str, amount: str | None, reason: str, by: str) -> None:
    """Ask for a transfer of work to another engagement."""
    part = None if amount is None else decimal_of(amount)
    said_who_approves(
        in_transaction(
            lambda db: transferring.ask_transfer(
                db, item, to_engagement, part, reason=reason, by=by, at=datetime.now(UTC)
            )
        )
    )


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
