"""A pipeline as Salesforce records: what each row becomes, and every word that is not in the files, declared. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from accord.imports.pipeline_columns import CURRENCY
from accord.imports.pipeline_files import Account, Agent, Opportunity, Pipeline, Stage

KEY = "Legacy_Id__c"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the files leave open, and what the loader says instead.

    The file records won deals as closed and signed: a won deal with an account becomes a contract that is approved,
    activated and signed on the day it closed. Salesforce needs a close date for open deals too: without
    `open_deals_close_on` they get the last day any deal in the file was closed, since they were still open then.
    """

    contract_type: str = "fixed_fee"
    delivery_region: str = "AMER"
    billing_terms: str = "NET30"
    approval_status: str = "Approved"
    contract_status: str = "Activated"
    open_deals_close_on: date | None = None
    user_domain: str = "sales-agents.example"
    stages: Mapping[Stage, str] = field(
        default_factory=lambda: {
            "Prospecting": "Prospecting",
            "Engaging": "Qualification",
            "Won": "Closed Won",
            "Lost": "Closed Lost",
        }
    )
    legal_entities: Mapping[str, str] = field(default_factory=lambda: {"Central": "US", "East": "US", "West": "US"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One record as it should be. `key` is its `Legacy_Id__c` (a user's Username); a parent is named by its own key,
    `{"Account": {"Legacy_Id__c": ...}}`. `lane` groups records that lock the same parent; `file` and `line` say where
    the row stands."""

    key: str
    fields: Mapping[str, Any]
    file: str
    line: int
    lane: str = ""


def account_record(account: Account) -> Wanted:
    fields: dict[str, Any] = {"Name": account.name, "CurrencyIsoCode": CURRENCY}
    fields |= _told(
        Industry=account.sector,
        BillingCountry=account.office_location,
        AnnualRevenue=account.revenue and account.revenue.amount,
        NumberOfEmployees=account.employees,
        Parent=account.subsidiary_of and {KEY: account.subsidiary_of},
    )
    return Wanted(account.name, fields, "accounts.csv", account.line)


def contract_records(pipeline: Pipeline, defaults: Defaults) -> list[Wanted]:
    """One for each won deal with an account, in its final status."""
    return [
        Wanted(
            deal.id,
            {
                "Account": {KEY: deal.account},
                "Status": defaults.contract_status,
                "Approval_Status__c": defaults.approval_status,
                "CustomerSignedDate": _iso(deal.closed_on),
                "Billing_Terms__c": defaults.billing_terms,
                "CurrencyIsoCode": CURRENCY,
            },
            "sales_pipeline.csv",
            deal.line,
            deal.account or "",
        )
        for deal in pipeline.opportunities
        if _has_contract(deal)
    ]


def opportunity_records(pipeline: Pipeline, defaults: Defaults, owners: Mapping[str, str]) -> list[Wanted]:
    """`owners` gives the user id of each agent that has one; who has none leaves the deal to the loading user."""
    offices = {agent.name: agent.regional_office for agent in pipeline.agents}
    open_until = defaults.open_deals_close_on or last_close(pipeline)
    made = []
    for deal in pipeline.opportunities:
        fields: dict[str, Any] = {
            "Name": f"{deal.account or 'No account yet'}: {deal.product} ({deal.id})"[:120],
            "StageName": defaults.stages[deal.stage],
            "CloseDate": _iso(deal.closed_on or open_until),
            "CurrencyIsoCode": CURRENCY,
            "Contract_Type__c": defaults.contract_type,
            "Delivery_Region__c": defaults.delivery_region,
            "Legal_Entity__c": defaults.legal_entities[offices[deal.agent]],
            "Product_Name__c": deal.product,
        }
        fields |= _told(
            Account=deal.account and {KEY: deal.account},
            Contract={KEY: deal.id} if _has_contract(deal) else None,
            Amount=deal.value.amount if deal.value is not None else None,
            OwnerId=owners.get(deal.agent),
        )
        made.append(Wanted(deal.id, fields, "sales_pipeline.csv", deal.line, deal.account or ""))
    return made


def user_records(agents: Iterable[Agent], defaults: Defaults) -> dict[str, Wanted]:
    """The user of each agent, by the agent's name. Addresses end in a domain where no mail can arrive."""
    made: dict[str, Wanted] = {}
    taken: set[str] = set()
    for agent in agents:
        first, _, last = agent.name.rpartition(" ")
        login = plain = _ascii(agent.name, ".")
        while login in taken:
            login = f"{plain}.{agent.line}"
        taken.add(login)
        address = f"{login}@{defaults.user_domain}"
        fields = {
            "FirstName": first,
            "LastName": last,
            "Alias": _ascii(f"{first[:1]}{last}", "")[:8],
            "Email": address,
            "Division": agent.regional_office,
        }
        made[agent.name] = Wanted(address, fields, "sales_teams.csv", agent.line)
    return made


def last_close(pipeline: Pipeline) -> date | None:
    return max((deal.closed_on for deal in pipeline.opportunities if deal.closed_on), default=None)


def _has_contract(deal: Opportunity) -> bool:
    return deal.won and deal.account is not None


def _told(**fields: Any) -> dict[str, Any]:
    """Only what the file says: a field it is silent about is left as Salesforce has it."""
    return {name: value for name, value in fields.items() if value is not None}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _ascii(name: str, joint: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", joint, plain).strip(".") or "agent"
