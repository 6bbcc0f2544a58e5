"""The business, one file a flow. Start reading with quote_to_project."""

from __future__ import annotations

from accord.engine.story import Process
from accord.processes.cash_back import payment_reversed, refund_to_customer
from accord.processes.cash_to_invoices import cash_to_invoice, receipt_to_invoices
from accord.processes.contract_change import contract_change
from accord.processes.contract_plan import contract_plan
from accord.processes.credit_to_customer import credit_to_customer
from accord.processes.customer_master import customer_master
from accord.processes.dispute import dispute
from accord.processes.e_invoice import e_invoice_accepted, e_invoice_rejected
from accord.processes.invoice_to_cash import invoice_to_cash, payment_failure
from accord.processes.line_dispute import dispute_clock, line_dispute
from accord.processes.milestone_to_bill import milestone_to_bill, milestone_withdrawn
from accord.processes.quote_to_project import quote_to_project
from accord.processes.recurring_to_bill import recurring_to_bill
from accord.processes.service_settlement import service_settlement
from accord.processes.time_to_bill import time_to_bill
from accord.processes.work_transfer import work_transfer
from accord.processes.write_off import write_off, write_up

PROCESSES: dict[str, Process] = {
    each.name: each
    for each in (
        quote_to_project,
        contract_change,
        contract_plan,
        customer_master,
        milestone_to_bill,
        milestone_withdrawn,
        recurring_to_bill,
        service_settlement,
        time_to_bill,
        invoice_to_cash,
        payment_failure,
        credit_to_customer,
        receipt_to_invoices,
        cash_to_invoice,
        refund_to_customer,
        payment_reversed,
        write_off,
        write_up,
        work_transfer,
        dispute,
        line_dispute,
        dispute_clock,
        e_invoice_rejected,
        e_invoice_accepted,
    )
}
