"""Contract asset, unbilled receivable and contract liability, rolled forward from two schedules: billed and recognised.

Milestone billing is not milestone revenue, so both schedules are kept. One contract is either an asset or a liability
(ASC 606-10-45-1, IFRS 15.105).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accord.model.money import Money
from accord.rules.periods import Period, in_order


@dataclass(frozen=True, slots=True)
class Flows:
    """What happened to one contract, by period code. `unconditional` and `refundable` are balances at the period's end:
    earned value that only time keeps from being invoiced, and money received that the customer may have back."""

    billed: Mapping[str, Money]
    recognised: Mapping[str, Money]
    unconditional: Mapping[str, Money]
    refundable: Mapping[str, Money]


@dataclass(frozen=True, slots=True)
class Position:
    """One contract at one period's end. `opening` and `closing` are recognised less billed: above zero earned and not
    billed, below zero billed and not earned.

    `from_opening_liability` is the revenue of the period that was a contract liability at its start (606-10-50-8 b).
    """

    period: Period
    opening: Money
    billed: Money
    recognised: Money
    closing: Money
    contract_asset: Money
    unbilled_receivable: Money
    contract_liability: Money
    refund_liability: Money
    from_opening_liability: Money


class FlowOutsideThePeriods(ValueError):
    """Something was billed or recognised in a period that the calendar does not have; give all periods."""


def roll_forward(
    flows: Flows, periods: Sequence[Period], currency: str, opening: Money | None = None
) -> tuple[Position, ...]:
    """One position per period, in order; each opens with what the one before closed with.

    Raises FlowOutsideThePeriods, CurrenciesDiffer, PeriodsDoNotFollow.
    """
    calendar = in_order(periods)
    _inside(flows, {each.code for each in calendar})
    zero = Money.zero(currency)
    net, rows = zero + (opening or zero), []
    for period in calendar:
        billed = zero + flows.billed.get(period.code, zero)
        recognised = zero + flows.recognised.get(period.code, zero)
        closing = net + recognised - billed
        earned, unearned = max(closing, zero), max(-closing, zero)
        unconditional = min(zero + flows.unconditional.get(period.code, zero), earned)
        refundable = min(zero + flows.refundable.get(period.code, zero), unearned)
        rows.append(
            Position(
                period,
                opening=net,
                billed=billed,
                recognised=recognised,
                closing=closing,
                contract_asset=earned - unconditional,
                unbilled_receivable=unconditional,
                contract_liability=unearned - refundable,
                refund_liability=refundable,
                from_opening_liability=max(min(max(-net, zero), recognised), zero),
            )
        )
        net = closing
    return tuple(rows)


def _inside(flows: Flows, codes: set[str]) -> None:
    for name in ("billed", "recognised", "unconditional", "refundable"):
        outside = sorted(set(getattr(flows, name)) - codes)
        if outside:
            raise FlowOutsideThePeriods(f"{name} in {', '.join(outside)}")
