"""Transactions: periods, amounts, and what a payment or a credit takes off the invoices it is applied to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.refusals import broken_rule, invalid, missing
from accord.sandbox.netsuite.relations import posting_subsidiary, refuse_unrelated
from accord.sandbox.netsuite.schema import INVOICE, TYPES

# fields whose change posts anew; a hold or a memo may change in a closed period
_POSTED = ("tranDate", "currency", "subsidiary", "item", "payment", "apply", "exchangeRate", "total", "postingPeriod")


def charge(account: Account, before: Row | None, row: Row, *, prefix: str, customer: str = "entity") -> None:
    """Complete a transaction: subsidiary, currency, period, number, and the amounts of its lines."""
    holder = account.find("customer", row[customer])
    row["subsidiary"] = row.get("subsidiary") or holder["subsidiary"]
    row["currency"] = row.get("currency") or holder["currency"]
    posting_subsidiary(account, row["subsidiary"])
    refuse_unrelated(account, holder["id"], row["subsidiary"])
    _refuse_strange_job(account, row, holder["id"])
    row["tranDate"] = row.get("tranDate") or account.today().isoformat()
    if row.get("exchangeRate") is None:
        row["exchangeRate"] = account.find("currency", row["currency"])["exchangeRate"]
    if customer == "entity":
        _total(account, row)
    elif "payment" in row:
        row["payment"] = account.rounded(row["payment"], row["currency"])
    row["tranId"] = row.get("tranId") or f"{prefix}{row['id']}"
    _post(account, before, row)


def _refuse_strange_job(account: Account, row: Row, customer_id: str) -> None:
    if row.get("job") is None:
        return
    job = account.find("job", row["job"])
    if job["parent"] != customer_id:
        raise broken_rule("The project belongs to another customer.", "job")
    if job["subsidiary"] != row["subsidiary"]:
        raise broken_rule("The project belongs to another subsidiary.", "job")


def _total(account: Account, row: Row) -> None:
    lines = row.get("item") or []
    if not lines:
        raise missing("item")
    net = tax = Decimal(0)
    for number, line in enumerate(lines):
        net += _line_amount(account, row, line, number)
        line["taxAmount"] = account.rounded(line.get("taxAmount") or Decimal(0), row["currency"])
        tax += line["taxAmount"]
    row["subtotal"], row["taxTotal"], row["total"] = net, tax, net + tax
    if row["total"] < 0:
        raise broken_rule("The total of a transaction must not be negative.", "item")


def _line_amount(account: Account, row: Row, line: Row, number: int) -> Decimal:
    if line.get("item") is None:
        raise invalid(f"item.items[{number}].item")
    amount = line.get("amount")
    if amount is None and line.get("rate") is not None:
        amount = line["rate"] * (line.get("quantity") or Decimal(1))
    if amount is None:
        raise missing(f"item.items[{number}].amount")
    line["amount"] = account.rounded(amount, row["currency"])
    return Decimal(line["amount"])


def _post(account: Account, before: Row | None, row: Row) -> None:
    if before is not None and all(before.get(name) == row.get(name) for name in _POSTED):
        return
    period = account.period_of(row["tranDate"])
    if before is not None and before["tranDate"] != row["tranDate"]:
        row["postingPeriod"] = None
    chosen: Row | None = account.table("accountingPeriod").get(row.get("postingPeriod") or "") or period
    if chosen is None:
        raise broken_rule(f"There is no accounting period for {row['tranDate']}.", "tranDate")
    if chosen.get("closed") or chosen.get("arLocked"):
        raise broken_rule(f"The transaction date falls in the closed period {chosen['periodName']}.", "postingPeriod")
    row["postingPeriod"] = chosen["id"]


def apply_to_invoices(account: Account, row: Row, amount: Decimal, *, customer: str) -> list[Callable[[], None]]:
    """Share `amount` out over the invoices in the `apply` sublist; they learn of it once the row is kept."""
    wanted: dict[str, Decimal] = {}
    for number, line in enumerate(row.get("apply") or []):
        if line.get("apply") is False:
            continue
        wanted[line["doc"]] = _applied(account, row, line, f"apply.items[{number}]", customer)
    applied = sum(wanted.values(), Decimal(0))
    left = amount - account.refunded(row["id"])
    if applied > left:
        raise broken_rule(f"The applied amount {applied} is more than the amount {left} of the transaction.", "apply")
    row["applied"], row["unapplied"] = applied, left - applied
    return [lambda: take_off(account, row["id"], wanted)]


def _applied(account: Account, row: Row, line: Row, path: str, customer: str) -> Decimal:
    invoice = account.find("invoice", line["doc"])
    if invoice["entity"] != customer:
        raise broken_rule("The invoice belongs to another customer.", f"{path}.doc")
    if invoice["currency"] != row["currency"] or invoice["subsidiary"] != row["subsidiary"]:
        raise broken_rule("The invoice has another currency or subsidiary.", f"{path}.doc")
    others = account.paid(invoice["id"]) - account.applications.get(invoice["id"], {}).get(row["id"], Decimal(0))
    left: Decimal = invoice["total"] - others
    amount: Decimal = left if line.get("amount") is None else account.rounded(line["amount"], row["currency"])
    if amount <= 0 or amount > left:
        why = f"The amount {amount} cannot be applied: {left} is left on {invoice['tranId']}."
        raise broken_rule(why, f"{path}.amount")
    line["apply"], line["amount"] = True, amount
    return amount


def refund_credits(account: Account, row: Row) -> list[Callable[[], None]]:
    """Give back what payments and credit memos in the `apply` sublist have left; they learn of it once it is kept."""
    wanted: dict[str, Decimal] = {}
    for number, line in enumerate(row.get("apply") or []):
        if line.get("apply") is not False:
            wanted[line["doc"]] = _given_back(account, row, line, f"apply.items[{number}]")
    row["total"] = sum(wanted.values(), Decimal(0))
    if not wanted:
        raise missing("apply")
    return [lambda: _tell_sources(account, row["id"], wanted)]


def _given_back(account: Account, row: Row, line: Row, path: str) -> Decimal:
    kind, source = account.pointed_to("customerPayment|creditMemo", line["doc"])
    assert source is not None  # the reference was resolved
    if source["customer" if kind == "customerPayment" else "entity"] != row["customer"]:
        raise broken_rule("The credit belongs to another customer.", f"{path}.doc")
    if source["currency"] != row["currency"] or source["subsidiary"] != row["subsidiary"]:
        raise broken_rule("The credit has another currency or subsidiary.", f"{path}.doc")
    left: Decimal = source["total"] - source["applied"] - account.refunded(source["id"], but_by=row["id"])
    amount: Decimal = left if line.get("amount") is None else account.rounded(line["amount"], row["currency"])
    if amount <= 0 or amount > left:
        why = f"The amount {amount} cannot be refunded: {left} is unapplied on {source['tranId']}."
        raise broken_rule(why, f"{path}.amount")
    line["apply"], line["amount"] = True, amount
    return amount


def _tell_sources(account: Account, refund: str, wanted: dict[str, Decimal]) -> None:
    for source, amount in wanted.items():
        account.refunds.setdefault(source, {})[refund] = amount
        kind, row = account.pointed_to("customerPayment|creditMemo", source)
        if row is not None:
            unapplied = row["total"] - row["applied"] - account.refunded(source)
            account.keep(TYPES[kind], row, {**row, "unapplied": unapplied})


def take_off(account: Account, payer: str, wanted: dict[str, Decimal]) -> None:
    """From now on the paying transaction covers exactly these amounts of these invoices."""
    held = account.covered.get(payer, set())
    account.covered[payer] = set(wanted)
    for invoice_id in held | wanted.keys():
        payers = account.applications.setdefault(invoice_id, {})
        payers.pop(payer, None)
        if invoice_id in wanted:
            payers[payer] = wanted[invoice_id]
        _tell_invoice(account, invoice_id)


def _tell_invoice(account: Account, invoice_id: str) -> None:
    """An invoice whose applications changed: what is left, and whether it is paid."""
    before = account.table("invoice").get(invoice_id)
    if before is None:
        return
    paid = account.paid(invoice_id)
    row: dict[str, Any] = {**before, "amountPaid": paid, "amountRemaining": before["total"] - paid}
    row["status"] = "paidInFull" if paid == before["total"] else "open"
    account.keep(INVOICE, before, row)
