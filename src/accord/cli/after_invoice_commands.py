"""What comes after the invoice: the words of its commands; what they do is in after_invoice.py and disputes.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from accord.cli.options import AsJson, Who, Why

adjustments_app = typer.Typer(
    no_args_is_help=True, help="Credits, refunds and write-offs that one asks for and another approves."
)
cash_app = typer.Typer(no_args_is_help=True, help="Customers' money: receipts beside billing, and unapplied cash.")
dispute_app = typer.Typer(no_args_is_help=True, help="Lines of invoices that customers object to, with evidence.")

AdjustmentId = Annotated[str, typer.Argument(help="Id of the change; `accord adjustments list` shows them.")]
CashId = Annotated[str, typer.Argument(help="Id of the unapplied cash; `accord cash list` shows them.")]
DisputeId = Annotated[str, typer.Argument(help="Id of the dispute; `accord dispute list` shows them.")]


def credit(
    invoice: Annotated[str, typer.Argument(help="The invoice, by its number or id.")],
    reason: Why,
    by: Who,
    line: Annotated[
        list[str] | None, typer.Option(help="A line as 3, or a net part of it as 3=120.50; without it all lines.")
    ] = None,
    rebill: Annotated[bool, typer.Option("--rebill", help="Their work is priced and invoiced anew.")] = False,
) -> None:
    """Ask for a credit of an issued invoice, by lines or parts of lines. Somebody else approves it."""
    from accord.cli.after_invoice import run_credit

    run_credit(invoice, line or [], reason, by, rebill=rebill)


def write_off(
    about: Annotated[str, typer.Argument(help="An invoice by number or id, or an item by its id.")],
    reason: Why,
    by: Who,
    amount: Annotated[
        str | None, typer.Option(help="Gross for an invoice, net for an item; without it all that is there.")
    ] = None,
) -> None:
    """Ask to give up what is open of an invoice, or not invoiced of an item. Somebody else approves it."""
    from accord.cli.after_invoice import run_write_off

    run_write_off(about, amount, reason, by)


def write_up(
    engagement: Annotated[str, typer.Argument(help="Canonical id of the engagement.")],
    entity: Annotated[str, typer.Argument(help="Its legal entity, such as DE.")],
    amount: Annotated[str, typer.Argument(help="Net, in the currency of its terms.")],
    reason: Why,
    by: Who,
) -> None:
    """Ask to add value to an engagement's work, for its next invoice. Somebody else approves it."""
    from accord.cli.after_invoice import run_write_up

    run_write_up(engagement, entity, amount, reason, by)


def transfer(
    item: Annotated[str, typer.Argument(help="An item by its id, such as `accord explain` names it.")],
    to: Annotated[str, typer.Argument(help="Canonical id of the engagement it belongs to.")],
    reason: Why,
    by: Who,
    amount: Annotated[str | None, typer.Option(help="Net; without it all that is not invoiced.")] = None,
) -> None:
    """Ask to move work to another engagement of its legal entity and currency. Somebody else approves it."""
    from accord.cli.after_invoice import run_transfer

    run_transfer(item, to, amount, reason, by)


