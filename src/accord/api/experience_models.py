"""What the experience tier says: shaped for the pages of PMO leads and account managers. Outputs have no defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from accord.api.models import Money, Output
from accord.insight import pmo_caps, pmo_engagements, pmo_missing, pmo_utilization
from accord.insight.pmo import Measured
from accord.model import money
from accord.rules.measures import definition

Number = Annotated[str, BeforeValidator(str)]


class Source(Output):
    """A source of facts and its newest one."""

    name: str
    newest_at: datetime


class Reading(Output):
    """A value by a definition, exact as text; `value` is null where there is none, and `undefined_because` says why.

    `currency` is set where the unit is money; `inputs` say what went in, in words.
    """

    measure: str
    unit: str
    value: str | None
    currency: str | None
    text: str
    undefined_because: str | None
    inputs: Mapping[str, str]


class MeasuredReading(Reading):
    """A reading of what it is about, with its sources and the page that shows its rows."""

    about: str
    sources: list[Source]
    rows: str


class Measure(Output):
    """One version of one definition with what it reads now; `readings` is empty where no page shows it yet."""

    id: str
    name: str
    variant: str
    version: int
    formula: str
    unit: str
    inputs: list[str]
    note: str
    readings: list[MeasuredReading]


class Measures(Output):
    as_of: date
    measures: list[Measure]


class Cap(Output):
    """A cap with what is used of it and left; `over` is work beyond it that nobody may bill yet. `needs_attention` when
    80 % is used or it will be used up within 30 days. `days` is null where cap and work have different currencies."""

    id: str
    level: str
    clause: str | None
    task: str | None
    engagements: list[str]
    limit: Money
    used: Money
    left: Money
    over: list[Money]
    share: Reading
    days: Reading | None
    reached_on: date | None
    needs_attention: bool


class Caps(Output):
    as_of: date
    caps: list[Cap]


class InvoiceStatus(Output):
    """`status` is open, part paid, overdue, paid or uncollectible; amounts include tax."""

    id: str
    number: str | None
    legal_entity: str
    status: str
    issued_on: date | None
    due_on: date | None
    gross: Money
    paid: Money
    due: Money
    disputed: bool


class DisputeStatus(Output):
    id: str
    invoice_id: str
    status: str
    reason: str | None
    amount: Money | None
    opened_on: date | None


class Margin(Output):
    legal_entity: str
    currency: str
    reading: Reading
    cost: list[Money]


class EngagementSummary(Output):
    """One engagement for those who answer for it. Amounts are before tax, but `invoiced`, `paid` and `overdue`.

    `remaining` is contracted and not recognised where a revenue schedule is kept, else not invoiced;
    `not_approved_hours` wait for submission or approval. `margins` is null for a key without the role `costs`.
    """

    id: str
    number: str | None
    name: str
    customer: str | None
    status: str
    owner: str | None
    contracted: list[Money]
    earned: list[Money]
    billed: list[Money]
    unbilled: list[Money]
    remaining: list[Money]
    over_cap: list[Money]
    invoiced: list[Money]
    paid: list[Money]
    overdue: list[Money]
    caps: list[Cap]
    invoices: list[InvoiceStatus]
    disputes: list[DisputeStatus]
    not_approved_hours: Number
    margins: list[Margin] | None


class EngagementSummaries(Output):
    engagements: list[EngagementSummary]
    next: str | None


class Hours(Output):
    """Hours of a range of days and what they come to."""

    contractual: Number
    holidays: Number
    time_off: Number
    available: Number
    billable: Number
    strategic: Number
    other: Number
    submitted: Number
    utilization: list[Reading]


class HoursOfPractice(Output):
    practice: str
    people: int
    hours: Hours


class HoursOfPerson(Output):
    worker: str
    name: str
    practice: str | None
    manager: str | None
    legal_entity: str
    hours: Hours


class Utilization(Output):
    first_day: date
    last_day: date
    whole: Hours
    practices: list[HoursOfPractice]
    people: list[HoursOfPerson]
    sources: list[Source]
    next: str | None


class MissingOfManager(Output):
    """`manager` is '' for people without one; `not_valued` counts people of whom some hours have no known worth."""

    manager: str
    name: str
    people: int
    not_submitted_hours: Number
    not_approved_hours: Number
    at_stake: list[Money]
    not_valued: int


class MissingOfPerson(Output):
    """`not_submitted_worth` is null where nothing says what an hour is worth; `unpriced_hours` have no rate that the
    key may see."""

    worker: str
    name: str
    manager: str
    practice: str | None
    legal_entity: str
    expected_hours: Number
    approved_hours: Number
    not_approved_hours: Number
    returned_hours: Number
    not_submitted_hours: Number
    oldest_week: date | None
    not_submitted_worth: list[Money] | None
    not_approved_worth: list[Money]
    unpriced_hours: Number


class MissingTime(Output):
    """`undeclared` people told time and are not declared, so nothing is expected of them."""

    first_day: date
    last_day: date
    managers: list[MissingOfManager]
    people: list[MissingOfPerson]
    undeclared: int
    sources: list[Source]
    next: str | None


def reading(found: definition.Reading) -> Reading:
    return Reading.model_validate(_reading(found))


def measured(found: Measured) -> MeasuredReading:
    more = {"about": found.about, "sources": sources(found.sources), "rows": found.rows}
    return MeasuredReading.model_validate({**_reading(found.reading), **more})


def measure(each: definition.Definition, readings: list[Measured]) -> Measure:
    return Measure(
        id=each.id,
        name=each.name,
        variant=each.variant,
        version=each.version,
        formula=each.formula,
        unit=each.unit.value,
        inputs=list(each.inputs),
        note=each.note,
        readings=[measured(found) for found in readings],
    )


def _reading(found: definition.Reading) -> dict[str, object]:
    value = found.value
    amount: Decimal | None = value.amount if isinstance(value, money.Money) else value
    return {
        "measure": found.definition.id,
        "unit": found.definition.unit.value,
        "value": None if amount is None else str(amount),
        "currency": value.currency if isinstance(value, money.Money) else None,
        "text": found.text,
        "undefined_because": found.undefined_because,
        "inputs": dict(found.inputs),
    }


def sources(found: tuple[tuple[str, datetime], ...]) -> list[Source]:
    return [Source(name=name, newest_at=at) for name, at in found]


def _moneys(amounts: tuple[money.Money, ...]) -> list[Money]:
    return [Money.model_validate(each) for each in amounts]


def cap(found: pmo_caps.CapLine) -> Cap:
    return Cap(
        id=found.id,
        level=found.level,
        clause=found.clause,
        task=found.task,
        engagements=[engagement for engagement, _, _ in found.engagements],
        limit=Money.model_validate(found.limit),
        used=Money.model_validate(found.used),
        left=Money.model_validate(found.left),
        over=_moneys(found.over),
        share=reading(found.share),
        days=None if found.days is None else reading(found.days),
        reached_on=found.reached_on,
        needs_attention=found.close,
    )


def engagement(found: pmo_engagements.Summary) -> EngagementSummary:
    margins = None
    if found.margins is not None:
        margins = [
            Margin(
                legal_entity=each.legal_entity,
                currency=each.currency,
                reading=reading(each.reading),
                cost=_moneys(each.cost),
            )
            for each in found.margins
        ]
    return EngagementSummary(
        id=found.id,
        number=found.number,
        name=found.name,
        customer=found.customer,
        status=found.status,
        owner=found.owner,
        contracted=_moneys(found.contracted),
        earned=_moneys(found.earned),
        billed=_moneys(found.billed),
        unbilled=_moneys(found.unbilled),
        remaining=_moneys(found.remaining),
        over_cap=_moneys(found.over_cap),
        invoiced=_moneys(found.invoiced),
        paid=_moneys(found.paid),
        overdue=_moneys(found.overdue),
        caps=[cap(each) for each in found.caps],
        invoices=[InvoiceStatus.model_validate(each) for each in found.invoices],
        disputes=[DisputeStatus.model_validate(each) for each in found.disputes],
        not_approved_hours=str(found.not_approved_hours),
        margins=margins,
    )


def _hours(found: pmo_utilization.Hours) -> Hours:
    return Hours.model_validate(
        {
            **{name: getattr(found, name) for name in found.__slots__},
            "utilization": [reading(each) for each in found.readings],
        }
    )


def utilization(found: pmo_utilization.Utilization, page: pmo_utilization.Page) -> Utilization:
    return Utilization(
        first_day=found.first_day,
        last_day=found.last_day,
        whole=_hours(found.whole),
        practices=[
            HoursOfPractice(practice=each.practice, people=each.people, hours=_hours(each.hours))
            for each in found.practices
        ],
        people=[
            HoursOfPerson(
                worker=each.worker,
                name=each.name,
                practice=each.practice,
                manager=each.manager,
                legal_entity=each.legal_entity,
                hours=_hours(each.hours),
            )
            for each in page.people
        ],
        sources=sources(found.sources),
        next=page.next,
    )


def missing_time(found: pmo_missing.MissingTime, page: pmo_missing.Page) -> MissingTime:
    return MissingTime(
        first_day=found.weeks.first_day,
        last_day=found.weeks.last_day,
        managers=[
            MissingOfManager(
                manager=each.manager,
                name=each.name,
                people=each.people,
                not_submitted_hours=str(each.lacking),
                not_approved_hours=str(each.submitted),
                at_stake=_moneys(each.at_stake),
                not_valued=each.not_valued,
            )
            for each in found.managers
        ],
        people=[_missing(each) for each in page.people],
        undeclared=found.undeclared,
        sources=sources(found.sources),
        next=page.next,
    )


def _missing(found: pmo_missing.Missing) -> MissingOfPerson:
    return MissingOfPerson(
        worker=found.worker,
        name=found.name,
        manager=found.manager,
        practice=found.practice,
        legal_entity=found.legal_entity,
        expected_hours=str(found.expected),
        approved_hours=str(found.approved),
        not_approved_hours=str(found.submitted),
        returned_hours=str(found.returned),
        not_submitted_hours=str(found.lacking),
        oldest_week=found.oldest_week,
        not_submitted_worth=None if found.untold is None else _moneys(found.untold),
        not_approved_worth=_moneys(found.unapproved),
        unpriced_hours=str(found.unpriced),
    )
