"""The deal as sales knows it: opportunity, contract and statement of work, read as one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class Contract:
    """The commercial contract behind a deal. `status` is draft | in_approval | activated; `approval` is
    approved | pending | rejected | None when the CRM does not say."""

    id: str
    number: str | None = None
    status: str | None = None
    approval: str | None = None
    signed_on: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    billing_terms: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the statement of work delivered by one legal entity in one country."""

    id: str
    name: str
    sequence: int
    legal_entity: str | None = None
    country: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class Milestone:
    """A fixed-fee milestone. A change of amount needs a signed change order after activation."""

    id: str
    name: str
    amount: Money
    planned_on: date | None = None
    legal_entity: str | None = None
    phase_id: str | None = None
    change_order: str | None = None
    change_order_signed_on: date | None = None


@dataclass(frozen=True, slots=True)
class ManagedService:
    """A recurring service, billed monthly by one legal entity. Another price or other months need a signed change order
    after activation, which holds from `change_order_from`, or from its signature on."""

    id: str
    name: str
    monthly: Money
    starts_on: date
    months: int
    legal_entity: str | None = None
    change_order: str | None = None
    change_order_signed_on: date | None = None
    change_order_from: date | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """An opportunity with its contract and statement of work. Raw texts stay as sales wrote them.

    `number` is the human's name for it (unique in the CRM); `contract_type` is fixed_fee | managed_service | mixed |
    time_material; `unreadable` lists fields whose value could not be understood, as `field: why`.
    """

    id: str
    number: str
    name: str
    stage: str
    is_won: bool
    is_closed: bool
    customer_id: str | None = None
    amount: Money | None = None
    currency: str | None = None
    closes_on: date | None = None
    contract: Contract | None = None
    contract_type: str | None = None
    delivery_region: str | None = None
    legal_entity: str | None = None
    product_as_given: str | None = None
    phases: tuple[Phase, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    services: tuple[ManagedService, ...] = ()
    owner: str | None = None
    unreadable: tuple[str, ...] = ()

    def entity_of(self, part: Milestone | ManagedService | Phase) -> str:
        """The code of the legal entity that delivers a part: its own, that of its phase, or the deal's; '' for none."""
        own = part.legal_entity
        if own is None and isinstance(part, Milestone) and part.phase_id is not None:
            own = next((phase.legal_entity for phase in self.phases if phase.id == part.phase_id), None)
        return own or self.legal_entity or ""


@dataclass(frozen=True, slots=True)
class Handover:
    """What the platform tells sales about a deal after activation: written to the CRM's opportunity."""

    id: str
    deal_id: str
    project_number: str | None = None
    project_status: str | None = None
    payment_status: str | None = None
    billed: Money | None = None
    paid: Money | None = None
    status: str | None = None
