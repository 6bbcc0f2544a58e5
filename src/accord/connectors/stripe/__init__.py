"""Stripe Billing: customers, schedules, invoices, payments and disputes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.authenticator import StaticBearer
from accord.connect.connector import Action, Connector, Credential, Limits, Proof, Resource
from accord.connect.session import Session
from accord.connectors.stripe import cash, credit_notes, customers, invoices, reading, schedules, tax_rates
from accord.connectors.stripe.calls import by_id, each, probe, read
from accord.connectors.stripe.errors import classify
from accord.connectors.stripe.events import API_VERSION, WEBHOOK, changed, register_webhook

__all__ = ["API_VERSION", "CONNECTOR", "register_webhook"]

# Stripe keeps keys a day; a look-up by metadata proves the rest. Lists show a write at once, search lags behind.
KEYED = Proof("idempotency_key", key_life_hours=24, note="after a day, by metadata.accord_id on exact lists")
OWN_ID = Proof("upsert_key", note="the product's id is ours")


async def check(session: Session) -> str:
    """Who we are at Stripe, by one cheap call. Raises CallFailed."""
    account = await read(session, "account")
    name = (account.get("settings") or {}).get("dashboard", {}).get("display_name") or account.get("email") or "no name"
    return f"Stripe account {account['id']} ({name}, {account['country']}), API version {API_VERSION}"


def _base_url(config: Mapping[str, Any]) -> str:
    return str(config.get("base_url") or "https://api.stripe.com")


def _headers(_config: Mapping[str, Any]) -> Mapping[str, str]:
    return {"Stripe-Version": API_VERSION}


RESOURCES = (
    Resource(
        "customer",
        "Customer",
        {"put": Action(each(customers.put), probe(customers.find, by_id), KEYED)},
        mapping=customers.CUSTOMER,
    ),
    Resource(
        "tax_rate",
        "Tax rate",
        {"put": Action(each(tax_rates.put), probe(tax_rates.find, by_id), KEYED)},
        mapping=tax_rates.TAX_RATE,
    ),
    Resource(
        "scheduled_milestone",
        "Product with its price",
        {"put": Action(each(schedules.put_milestone), probe(schedules.find_milestone, by_id), OWN_ID)},
        mapping=schedules.SCHEDULED_MILESTONE,
    ),
    Resource(
        "recurring_schedule",
        "Subscription schedule",
        {
            "put": Action(
                each(schedules.put_recurring),
                probe(schedules.find_recurring, schedules.probed_recurring),
                KEYED,
                links=("customer_id", "tax_rate_id"),
            )
        },
        mapping=schedules.RECURRING_SCHEDULE,
    ),
    Resource(
        "invoice",
        "Invoice",
        {
            "issue": Action(
                each(invoices.issue),
                probe(invoices.find, invoices.issued),
                KEYED,
                links=("customer_id", "lines[].tax_rate_id"),
            ),
            "write_off": Action(
                each(invoices.write_off), probe(invoices.find, invoices.given_up), KEYED, links=("customer_id",)
            ),
            "void": Action(each(invoices.void), probe(invoices.find, invoices.voided), KEYED, links=("customer_id",)),
        },
        get=reading.get_invoices,
        changed=changed("invoice", reading.get_invoices),
    ),
    Resource(
        "credit_note",
        "Credit note",
        {
            "put": Action(
                each(credit_notes.credit),
                probe(credit_notes.find_credit, credit_notes.credited),
                KEYED,
                links=("invoice_id",),
            )
        },
    ),
    Resource(
        "unapplied_cash",
        "Customer balance transaction",
        {
            "put": Action(
                each(cash.keep_apart),
                probe(cash.find_transaction, cash.taken_off),
                KEYED,
                links=("customer_id", "invoice_id"),
            )
        },
    ),
    Resource(
        "cash_application",
        "Payment record",
        {"put": Action(each(cash.report), probe(cash.find_report, cash.reported), KEYED, links=("invoice_id",))},
    ),
    Resource("refund", "Refund", {"put": Action(each(cash.refund), probe(cash.find_refund, cash.refunded), KEYED)}),
    Resource(
        "payment_reversal",
        "Refund made by hand",
        get=reading.get_reversals,
        changed=changed("payment_reversal", reading.get_reversals),
    ),
    Resource(
        "payment",
        "Invoice payment",
        get=reading.get_payments,
        changed=changed("payment", reading.get_payments),
    ),
    Resource(
        "payment_failure",
        "Failed payment attempt",
        get=reading.get_failures,
        changed=changed("payment_failure", reading.get_failures),
    ),
    Resource("dispute", "Dispute", get=reading.get_disputes, changed=changed("dispute", reading.get_disputes)),
)

CONNECTOR = Connector(
    vendor="stripe",
    label="Stripe Billing",
    roles=("billing",),
    credentials=(
        Credential(
            "api_key",
            "Secret or restricted API key",
            help="Developers, API keys; README.md lists the permissions.",
        ),
        Credential(
            "webhook_secret",
            "Signing secret of the webhook endpoint (whsec_...)",
            required=False,
            help="Shown once when the endpoint is made; while it rolls, the old one is webhook_secret_previous.",
        ),
    ),
    auth=lambda credentials: StaticBearer(str(credentials["api_key"])),
    base_url=_base_url,
    classify=classify,
    resources={each_resource.kind: each_resource for each_resource in RESOURCES},
    limits=Limits(per_second=100, per_endpoint_per_second=25),  # live mode; a test mode account has 25 in all
    check=check,
    webhook=WEBHOOK,
    headers=_headers,
)
