"""What of an invoice is still to be paid, and how payments, credits and write-offs share its net amount. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from accord.model.billing import CreditLine, CreditNote, Invoice, Payment
from accord.model.money import Money, Rounding, total
from accord.model.problem import Problem


def reduced(invoice: Invoice) -> Money:
    """What need not be paid any more, gross: credits and write-offs."""
    zero = Money.zero(invoice.currency)
    return (invoice.credited or zero) + (invoice.written_off or zero)


def standing_paid(invoice: Invoice) -> Money:
    """What was paid and has not gone back."""
    zero = Money.zero(invoice.currency)
    return (invoice.paid or zero) - (invoice.returned or zero)


def open_amount(invoice: Invoice) -> Money:
    """What is still to be paid, never below nothing: what is paid above that is the customer's unapplied cash."""
    left = invoice.gross - reduced(invoice) - standing_paid(invoice)
    return left if left.amount > 0 else Money.zero(invoice.currency)


def applied_to(invoice: Invoice, applications: Sequence[Payment]) -> Money:
    """What the platform has applied to an invoice so far, reversals taken off; billing may be ahead of it."""
    own = (each.amount for each in applications if each.invoice_id == invoice.id)
    return sum(own, start=Money.zero(invoice.currency))


def settled(invoice: Invoice, paid: Money) -> Invoice:
    """The invoice with what stands as paid on it, and the status that follows."""
    after = replace(invoice, paid=paid + (invoice.returned or Money.zero(invoice.currency)))
    return replace(after, status=status_of(after))


def status_of(invoice: Invoice) -> str:
    """The status by the money on it; billing's own word may be overtaken by what billing does not know."""
    if invoice.status in ("draft", "void"):
        return invoice.status
    if open_amount(invoice):
        return "uncollectible" if invoice.status == "uncollectible" else "open"
    if invoice.written_off is not None and standing_paid(invoice) < invoice.written_off:
        return "written off"
    return "credited" if invoice.credited and not standing_paid(invoice) else "paid"


def collected_net(invoice: Invoice, paid: Money) -> Money:
    """The net part of what is paid of an invoice, half up, so that full payment collects all that is not credited or
    written off, to the cent: payments pay net and tax alike."""
    payable = invoice.gross - reduced(invoice)
    net = invoice.net - (invoice.reduced_net or Money.zero(invoice.currency))
    if payable.amount <= 0:
        return Money.zero(invoice.currency)
    return net.times(min(Decimal(1), paid.amount / payable.amount), Rounding.HALF_UP)


def written_off(invoice: Invoice, amount: Money, paid: Money) -> tuple[Invoice, Money]:
    """The invoice after part of what is open was given up, and the net of that part: all that is not collected when
    nothing stays open."""
    zero = Money.zero(invoice.currency)
    before = settled(invoice, paid)
    uncollected = invoice.net - (invoice.reduced_net or zero) - collected_net(invoice, paid)
    net = uncollected.times(amount.amount / open_amount(before).amount, Rounding.HALF_UP)
    after = replace(
        invoice,
        written_off=(invoice.written_off or zero) + amount,
        reduced_net=(invoice.reduced_net or zero) + net,
    )
    return settled(after, paid), net


def write_off_problems(amount: Money, invoice: Invoice, paid: Money) -> tuple[Problem, ...]:
    """Why an amount cannot be given up now."""
    left = open_amount(settled(invoice, paid))
    if amount <= left:
        return ()
    message = f"{amount} are to be written off, {left} of invoice {invoice.number} are open."
    return (Problem("less_is_open", message, "amount", "Cancel this write-off; ask for one of what is open."),)


def credit_line(invoice: Invoice, line: int, net: Money) -> CreditLine:
    """A credit of `net` of a line with its share of the tax, half up, as billing platforms make it."""
    of = invoice.lines[line - 1]
    tax = of.tax.times(net.amount / of.net.amount, Rounding.HALF_UP)
    return CreditLine(line, of.text, net, tax)


def credit_of(lines: Sequence[CreditLine], currency: str) -> tuple[Money, Money]:
    """Net and gross of a credit."""
    net = total((each.net for each in lines), currency)
    return net, net + total((each.tax for each in lines), currency)


def credit_problems(note: CreditNote, invoice: Invoice) -> tuple[Problem, ...]:
    """Why a credit cannot be given now."""
    if invoice.status in ("draft", "void"):
        message = f"The invoice is {invoice.status}."
        return (Problem("invoice_not_issued", message, "invoice_id", "Credit only what was issued."),)
    left = invoice.gross - reduced(invoice)
    if note.amount <= left:
        return ()
    message = f"{note.amount} are to be credited, {left} of invoice {invoice.number} are not credited yet."
    return (Problem("credit_too_large", message, "amount", "Cancel this credit; another one came before it."),)


def credited(invoice: Invoice, note: CreditNote, paid: Money) -> tuple[Invoice, Money]:
    """The invoice after a credit, and what of it had been paid: what was open is credited first."""
    zero = Money.zero(invoice.currency)
    net = note.net if note.net is not None else note.amount
    after = replace(
        invoice,
        credited=(invoice.credited or zero) + note.amount,
        reduced_net=(invoice.reduced_net or zero) + net,
    )
    over = paid - (after.gross - reduced(after))
    freed = over if over.amount > 0 else zero
    after = replace(after, returned=(invoice.returned or zero) + freed)
    return settled(after, paid - freed), freed
