"""The operational schedule beside the ERP's: where they differ, by how much, and whether only the period differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from accord.model.money import Money
from accord.rules.revenue.schedule import Row


class DifferenceKind(StrEnum):
    """`timing`: the obligation's total agrees and only the periods do not; the rest say themselves."""

    MISSING_IN_ERP = "missing_in_erp"
    ONLY_IN_ERP = "only_in_erp"
    AMOUNT = "amount"
    TIMING = "timing"
    CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class Booked:
    """Revenue as the ERP's sub-ledger has it, of one obligation in one period; several entries are added up."""

    obligation_id: str
    period_code: str
    amount: Money
    reference: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One obligation and period on which the two do not agree. `by` is the ERP's less ours; None across currencies."""

    obligation_id: str
    period_code: str
    ours: Money | None
    erp: Money | None
    by: Money | None
    kind: DifferenceKind
    references: tuple[str, ...]


def differences(rows: Iterable[Row], booked: Iterable[Booked], tolerance: Money | None = None) -> list[Difference]:
    """All disagreements, by obligation and period. A difference of at most `tolerance` is none.

    A period in which one has nothing and the other zero is in agreement.
    """
    ours: dict[tuple[str, str], Money] = {}
    for row in rows:
        key = (row.obligation_id, row.period.code)
        ours[key] = ours[key] + row.recognised if key in ours else row.recognised
    entries: dict[tuple[str, str], list[Booked]] = defaultdict(list)
    for each in booked:
        entries[each.obligation_id, each.period_code].append(each)
    found = []
    for key in sorted({*ours, *entries}):
        difference = _difference(key, ours.get(key), entries.get(key, []), tolerance)
        if difference is not None:
            found.append(difference)
    return _timing(found, tolerance)


def _difference(
    key: tuple[str, str], ours: Money | None, entries: list[Booked], tolerance: Money | None
) -> Difference | None:
    references = tuple(sorted(each.reference for each in entries))
    currencies = {each.amount.currency for each in entries} | (set() if ours is None else {ours.currency})
    if len(currencies) > 1:
        erp = entries[0].amount if len(entries) == 1 else None
        return Difference(*key, ours, erp, None, DifferenceKind.CURRENCY, references)
    zero = Money.zero(currencies.pop())
    erp = sum((each.amount for each in entries), start=zero) if entries else None
    by = (erp or zero) - (ours or zero)
    if _within(by, tolerance):
        return None
    if ours is None:
        kind = DifferenceKind.ONLY_IN_ERP
    elif erp is None:
        kind = DifferenceKind.MISSING_IN_ERP
    else:
        kind = DifferenceKind.AMOUNT
    return Difference(*key, ours, erp, by, kind, references)


def _timing(found: list[Difference], tolerance: Money | None) -> list[Difference]:
    """Differences of one obligation that cancel out over its periods are of timing."""
    by_obligation: dict[str, list[Difference]] = defaultdict(list)
    for each in found:
        by_obligation[each.obligation_id].append(each)
    cancelled = {id for id, all_of_it in by_obligation.items() if _cancel_out(all_of_it, tolerance)}
    return [replace(each, kind=DifferenceKind.TIMING) if each.obligation_id in cancelled else each for each in found]


def _cancel_out(found: list[Difference], tolerance: Money | None) -> bool:
    amounts = [each.by for each in found if each.by is not None]
    if len(amounts) < len(found) or len({each.currency for each in amounts}) > 1:
        return False
    return _within(sum(amounts[1:], start=amounts[0]), tolerance)


def _within(by: Money, tolerance: Money | None) -> bool:
    return max(by, -by) <= (tolerance or Money.zero(by.currency))
