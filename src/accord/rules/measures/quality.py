"""How well it works: sync failures, first-pass yield, invoice accuracy, disputes (features.md 3.3)."""

from __future__ import annotations

from decimal import Decimal

from accord.model.money import Money
from accord.rules.measures.definition import Unit, measure, ratio


@measure(
    "sync_failure_rate",
    "attempts",
    "failed attempts ÷ attempts",
    Unit.RATIO,
    note="Never shown without the rate by records: many retries of one record look bad here and good there.",
)
def failure_rate_of_attempts(failed: int, attempts: int) -> Decimal:
    return ratio(Decimal(failed), Decimal(attempts), "the number of attempts")


@measure(
    "sync_failure_rate",
    "records",
    "records that failed at least once ÷ records",
    Unit.RATIO,
    note="Never shown without the rate by attempts.",
)
def failure_rate_of_records(failed_once: int, records: int) -> Decimal:
    return ratio(Decimal(failed_once), Decimal(records), "the number of records")


@measure("first_pass_yield", "no_touch", "objects delivered without a human touch ÷ objects delivered", Unit.RATIO)
def first_pass_yield(untouched: int, delivered: int) -> Decimal:
    return ratio(Decimal(untouched), Decimal(delivered), "the number of objects")


@measure(
    "invoice_accuracy",
    "by_count",
    "1 − invoices credited or revised ÷ invoices issued",
    Unit.RATIO,
    note="Of invoices issued in the period, however late they were credited.",
)
def invoice_accuracy(credited_or_revised: int, issued: int) -> Decimal:
    return 1 - ratio(Decimal(credited_or_revised), Decimal(issued), "the number of invoices")


@measure("dispute_rate", "by_amount", "disputed amount ÷ invoiced amount", Unit.RATIO)
def dispute_rate(disputed: Money, invoiced: Money) -> Decimal:
    return ratio(disputed, invoiced, "the invoiced amount")


@measure(
    "disputes_upheld",
    "by_amount",
    "disputed amount that ended in the customer's favour ÷ disputed amount resolved",
    Unit.RATIO,
)
def disputes_upheld(upheld: Money, resolved: Money) -> Decimal:
    return ratio(upheld, resolved, "the disputed amount resolved")
