"""Salesforce: deals, customers, time and expenses in; project, billing and payment status, invoices, notices out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.connector import Action, Connector, Limits, Proof, Resource
from accord.connect.session import Session
from accord.connectors.salesforce import customers, deals, preparing, work
from accord.connectors.salesforce.access import CREDENTIALS, auth
from accord.connectors.salesforce.errors import classify
from accord.connectors.salesforce.outbound import WEBHOOK
from accord.connectors.salesforce.soql import DEFAULT_VERSION
from accord.connectors.salesforce.writeback import CUSTOMER_STATUS, HANDOVER, INVOICE, NOTICE
from accord.connectors.salesforce.writes import MOST, Prepare, prober, sender

__all__ = ["CONNECTOR"]

BY_KEY = Proof("upsert_key", note="upsert by our external id; a lost race is sent again as an update")
BY_ID = Proof("upsert_key", note="an update of the record by its id; it sets the same values again")


def _put(prepare: Prepare, proof: Proof, *links: str) -> Mapping[str, Action]:
    return {"put": Action(sender(prepare), prober(prepare), proof, batch=MOST, links=links)}


async def check(session: Session) -> str:
    """Who we are at Salesforce, by one cheap call. Raises CallFailed."""
    who = (await session.expect(session.call("GET", "services/oauth2/userinfo"))).json()
    version = session.config.get("api_version") or DEFAULT_VERSION
    return f"Salesforce org {who['organization_id']} as {who['preferred_username']}, API version {version}"


def _headers(config: Mapping[str, Any]) -> Mapping[str, str]:
    """The client's name comes back as the origin of our own changes."""
    return {"Sforce-Call-Options": f"client={config.get('client_name') or 'Accord'}"}


RESOURCES = (
    Resource("deal", "Opportunity", get=deals.get, changed=deals.changed, mapping=deals.DEAL),
    Resource("customer", "Account", _put(preparing.customers, BY_ID), customers.get, customers.changed,
             mapping=customers.CUSTOMER),
    Resource("handover", "Opportunity", _put(preparing.handovers, BY_ID, "deal_id"), mapping=HANDOVER),
    Resource("customer_status", "Account", _put(preparing.customer_statuses, BY_ID, "customer_id"),
             mapping=CUSTOMER_STATUS),
    Resource("invoice", "Invoice__c", _put(preparing.invoices, BY_KEY, "deal_id", "customer_id"), mapping=INVOICE),
    Resource("notice", "Task", _put(preparing.notices, BY_KEY, "about_id"), mapping=NOTICE),
    *work.RESOURCES,
)  # fmt: skip

CONNECTOR = Connector(
    vendor="salesforce",
    label="Salesforce",
    roles=("crm",),
    credentials=CREDENTIALS,
    auth=auth,
    base_url=lambda config: str(config["base_url"]),
    classify=classify,
    resources={each.kind: each for each in RESOURCES},
    # 25 calls may run longer than 20 s at once; 100,000 a day is the least of an Enterprise org. Both per connection.
    limits=Limits(concurrency=20, per_day=100_000),
    check=check,
    webhook=WEBHOOK,
    headers=_headers,
)
