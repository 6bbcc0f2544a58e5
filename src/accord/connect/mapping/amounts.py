"""Rows of money: an exact amount and where its currency stands. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from accord.connect.mapping.row import MISSING, Row, Sink, Unfit, dig, plant, shown
from accord.connect.mapping.scalars import to_decimal
from accord.model.money import Money, TooManyDecimals, UnknownCurrency, decimals_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow(Row):
    """An amount. Its currency is at the vendor path `currency_at`, in the canonical field `currency_from` (of this
    object or the one around it), or always `currency`: exactly one of the three.

    `minor`: the vendor counts in the minor unit (Stripe: 1050 is 10.50 USD and 1050 JPY); `minor_decimals` where the
    vendor's idea of a currency's decimals differs from CLDR's. `lower`: the vendor writes `usd`. `as_text`: amounts
    as text.
    """

    currency_at: str | None = None
    currency_from: str | None = None
    currency: str | None = None
    minor: bool = False
    minor_decimals: Mapping[str, int] = field(default_factory=dict)
    lower: bool = False
    as_text: bool = False

    type = "money"

    @property
    def late(self) -> bool:
        return self.currency_from is not None

    def read(self, record: Mapping[str, Any], sink: Sink) -> None:
        value = self._look_up(record, sink)
        if value is None:
            return
        try:
            currency = self._currency_of(record, sink)
            money = self._exact(to_decimal(value), currency)
        except (Unfit, UnknownCurrency, TooManyDecimals, ValueError) as error:
            sink.object_to(self, str(error))
        else:
            sink.values[self.field] = {"amount": str(money.amount), "currency": money.currency}

    def write(self, body: Mapping[str, Any], vendor_ids: Mapping[str, str], sink: Sink) -> None:  # noqa: ARG002
        value = body.get(self.field)
        if value is None:
            self._empty(sink)
            self._clear(sink, given=self.field in body)
            return
        try:
            money = _money(value)
            self._check_currency(money, body, sink)
            amount = self._counted(money)
        except (Unfit, UnknownCurrency, TooManyDecimals, ValueError) as error:
            sink.object_to(self, str(error))
        else:
            plant(sink.values, self.vendor, amount)
            if self.currency_at:
                plant(sink.values, self.currency_at, money.currency.lower() if self.lower else money.currency)

    def read_paths(self) -> Iterator[str]:
        if self.reads:
            yield from (path for path in (self.vendor, self.currency_at) if path)

    def write_paths(self) -> Iterator[str]:
        if self.writes:
            yield from (path for path in (self.vendor, self.currency_at) if path)

    def renamed(self, names: Mapping[str, str]) -> Row:
        at = names.get(f"{self.field}.currency", self.currency_at)
        return replace(self, vendor=names.get(self.field, self.vendor), currency_at=at)

    def override_names(self) -> Iterator[str]:
        yield self.field
        if self.currency_at:
            yield f"{self.field}.currency"

    def mistakes(self) -> Iterator[str]:
        yield from Row.mistakes(self)
        if sum(each is not None for each in (self.currency_at, self.currency_from, self.currency)) != 1:
            yield f"{self.field}: give one of currency_at, currency_from and currency"
        if self.currency is not None:
            try:
                decimals_of(self.currency)
            except UnknownCurrency as error:
                yield f"{self.field}: {error}"

    def detail(self) -> str:
        where = self.currency_at or self.currency or f"field {self.currency_from}"
        return f"currency: {where}{'; in the minor unit' if self.minor else ''}"

    def _currency_of(self, record: Mapping[str, Any], sink: Sink) -> str:
        if self.currency is not None:
            return self.currency
        if self.currency_at is not None:
            found = dig(record, self.currency_at)
        else:
            found = _canonical(self.currency_from or "", sink.values, sink.outer)
        if found is None or found is MISSING or found == "":
            raise Unfit("has an amount but no currency")
        if not isinstance(found, str):
            raise Unfit(f"{shown(found)} is not a currency")
        return found.upper() if self.lower else found

    def _check_currency(self, money: Money, body: Mapping[str, Any], sink: Sink) -> None:
        expected: Any = self.currency
        if self.currency_from is not None:
            expected = _canonical(self.currency_from, body, sink.outer)
        if self.currency_at is not None:
            planted = dig(sink.values, self.currency_at)
            expected = planted.upper() if isinstance(planted, str) else money.currency
        if expected != money.currency:
            raise Unfit(f"is in {money.currency}, but this record is in {expected or 'no currency'}")

    def _exact(self, value: Decimal, currency: str) -> Money:
        if not self.minor:
            return Money.of(value, currency)
        if value != value.to_integral_value():
            raise Unfit(f"{shown(value)} is not a whole number of the minor unit")
        return Money.of(value.scaleb(-self._decimals(currency)), currency)

    def _counted(self, money: Money) -> Any:
        if not self.minor:
            return str(money.amount) if self.as_text else money.amount
        return int(money.amount.scaleb(self._decimals(money.currency)).to_integral_exact())

    def _decimals(self, currency: str) -> int:
        return self.minor_decimals.get(currency, decimals_of(currency))


def _money(value: Any) -> Money:
    if not isinstance(value, Mapping) or not {"amount", "currency"} <= value.keys():
        raise Unfit("is not an amount with a currency")
    if not isinstance(value["currency"], str):
        raise Unfit(f"{shown(value['currency'])} is not a currency")
    return Money.of(to_decimal(value["amount"]), value["currency"])


def _canonical(name: str, body: Mapping[str, Any], outer: Mapping[str, Any] | None) -> Any:
    found = body.get(name)
    return found if found is not None or outer is None else outer.get(name)
