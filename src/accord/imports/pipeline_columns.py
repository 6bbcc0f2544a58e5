"""What each column of a CRM pipeline export means, how its text is read, and samples that prove it. Pure.

The format is that of the public "CRM Sales Opportunities" set: comma-separated UTF-8 with a header, a decimal point,
no thousands separator, days as day-month-two-digit-year. Amounts are US dollars; the files do not say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from accord.model.money import Money

CURRENCY = "USD"
CENTURY = 2000  # 01-03-17 is the first of March 2017: the data begins in 2016
_DAY = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{2})")
_WHOLE = re.compile(r"[0-9]{1,12}")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_QUARTER = re.compile(r"Q([1-4]) ([0-9]{4})")

Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `read` takes the text between the commas and raises ValueError with the reason it cannot be read;
    `samples` are texts with their values, `refused` texts that must not be read."""

    name: str
    meaning: str
    read: Read
    samples: tuple[tuple[str, Any], ...]
    refused: tuple[str, ...] = ()


def text(value: str) -> str:
    """Kept as it is: correcting spellings is not the loader's business."""
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def optional(read: Read) -> Read:
    """Nothing between the commas is None; anything else must be readable."""
    return lambda value: read(value) if value.strip() else None


def whole(value: str) -> int:
    if not _WHOLE.fullmatch(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def dollars(value: str) -> Money:
    """An amount in dollars and at most whole cents."""
    return Money.of(_decimal(value), CURRENCY)


def millions(value: str) -> Money:
    """An amount written in millions of dollars."""
    return Money.of(_decimal(value) * 1_000_000, CURRENCY)


def day(value: str) -> date:
    found = _DAY.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a day written DD-MM-YY")
    days, months, years = (int(part) for part in found.groups())
    try:
        return date(CENTURY + years, months, days)
    except ValueError:
        raise ValueError(f"{value!r} is no day of the calendar when read as DD-MM-YY") from None


def quarter(value: str) -> tuple[int, int]:
    """`Q1 2017` -> (2017, 1)."""
    found = _QUARTER.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a quarter written like Q1 2017")
    return int(found.group(2)), int(found.group(1))


def one_of(*words: str) -> Read:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return value

    return read


def _decimal(value: str) -> Decimal:
    if not _DECIMAL.fullmatch(value):
        raise ValueError(f"{value!r} is not a number with a decimal point")
    return Decimal(value)


ACCOUNTS = (
    Column("account", "name of the customer, and its key", text, (("Bubba Gump", "Bubba Gump"),), ("", " ")),
    Column("sector", "industry as sales wrote it", optional(text), (("technolgy", "technolgy"), ("", None))),
    Column("year_established", "read to check the row, not loaded", optional(whole), (("1996", 1996), ("", None)),
           ("19.5", "-1", "MCMXCVI")),
    Column("revenue", "yearly revenue in millions of dollars", optional(millions),
           (("1100.04", Money.of(1_100_040_000, "USD")), ("4618", Money.of(4_618_000_000, "USD")), ("", None)),
           ("1,100.04", "1.100,04", "-3", "1e3")),
    Column("employees", "head count", optional(whole), (("2822", 2822), ("", None)), ("2,822", "2822.5")),
    Column("office_location", "country as sales wrote it", optional(text), (("Philipines", "Philipines"), ("", None))),
    Column("subsidiary_of", "name of the account that owns this one", optional(text),
           (("Acme Corporation", "Acme Corporation"), ("", None))),
)  # fmt: skip
PRODUCTS = (
    Column("product", "name of a product the firm sells", text, (("GTX Pro", "GTX Pro"),), ("",)),
    Column("series", "family of products; not loaded", optional(text), (("GTX", "GTX"), ("", None))),
    Column("sales_price", "list price in dollars; not loaded, deals have their own value", dollars,
           (("550", Money.of(550, "USD")), ("0.5", Money.of("0.50", "USD"))), ("", "$550", "0.005")),
)  # fmt: skip
TEAMS = (
    Column("sales_agent", "name of the person who owns deals", text, (("Moses Frase", "Moses Frase"),), ("",)),
    Column("manager", "name of that person's manager; not loaded", text, (("Dustin Brinkmann", "Dustin Brinkmann"),)),
    Column("regional_office", "decides the legal entity that signs", one_of("Central", "East", "West"),
           (("Central", "Central"),), ("", "central", "North")),
)  # fmt: skip
DEALS = (
    Column("opportunity_id", "key of the deal", text, (("1C1I7A6R", "1C1I7A6R"),), ("",)),
    Column("sales_agent", "owner of the deal", text, (("Moses Frase", "Moses Frase"),), ("",)),
    Column("product", "product as sales wrote it", text, (("GTXPro", "GTXPro"),), ("",)),
    Column("account", "customer; may be unknown early on", optional(text), (("Cancity", "Cancity"), ("", None))),
    Column("deal_stage", "where the deal stands", one_of("Prospecting", "Engaging", "Won", "Lost"),
           (("Won", "Won"), ("Engaging", "Engaging")), ("", "won", "Closed Won")),
    Column("engage_date", "day the talks began; read to check the row, not loaded", optional(day),
           (("20-10-16", date(2016, 10, 20)), ("", None)), ("2016-10-20", "20-10-2016", "31-02-17", "1-3-17")),
    Column("close_date", "day the deal was won or lost", optional(day),
           (("01-03-17", date(2017, 3, 1)), ("29-02-20", date(2020, 2, 29)), ("", None)),
           ("13-13-17", "01/03/17", "29-02-17")),
    Column("close_value", "what the customer pays, in dollars; 0 for a lost deal", optional(dollars),
           (("1054", Money.of(1054, "USD")), ("0", Money.of(0, "USD")), ("", None)), ("-5", "1 054", "1,054", "NaN")),
    Column("engage_quarter", "quarter of engage_date, a check on how days are read", optional(quarter),
           (("Q4 2016", (2016, 4)), ("", None)), ("Q5 2016", "4Q16")),
    Column("close_quarter", "quarter of close_date, a check on how days are read", optional(quarter),
           (("Q1 2017", (2017, 1)), ("", None)), ("2017 Q1",)),
)  # fmt: skip

FILES: Mapping[str, Sequence[Column]] = {
    "accounts.csv": ACCOUNTS,
    "products.csv": PRODUCTS,
    "sales_teams.csv": TEAMS,
    "sales_pipeline.csv": DEALS,
}
