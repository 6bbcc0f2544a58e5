"""A recurring service: what was sold, what signed change orders made of it, and what its changes came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What a signed change order makes of a recurring service from a day on: its monthly price and its months in all.

    `adds` is by how much it changes the value of the contract, to the cent; negative when that becomes less.
    """

    change_order: str
    signed_on: date
    from_on: date
    monthly: Money
    months: int
    adds: Money


@dataclass(frozen=True, slots=True)
class RecurringSchedule:
    """A recurring billing schedule: `months` monthly periods of `monthly`, from `starts_on`, as it was sold.

    `changes` are in the order in which they were agreed; of those that hold on a day the last one counts. `status` is
    active | cancelled.
    """

    id: str
    engagement_id: str
    customer_id: str
    legal_entity: str
    name: str
    monthly: Money
    starts_on: date
    months: int
    terms_days: int
    tax_rate_id: str | None = None
    status: str = "active"
    changes: tuple[ServiceChange, ...] = ()

    @property
    def months_now(self) -> int:
        """How many months it has after all changes."""
        return self.changes[-1].months if self.changes else self.months

    @property
    def monthly_now(self) -> Money:
        """The price that was agreed last; it may hold from a later day only."""
        return self.changes[-1].monthly if self.changes else self.monthly

    def monthly_on(self, day: date) -> Money:
        """The monthly price that holds on a day."""
        holding = self.change_on(day)
        return self.monthly if holding is None else holding.monthly

    def change_on(self, day: date) -> ServiceChange | None:
        """The change that set the price of a day; None for the price it was sold at."""
        holding = [each for each in self.changes if each.from_on <= day]
        while len(holding) > 1 and holding[-2].monthly == holding[-1].monthly:
            holding.pop()  # it changed the months alone
        return holding[-1] if holding else None


@dataclass(frozen=True, slots=True)
class PricedDays:
    """Days of a period that have one monthly price, from `from_on` until before `ends_before`; `change_order` is the
    one that set it."""

    from_on: date
    ends_before: date
    monthly: Money
    change_order: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSettlement:
    """A period that was billed at another price than it is worth by now: what it is worth, by its days, what billing
    invoiced, what was settled `before`, and the `difference`, which is invoiced, or credited when it is negative.

    `document_id` is the invoice or credit note that settles it, `invoice_id` and `line` say what is credited: an
    earlier settlement's invoice, or else the period's own.
    """

    id: str
    schedule_id: str
    engagement_id: str
    customer_id: str
    legal_entity: str
    name: str
    period_from: date
    period_to: date
    days: tuple[PricedDays, ...]
    worth: Money
    billed: Money
    before: Money
    difference: Money
    invoice_id: str
    terms_days: int
    document_id: str
    line: int = 1
