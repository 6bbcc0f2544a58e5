"""What finance's lists write into a file, column by column."""

from __future__ import annotations

from collections.abc import Sequence

from accord.insight import proposals, receivables, unbilled, unsent, work_to_cash
from accord.reconcile import board, checking
from accord.web.exporting import Column

UNEXPLAINED: Sequence[Column[checking.UnexplainedRow]] = (
    ("subject", lambda row: row.subject),
    ("what", lambda row: row.what),
    ("engagement", lambda row: row.engagement),
    ("legal entity", lambda row: row.legal_entity),
    ("amount", lambda row: None if row.money is None else row.money.amount),
    ("currency", lambda row: None if row.money is None else row.money.currency),
    ("first seen", lambda row: row.first_seen),
)
ENGAGEMENT: Sequence[Column[unbilled.EngagementLine]] = (
    ("engagement", lambda row: row.engagement),
    ("name", lambda row: row.name),
    ("legal entity", lambda row: row.legal_entity),
    ("amount", lambda row: row.amount.amount),
    ("currency", lambda row: row.amount.currency),
    ("parts", lambda row: row.parts),
    ("quantity", lambda row: row.quantity),
    ("oldest month", lambda row: row.oldest),
)
ITEM: Sequence[Column[unbilled.ItemRow]] = (
    ("item", lambda row: row.item_id),
    ("part", lambda row: row.part),
    ("worked on", lambda row: row.worked_on),
    ("kind", lambda row: row.kind),
    ("worker", lambda row: row.worker),
    ("role", lambda row: row.role),
    ("task", lambda row: row.task),
    ("quantity", lambda row: row.quantity),
    ("unit", lambda row: row.unit),
    ("rate", lambda row: row.rate),
    ("amount", lambda row: row.amount.amount),
    ("currency", lambda row: row.amount.currency),
    ("lies in", lambda row: row.disposition),
    ("why", lambda row: row.cause),
    ("by", lambda row: row.by),
    ("document", lambda row: row.document),
)
INVOICE: Sequence[Column[receivables.InvoiceRow]] = (
    ("invoice", lambda row: row.number or row.invoice_id),
    ("customer", lambda row: row.customer),
    ("engagement", lambda row: row.engagement_name or row.engagement),
    ("legal entity", lambda row: row.legal_entity),
    ("issued on", lambda row: row.issued_on),
    ("due on", lambda row: row.due_on),
    ("gross", lambda row: row.gross.amount),
    ("paid", lambda row: row.paid.amount),
    ("open", lambda row: row.open.amount),
    ("currency", lambda row: row.open.currency),
    ("disputed", lambda row: row.disputed),
)
UNSENT: Sequence[Column[unsent.UnsentRow]] = (
    ("write", lambda row: row.label),
    ("system", lambda row: row.connection),
    ("kind", lambda row: row.kind),
    ("unknown", lambda row: row.unknown),
    ("amount", lambda row: row.money.amount),
    ("currency", lambda row: row.money.currency),
    ("since", lambda row: row.since),
    ("why", lambda row: row.why),
    ("engagement", lambda row: row.engagement_name or row.engagement),
)
BREAK: Sequence[Column[board.BreakRow]] = (
    ("match", lambda row: row.match),
    ("key", lambda row: row.key),
    ("legal entity", lambda row: row.legal_entity),
    ("engagement", lambda row: row.engagement),
    ("ours", lambda row: row.ours),
    ("theirs", lambda row: row.theirs),
    ("difference", lambda row: row.difference),
    ("currency or unit", lambda row: row.currency),
    ("first seen", lambda row: row.first_seen),
    ("owner", lambda row: row.owner),
    ("attested by", lambda row: row.attested_by),
    ("attestation", lambda row: row.attestation),
)
STEP: Sequence[Column[work_to_cash.StepRow]] = (
    ("invoice", lambda row: row.number or row.invoice_id),
    ("engagement", lambda row: row.engagement_name or row.engagement),
    ("legal entity", lambda row: row.legal_entity),
    ("issued on", lambda row: row.issued_on),
    ("net", lambda row: row.net.amount),
    ("currency", lambda row: row.net.currency),
    ("hours", lambda row: row.hours),
)
PROPOSAL: Sequence[Column[proposals.Proposal]] = (
    ("proposal", lambda row: row.id),
    ("status", lambda row: row.status),
    ("engagement", lambda row: row.engagement_name or row.engagement),
    ("customer", lambda row: row.customer or row.customer_id),
    ("legal entity", lambda row: row.legal_entity),
    ("from", lambda row: row.period_from),
    ("to", lambda row: row.period_to),
    ("lines", lambda row: row.lines),
    ("net", lambda row: row.net.amount),
    ("currency", lambda row: row.currency),
    ("proposed at", lambda row: row.proposed_at),
    ("changed by", lambda row: ", ".join(row.changers)),
    ("reason", lambda row: row.reason),
)