@cash_app.command("receive")
def cash_receive(
    customer: Annotated[str, typer.Argument(help="Canonical id of the customer.")],
    amount: Annotated[str, typer.Argument(help="What arrived, such as 1800.00.")],
    currency: Annotated[str, typer.Argument(help="Its currency, such as EUR.")],
    entity: Annotated[str, typer.Option(help="The legal entity that received it.")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day on which it came in.")],
    reference: Annotated[str, typer.Option(help="The bank's reference; the same twice is one receipt.")],
    by: Who,
    pays: Annotated[
        list[str] | None, typer.Option(help="An invoice and its share as ACC-0001=120.50; without it the oldest first.")
    ] = None,
    bank_fee: Annotated[str | None, typer.Option(help="What banks kept of it.")] = None,
) -> None:
    """Record money that came in beside billing, such as one transfer for many invoices."""
    from accord.cli.after_invoice import run_receipt

    run_receipt(
        customer, entity, amount, currency=currency, received_on=on.date(), reference=reference, pays=pays,
        bank_fee=bank_fee, by=by,
    )  # fmt: skip


@cash_app.command("list")
def cash_list(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Unapplied cash of which something is left, the oldest first."""
    from accord.cli.after_invoice import run_cash

    run_cash(limit, as_json=as_json)


@cash_app.command("apply")
def cash_apply(
    cash: CashId,
    invoice: Annotated[str, typer.Argument(help="The invoice to pay, by its number or id.")],
    by: Who,
    amount: Annotated[str | None, typer.Option(help="How much; without it as much as is open and there.")] = None,
) -> None:
    """Let unapplied cash pay an invoice of the same customer."""
    from accord.cli.after_invoice import run_apply

    run_apply(cash, invoice, amount, by)


@cash_app.command("refund")
def cash_refund(
    cash: CashId,
    reason: Why,
    by: Who,
    amount: Annotated[str | None, typer.Option(help="How much; without it all that is left.")] = None,
) -> None:
    """Ask for a refund of unapplied cash. Somebody else approves it."""
    from accord.cli.after_invoice import run_refund

    run_refund(cash, amount, reason, by)


@dispute_app.command("open")
def dispute_open(
    invoice: Annotated[str, typer.Argument(help="The invoice, by its number or id.")],
    line: Annotated[list[str], typer.Option(help="A line as 3, or a net part of it as 3=120.50.")],
    reason: Why,
    by: Who,
    owner: Annotated[str, typer.Option(help="Who answers it.")] = "finance",
    days: Annotated[int, typer.Option(min=1, max=365, help="Days until it is to be answered.")] = 14,
) -> None:
    """Open a dispute of lines. Its evidence is put together; the rest of the invoice stays payable."""
    from accord.cli.disputes import run_open

    run_open(invoice, line, reason, by, owner=owner, days=days)


@dispute_app.command("list")
def dispute_list(
    status: Annotated[str, typer.Option(help="open or closed.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Disputes of lines, those to be answered first before the others."""
    from accord.cli.disputes import run_list

    run_list(status, limit, as_json=as_json)


@dispute_app.command("show")
def dispute_show(dispute: DisputeId, as_json: AsJson = False) -> None:
    """One dispute with its evidence: entries, approvals, rates, terms and clauses, and the amounts made again."""
    from accord.cli.disputes import run_show

    run_show(dispute, as_json=as_json)


@dispute_app.command("decide")
def dispute_decide(
    dispute: DisputeId,
    outcome: Annotated[str, typer.Argument(help="uphold, credit or rebill.")],
    note: Annotated[str, typer.Option(help="Why; the customer may be told.")],
    by: Who,
    line: Annotated[list[str] | None, typer.Option(help="Credit this instead of what is disputed, as 3=60.00.")] = None,
) -> None:
    """Decide a dispute. A credit is asked for by this; somebody else approves it."""
    from accord.cli.disputes import run_decide

    run_decide(dispute, outcome, line or [], note, by)


@adjustments_app.command("list")
def adjustments_list(
    status: Annotated[str, typer.Option(help="requested, approved or refused.")] = "requested",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Changes of money that were asked for, the oldest first."""
    from accord.cli.after_invoice import run_adjustments

    run_adjustments(status, limit, as_json=as_json)


@adjustments_app.command("approve")
def adjustments_approve(adjustment: AdjustmentId, by: Who) -> None:
    """Approve a change of money that somebody else has asked for."""
    from accord.cli.after_invoice import run_approve

    run_approve(adjustment, by)


@adjustments_app.command("refuse")
def adjustments_refuse(adjustment: AdjustmentId, reason: Why, by: Who) -> None:
    """Refuse a change of money, or take back what one has asked for oneself."""
    from accord.cli.after_invoice import run_refuse

    run_refuse(adjustment, reason, by)
