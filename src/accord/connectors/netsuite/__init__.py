"""Oracle NetSuite: customers, projects, milestone approvals, invoices, payments; time and expenses come from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.auth import OAuth1, client_assertion
from accord.connect.authenticator import Authenticator
from accord.connect.connector import Connector, Credential, Limits, Resource
from accord.connect.failures import CallFailed
from accord.connect.session import Session
from accord.connectors.netsuite import (
    approvals,
    cash,
    customers,
    expense_reports,
    projects,
    pushes,
    receivables,
    time_entries,
)
from accord.connectors.netsuite.calls import rows
from accord.connectors.netsuite.errors import classify
from accord.errors import UsageError

__all__ = ["CONNECTOR", "concurrency_limit"]

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105  (an address)
LIMITS_PATH = "services/rest/system/v1/governanceLimits"
BASE_CONCURRENCY = 5  # of the smallest service tier, shared by all of the account's APIs (vendors.md 2.5)


def authenticator(given: Mapping[str, Any]) -> Authenticator:
    """OAuth 2.0 M2M when there is a private key, else token-based authentication. Raises UsageError for neither."""
    if given.get("private_key") and given.get("auth") != "tba":
        return client_assertion(
            token_url=f"{base_url(given)}{TOKEN_PATH}",
            client_id=str(given["client_id"]),
            certificate_id=str(given["certificate_id"]),
            private_key=str(given["private_key"]),
            scope="rest_webservices",
            algorithm=str(given.get("algorithm") or "PS256"),
        )
    if not given.get("token_secret"):
        raise UsageError("NetSuite needs client_id, certificate_id and private_key, or the four values of a TBA token")
    return OAuth1(
        consumer_key=str(given["consumer_key"]),
        consumer_secret=str(given["consumer_secret"]),
        token=str(given["token_id"]),
        token_secret=str(given["token_secret"]),
        realm=str(given["account_id"]).upper().replace("-", "_"),
    )


def base_url(config: Mapping[str, Any]) -> str:
    """`base_url` of the settings, or the account's own host: 1234567_SB1 is at 1234567-sb1 (vendors.md 2.1)."""
    slug = str(config.get("account_id") or "").lower().replace("_", "-")
    return str(config.get("base_url") or f"https://{slug}.suitetalk.api.netsuite.com").rstrip("/")


async def check(session: Session) -> str:
    """Who we are at NetSuite, which subsidiaries we see, and how many calls may run at once. Raises CallFailed."""
    found = await rows(session, "SELECT id, name, country FROM subsidiary WHERE iselimination = 'F' ORDER BY id")
    named = ", ".join(f"{row['id']} {row['name']}" for row in found) or "no subsidiary"
    limit = await concurrency_limit(session)
    at_once = f"; {limit} calls at once" if limit is not None else ""
    return f"NetSuite account {session.config.get('account_id')}: {named}{at_once}"


async def concurrency_limit(session: Session) -> int | None:
    """The account's own limit, for the budget of this connection; None when the role may not see it (administrators
    may)."""
    try:
        answer = await session.call("GET", LIMITS_PATH, endpoint="system")
    except CallFailed:
        return None
    return int(answer.json()["accountConcurrencyLimit"]) if answer.ok else None


RESOURCES = (
    Resource("customer", "Customer", {"put": customers.PUT}, mapping=customers.CUSTOMER),
    Resource("project", "Project (job)", {"put": projects.PROJECTS.action()}, mapping=projects.PROJECT),
    Resource("task", "Project task", {"put": projects.TASKS.action()}, mapping=projects.TASK),
    Resource("invoice", "Invoice", {"put": receivables.POSTS}, mapping=receivables.INVOICE),
    Resource("payment", "Customer payment", {"put": receivables.PAYMENTS.action()}, mapping=receivables.PAYMENT),
    Resource("receivable_hold", "Hold of an invoice", {"put": receivables.HOLDS}, mapping=receivables.HOLD),
    Resource("credit_note", "Credit memo", {"put": receivables.CREDITS}, mapping=receivables.CREDIT_NOTE),
    Resource("write_off", "Credit memo of a write-off", {"put": receivables.WRITE_OFFS}, mapping=receivables.WRITE_OFF),
    Resource("cash_application", "Application of a payment or credit memo", {"put": cash.APPLICATIONS}),
    Resource("refund", "Customer refund", {"put": cash.REFUNDS}, mapping=cash.REFUND),
    Resource("payment_reversal", "Customer refund of a payment", {"put": cash.REVERSALS}, mapping=cash.REVERSAL),
    approvals.RESOURCE,
    time_entries.RESOURCE,
    expense_reports.RESOURCE,
)
_M2M = "Setup, Integration, OAuth 2.0 Client Credentials (M2M) Setup"
_TBA = "only for token-based authentication, which NetSuite is ending"
CONNECTOR = Connector(
    vendor="netsuite",
    label="Oracle NetSuite",
    roles=("erp",),
    credentials=(
        Credential("account_id", "Account id, such as 1234567 or 1234567_SB1", secret=False, help="Setup, Company."),
        Credential("client_id", "Client id of the integration record", secret=False, required=False, help=_M2M),
        Credential("certificate_id", "Certificate id of the mapping", secret=False, required=False, help=_M2M),
        Credential("private_key", "Private key of that certificate (PEM)", required=False, help=_M2M),
        Credential("algorithm", "PS256 (RSA key) or ES256 (P-256 key)", secret=False, required=False),
        Credential("consumer_key", "Consumer key", required=False, help=_TBA),
        Credential("consumer_secret", "Consumer secret", required=False, help=_TBA),
        Credential("token_id", "Token id", required=False, help=_TBA),
        Credential("token_secret", "Token secret", required=False, help=_TBA),
        Credential("push_secret", "Secret of the user event script", required=False, help="suiteapp/README.md"),
    ),
    auth=authenticator,
    base_url=base_url,
    classify=classify,
    resources={each.kind: each for each in RESOURCES},
    limits=Limits(concurrency=BASE_CONCURRENCY),
    check=check,
    webhook=pushes.WEBHOOK,
)
