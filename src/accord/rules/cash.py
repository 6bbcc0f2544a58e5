"""Sharing out money that came in for no single invoice: as the customer says, or the oldest invoices first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from accord.model.billing import Allocation, Invoice, Payment, UnappliedCash
from accord.model.money import Money
from accord.model.problem import Problem
from accord.rules.receivable import open_amount


def allocate(receipt: Payment, invoices: Sequence[Invoice]) -> tuple[Allocation, ...]:
    """The rest is unapplied cash. Only open invoices of the receipt's legal entity and currency are paid; disputed ones
    last, because what is disputed is paid by whoever says so."""
    left = receipt.pays
    found = []
    for invoice in _payable(receipt, invoices):
        part = min(left, open_amount(invoice), key=lambda each: each.amount)
        if part:
            found.append(Allocation(invoice.id, part))
            left = left - part
    return tuple(found)


def _payable(receipt: Payment, invoices: Sequence[Invoice]) -> list[Invoice]:
    own = [
        each
        for each in invoices
        if (each.legal_entity, each.currency) == (receipt.legal_entity, receipt.amount.currency)
        and each.status not in ("draft", "void")
        and open_amount(each)
    ]
    return sorted(own, key=lambda each: (each.disputed, each.due_on or date.max, each.issued_on or date.max, each.id))


def allocation_problems(receipt: Payment, invoices: Sequence[Invoice]) -> tuple[Problem, ...]:
    """Why a receipt cannot be shared out as the customer says."""
    known = {each.id: each for each in _payable(receipt, invoices)}
    problems = []
    for each in receipt.allocations or ():
        invoice = known.get(each.invoice_id)
        if invoice is None:
            message = f"{each.invoice_id} is no open invoice of this customer, legal entity and currency."
            problems.append(Problem("invoice_not_open", message, "allocations", "Leave it out, then retry."))
        elif open_amount(invoice) < each.amount:
            message = f"{each.amount} are to pay invoice {invoice.number}, {open_amount(invoice)} are open."
            problems.append(Problem("more_than_open", message, "allocations", "Allocate less, then retry."))
    return tuple(problems)


def available(cash: UnappliedCash, asked_back: Money) -> Money:
    """What can be applied or refunded still; `asked_back` are the refunds that nobody has refused."""
    applied = cash.applied or Money.zero(cash.amount.currency)
    return cash.amount - applied - asked_back
