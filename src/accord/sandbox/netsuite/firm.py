"""The demo firm as its NetSuite account holds it before anyone writes to it: entities, currencies, terms, periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.schema import TYPES


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A subsidiary: internal id, code as external id, name, ISO country and currency."""

    id: str
    code: str
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class Firm:
    """`currencies` are (internal id, ISO code, name, decimals, rate to the parent's currency)."""

    name: str = "Meridian Group"
    entities: tuple[LegalEntity, ...] = (
        LegalEntity("2", "US", "Meridian Consulting Inc.", "US", "USD"),
        LegalEntity("3", "DE", "Meridian Deutschland GmbH", "DE", "EUR"),
        LegalEntity("4", "JP", "Meridian Japan KK", "JP", "JPY"),
    )
    currencies: tuple[tuple[str, str, str, int, str], ...] = (
        ("1", "USD", "US Dollar", 2, "1"),
        ("2", "GBP", "British Pound", 2, "1.27"),
        ("4", "EUR", "Euro", 2, "1.08"),
        ("5", "JPY", "Japanese Yen", 0, "0.0067"),
    )
    terms: tuple[tuple[str, str, int], ...] = (
        ("1", "Net 15", 15),
        ("2", "Net 30", 30),
        ("3", "Net 45", 45),
        ("4", "Net 60", 60),
        ("5", "Due on receipt", 0),
    )
    service_item: str = "ACCORD-SERVICES"
    expense_categories: tuple[str, ...] = ("Travel", "Hotel", "Meals", "Other")
    write_off_item: str = "ACCORD-WRITE-OFF"
    first_year: int = 2015
    last_year: int = 2035


def settle(account: Account, firm: Firm) -> None:
    """Enter the firm's set-up into a fresh account."""
    currency_ids = {code: internal_id for internal_id, code, *_ in firm.currencies}
    for internal_id, code, name, decimals, rate in firm.currencies:
        _enter(account, "currency", id=internal_id, externalId=code, name=name, symbol=code,
               currencyPrecision=decimals, exchangeRate=Decimal(rate))  # fmt: skip
    _enter(account, "subsidiary", id="1", externalId="GROUP", name=firm.name, legalName=firm.name, country="US",
           currency=currency_ids["USD"], isElimination=True)  # fmt: skip
    for each in firm.entities:
        _enter(account, "subsidiary", id=each.id, externalId=each.code, name=each.name, legalName=each.name,
               country=each.country, currency=currency_ids[each.currency], parent="1", isElimination=False)  # fmt: skip
    for internal_id, name, days in firm.terms:
        _enter(account, "term", id=internal_id, name=name, daysUntilNetDue=days)
    for name in firm.expense_categories:
        _enter(account, "expenseCategory", name=name)
    for number, first in enumerate(_months(firm), start=1):
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        _enter(account, "accountingPeriod", id=str(number), periodName=first.strftime("%b %Y"),
               startDate=first.isoformat(), endDate=last.isoformat(), closed=False, arLocked=False)  # fmt: skip
    _enter(account, "serviceSaleItem", externalId=firm.service_item, itemId="Professional services",
           displayName="Professional services")  # fmt: skip
    _enter(account, "serviceSaleItem", externalId=firm.write_off_item, itemId="Bad debt", displayName="Bad debt")
    _enter(account, "employee", externalId="EMP-PM", entityId="Paula Meyer", firstName="Paula", lastName="Meyer",
           email="paula.meyer@meridian.example", subsidiary=firm.entities[0].id)  # fmt: skip


def _months(firm: Firm) -> list[date]:
    return [date(year, month, 1) for year in range(firm.first_year, firm.last_year + 1) for month in range(1, 13)]


def _enter(account: Account, record: str, /, **values: Any) -> None:
    kind = TYPES[record]
    flags = {"isInactive": False} if "isInactive" in kind.fields else {}
    account.keep(kind, None, {"id": values.get("id") or account.new_id(kind), **flags, **values})
