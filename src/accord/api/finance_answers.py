"""From what finance reads to what the API says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from accord.api import finance_models as models
from accord.api.models import Money as MoneySaid
from accord.insight import proposals, unbilled, work_to_cash
from accord.insight import receivables as owed
from accord.ledger.explaining import ItemExplained
from accord.ledger.writing_down import WriteDown
from accord.model.money import Money
from accord.reconcile import board, checking
from accord.rules.measures.ageing import WORK_BY_MONTH

ZERO = Decimal(0)


def proposal(found: proposals.Detail) -> models.ProposalShown:
    return models.ProposalShown(
        proposal=models.Proposal.model_validate(found.proposal),
        lines=[models.ProposalLine.model_validate(each) for each in found.lines],
        next=found.next,
        written_off=_money(found.written_off),
    )


def line(found: proposals.LineShown) -> models.LineExplanation:
    return models.LineExplanation(
        line=models.ProposalLine.model_validate(found.line),
        placed=_text(found.placed),
        agrees=found.agrees,
        items=[explanation(item) for item, _ in found.items],
        next=found.next,
    )


def explanation(item: ItemExplained) -> models.Explanation:
    row, entry = item.rate_row, item.entry
    return models.Explanation(
        id=item.id,
        kind=item.kind,
        amount=_money(Money(item.amount, item.currency)),
        recomputed=_maybe(item.recomputed),
        agrees=item.agrees,
        worked_on=item.worked_on,
        quantity=_maybe(item.quantity),
        unit=item.unit,
        rate=_maybe(item.rate),
        rate_row=None if row is None else row.id,
        rate_clause=None if row is None else row.clause,
        terms_version=item.terms_version,
        clause=item.clause,
        source=item.source,
        source_key=None if entry is None else entry.source_key,
        approver=None if entry is None else entry.approver,
        parts=[models.PartLies.model_validate(each) for each in item.parts],
    )


def effect(found: WriteDown) -> models.WriteDownEffect:
    return models.WriteDownEffect(
        amount=_money(found.amount),
        before=_money(found.before),
        after=_money(found.after),
        lines=[
            models.LineChange(line=number, before=_text(before), after=_text(after))
            for number, (before, after) in sorted(found.lines.items())
        ],
        entries=len(found.shares),
        may_not_approve=list(found.may_not_approve),
    )


def unexplained(
    checked: checking.Check | None, sums: Sequence[checking.UnexplainedSum], page: checking.UnexplainedPage
) -> models.Unexplained:
    return models.Unexplained(
        checked_at=None if checked is None else checked.started_at,
        complete=checked is not None and checked.complete,
        sums=[models.UnexplainedSum.model_validate(each) for each in sums],
        items=[models.UnexplainedThing.model_validate(each) for each in page.rows],
        next=page.next,
    )


def wip_ageing(aged: Sequence[unbilled.AgedWork], as_of: date) -> models.WipAgeing:
    return models.WipAgeing(
        definition=WORK_BY_MONTH.id,
        as_of=as_of,
        currencies=[
            models.AgedCurrency(
                currency=each.currency,
                amount=_text(each.whole.amount),
                buckets=[_bucket(bucket) for bucket in each.buckets],
            )
            for each in aged
        ],
    )


def _bucket(bucket: unbilled.AgedBucket) -> models.AgedBucket:
    def lies(place: str) -> str:
        return _text(bucket.by_place[place].amount if place in bucket.by_place else ZERO)

    return models.AgedBucket(
        label=bucket.months.label,
        from_month=bucket.months.first,
        to_month=bucket.months.last,
        amount=_text(bucket.whole.amount),
        parts=bucket.whole.parts,
        quantity=_text(bucket.whole.quantity),
        in_progress=lies("wip"),
        in_proposals=lies("draft"),
        held=lies("held"),
    )


def receivables(found: Sequence[owed.Receivables], as_of: date) -> models.Receivables:
    return models.Receivables(
        as_of=as_of,
        currencies=[
            models.OwedCurrency(
                currency=each.currency,
                open=_text(each.open.amount),
                overdue=_text(each.overdue.amount),
                unapplied=_text(each.unapplied.amount),
                sales=_text(each.sales.amount),
                since=each.since,
                days=each.days,
                buckets=[models.DueBucket.model_validate(bucket) for bucket in each.buckets],
                readings=[
                    models.Reading(
                        definition=reading.definition.id,
                        value=None if reading.value is None else _text(reading.number),
                        unit=reading.definition.unit.value,
                        undefined_because=reading.undefined_because,
                    )
                    for reading in each.readings
                ],
            )
            for each in found
        ],
    )


def ways(found: Sequence[work_to_cash.Way]) -> models.Ways:
    return models.Ways(
        currencies=[
            models.Way(
                currency=each.currency,
                since=each.since,
                invoices=each.invoices,
                cut=each.cut,
                steps=[
                    models.Step(
                        name=step.name,
                        label=step.label,
                        invoices=step.count,
                        median_hours=_maybe(step.median_hours),
                        p90_hours=_maybe(step.p90_hours),
                    )
                    for step in each.steps
                ],
            )
            for each in found
        ]
    )


def breaks(lines: Sequence[board.MatchLine], page: board.BreakPage) -> models.Breaks:
    return models.Breaks(
        matches=[models.MatchLine.model_validate(each) for each in lines],
        breaks=[models.Break.model_validate(each) for each in page.rows],
        next=page.next,
    )


def _money(value: Money) -> MoneySaid:
    return MoneySaid.model_validate(value)


def _text(value: Decimal) -> str:
    return f"{value:f}"


def _maybe(value: Decimal | None) -> str | None:
    return None if value is None else _text(value)
