"""What is billed, how, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accord.model.money import Money


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    """How a sale is taxed: `kind` is domestic | reverse_charge | export | exempt | none; `percentage` 19 means 19 %."""

    kind: str
    country: str
    percentage: Decimal
    label: str


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A tax rate as the billing platform needs it before it can be used on an invoice line."""

    id: str
    label: str
    country: str
    percentage: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class ScheduledMilestone:
    """One entry of a milestone billing schedule in the billing platform: a priced milestone.

    `status` is scheduled | billing (its invoice is being issued) | billed | cancelled.
    """

    id: str
    engagement_id: str
    customer_id: str
    legal_entity: str
    name: str
    amount: Money
    planned_on: date | None = None
    status: str = "scheduled"

    @property
    def in_billing(self) -> bool:
        """Whether its amount is an invoice's: only a credit changes it."""
        return self.status in ("billing", "billed")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; `item_id` is the billable item it bills, `net` its amount before tax."""

    item_id: str
    text: str
    net: Money
    tax: Money
    tax_rate_id: str | None = None
    service_from: date | None = None
    service_to: date | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice. `origin` is milestone | subscription | service_change | work; `status` is draft | open | paid | void
    | uncollectible.

    `number` and `billing_ref` are known once the billing platform issued it. `paid` is the sum received so far.
    `subscription_id` is the canonical id of the recurring schedule a subscription invoice belongs to.

    `credited` and `written_off` (gross; `reduced_net` is their net) need not be paid any more; `returned` is what was
    paid and has gone back to the customer. Billing knows them otherwise or not at all, so they are the platform's own.
    """

    id: str
    customer_id: str
    legal_entity: str
    currency: str
    lines: tuple[InvoiceLine, ...]
    net: Money
    tax: Money
    gross: Money
    origin: str
    engagement_id: str | None = None
    project_id: str | None = None
    deal_id: str | None = None
    issued_on: date | None = None
    due_on: date | None = None
    terms_days: int | None = None
    number: str | None = None
    billing_ref: str | None = None
    status: str = "draft"
    paid: Money | None = None
    disputed: bool = False
    subscription_id: str | None = None
    credited: Money | None = None
    written_off: Money | None = None
    reduced_net: Money | None = None
    returned: Money | None = None

    def ledger_line(self, line: int) -> int | None:
        """The line of the ledger behind a line: its own, or None for all, as a milestone is one item whatever its
        lines."""
        return None if self.origin == "milestone" else line


@dataclass(frozen=True, slots=True)
class Allocation:
    """The part of some money that pays one invoice."""

    invoice_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Payment:
    """Money received for one invoice (a part or all of it), or, with an empty `invoice_id`, for any of the customer's.

    `allocations` is how it is shared out, None for all of it to its invoice. `bank_fee` is what banks kept of it: it
    pays as well, and is the firm's cost.
    """

    id: str
    invoice_id: str
    amount: Money
    received_on: date
    customer_id: str | None = None
    legal_entity: str | None = None
    reference: str | None = None
    allocations: tuple[Allocation, ...] | None = None
    bank_fee: Money | None = None

    @property
    def pays(self) -> Money:
        """What the customer has paid: what arrived and what banks kept."""
        return self.amount if self.bank_fee is None else self.amount + self.bank_fee


@dataclass(frozen=True, slots=True)
class CashApplication:
    """Unapplied cash that pays an invoice. `on_invoice` is all that this money pays of it, this part included;
    `in_erp` says that the ERP knows already."""

    id: str
    cash_id: str
    source_kind: str
    source_id: str
    invoice_id: str
    amount: Money
    on_invoice: Money
    applied_on: date
    applied_by: str
    in_erp: bool = False


@dataclass(frozen=True, slots=True)
class Refund:
    """Unapplied cash that goes back to the customer. `references` are the payments it may go back by, newest first;
    `status` is requested | approved | refunded."""

    id: str
    cash_id: str
    source_kind: str
    source_id: str
    customer_id: str
    legal_entity: str
    amount: Money
    reason: str
    refunded_on: date
    references: tuple[str, ...] = ()
    status: str = "requested"
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentReversal:
    """A payment that the bank or the payer took back, in part or in full: the invoice is to be paid again.

    `still_pays` is what the payment pays of its invoice from now on.
    """

    id: str
    payment_id: str
    invoice_id: str
    amount: Money
    reason: str
    reversed_on: date
    customer_id: str | None = None
    legal_entity: str | None = None
    still_pays: Money | None = None


@dataclass(frozen=True, slots=True)
class PaymentFailure:
    """An attempt to collect that failed. One per attempt."""

    id: str
    invoice_id: str
    amount: Money
    failed_on: date
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """A customer's objection against an invoice. `status` is open | won | lost | withdrawn."""

    id: str
    invoice_id: str
    amount: Money
    reason: str
    status: str
    opened_on: date
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class LineDispute:
    """A customer's objection against lines of an invoice, or parts of them; the rest stays payable.

    `status` is open | closed, `outcome` uphold | credit | rebill once somebody has decided; `credit_id` the credit that
    was asked for then. `owner` answers by `answer_by`. `amount` is gross.
    """

    id: str
    invoice_id: str
    lines: tuple[CreditLine, ...]
    net: Money
    amount: Money
    reason: str
    opened_by: str
    opened_on: date
    owner: str
    answer_by: date
    customer_id: str
    legal_entity: str
    engagement_id: str | None = None
    status: str = "open"
    outcome: str | None = None
    credit_id: str | None = None
    decided_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class EInvoice:
    """How an invoice fares at the network that carries it as a document (Peppol, KSeF, a tax authority's platform).

    One per invoice; `attempt` counts how often it was sent. `status` is sent | accepted | rejected. This is a hook:
    whichever connection learns of it shows it under the kind `e_invoice`.
    """

    id: str
    invoice_id: str
    status: str
    attempt: int = 1
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivableHold:
    """Whether the ERP holds an invoice's receivable back from collection, and why. `id` is the invoice's; `disputed`
    is the part that lines in dispute come to, while the rest stays payable."""

    id: str
    on_hold: bool
    reason: str | None = None
    disputed: Money | None = None


@dataclass(frozen=True, slots=True)
class CreditLine:
    """The credit of one invoice line or a part of it. `line` counts from 1."""

    line: int
    text: str
    net: Money
    tax: Money


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A credit against an invoice, in part or in full. `amount` is gross; `status` is approved | issued.

    Without `lines` it is of the invoice as a whole. `of_paid` is the part that had been paid already and is the
    customer's again. With `rebill` the credited work goes back to be priced and invoiced anew. A credit `from_work` is
    itself a document of the ledger: work that was corrected below what its invoice says lies on its lines.
    """

    id: str
    invoice_id: str
    amount: Money
    reason: str
    issued_on: date
    lines: tuple[CreditLine, ...] = ()
    net: Money | None = None
    customer_id: str | None = None
    legal_entity: str | None = None
    engagement_id: str | None = None
    status: str = "approved"
    number: str | None = None
    billing_ref: str | None = None
    of_paid: Money | None = None
    rebill: bool = False
    from_work: bool = False
    dispute_id: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class WriteOff:
    """Value that is given up for a reason: what is open of an invoice (`amount` gross), or what is not invoiced of an
    item (`amount` net). `net` is its net part, known once it is done; `status` is requested | approved | done."""

    id: str
    amount: Money
    reason: str
    written_off_on: date
    legal_entity: str
    invoice_id: str | None = None
    item_id: str | None = None
    customer_id: str | None = None
    engagement_id: str | None = None
    net: Money | None = None
    status: str = "requested"
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class WorkTransfer:
    """Value of an item that belongs to another engagement of the same legal entity and currency, and is invoiced there.
    `engagement_id` is where it was."""

    id: str
    amount: Money
    reason: str
    transferred_on: date
    legal_entity: str
    item_id: str
    engagement_id: str
    to_engagement_id: str
    status: str = "requested"
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class WriteUp:
    """Value that is added to an engagement's work for a reason, and invoiced with it."""

    id: str
    amount: Money
    reason: str
    written_up_on: date
    legal_entity: str
    engagement_id: str
    status: str = "requested"
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class UnappliedCash:
    """Money of a customer that pays no invoice yet: over-paid, received without an invoice, or credited after payment.

    `source_kind` is payment | credit_note, `invoice_id` the invoice it was paid for. `applied` is what has been applied
    to invoices since, `refunded` what has gone back.
    """

    id: str
    source_kind: str
    source_id: str
    customer_id: str
    legal_entity: str
    amount: Money
    received_on: date
    engagement_id: str | None = None
    invoice_id: str | None = None
    applied: Money | None = None
    refunded: Money | None = None


@dataclass(frozen=True, slots=True)
class ProposedLine:
    """One line of an approved invoice proposal. `id` is what the ledger's parts point to: proposal and number."""

    id: str
    text: str
    net: Money
    quantity: Decimal
    unit: str
    rate: Decimal | None = None
    service_from: date | None = None
    service_to: date | None = None


@dataclass(frozen=True, slots=True)
class InvoiceProposal:
    """Work that a person has approved for invoicing. `id` is that of the invoice it becomes."""

    id: str
    engagement_id: str
    legal_entity: str
    customer_id: str
    currency: str
    period_from: date
    period_to: date
    lines: tuple[ProposedLine, ...]
    net: Money
    terms_days: int
    approved_by: str
    approved_at: str
