"""Reads a CRM pipeline export: four CSV files into typed rows that fit together, and a list of the rows that do not.

A row that cannot be read, contradicts itself or points to nothing is rejected with its line and reason; nothing is
guessed, corrected or half taken.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from accord.errors import UsageError
from accord.imports.pipeline_columns import FILES, Column
from accord.model.money import Money

Stage = Literal["Prospecting", "Engaging", "Won", "Lost"]


class PipelineUnreadable(UsageError):
    """A file of the pipeline is missing, is not UTF-8 CSV, or has other columns than `pipeline_columns` declares."""

    title = "Pipeline unreadable"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not taken. `line` counts from 1 with the header, as an editor shows it."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    line: int
    name: str
    sector: str | None
    year_established: int | None
    revenue: Money | None
    employees: int | None
    office_location: str | None
    subsidiary_of: str | None


@dataclass(frozen=True, slots=True)
class Product:
    line: int
    name: str
    series: str | None
    sales_price: Money


@dataclass(frozen=True, slots=True)
class Agent:
    line: int
    name: str
    manager: str
    regional_office: str


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One deal. `account` is None while sales does not know it; `value` and `closed_on` are there once it is closed."""

    line: int
    id: str
    agent: str
    product: str
    account: str | None
    stage: Stage
    engaged_on: date | None
    closed_on: date | None
    value: Money | None
    engage_quarter: tuple[int, int] | None
    close_quarter: tuple[int, int] | None

    @property
    def won(self) -> bool:
        return self.stage == "Won"

    @property
    def closed(self) -> bool:
        return self.stage in ("Won", "Lost")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Rows that fit together: every account, agent and parent a row names is here. Accounts stand parents first."""

    accounts: tuple[Account, ...]
    catalogue: tuple[Product, ...]
    agents: tuple[Agent, ...]
    opportunities: tuple[Opportunity, ...]
    rejections: tuple[Rejection, ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products the firm sells, in the order of the file."""
        return tuple(product.name for product in self.catalogue)


class _Row(Protocol):
    @property
    def line(self) -> int: ...


R = TypeVar("R", bound=_Row)


@dataclass(slots=True)
class _Desk:
    """Where rejected rows are noted, in the order they are found."""

    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, file: str, line: int, reason: str) -> None:
        self.rejections.append(Rejection(file, line, reason))


def read_pipeline(directory: Path) -> Pipeline:
    """The pipeline in a directory. Raises PipelineUnreadable for a file that cannot be understood as a whole."""
    desk = _Desk()
    agents = _rows(desk, directory, "sales_teams.csv", Agent, lambda row: row.name)
    products = _rows(desk, directory, "products.csv", Product, lambda row: row.name)
    accounts = _rooted(desk, _rows(desk, directory, "accounts.csv", Account, lambda row: row.name))
    deals = _rows(desk, directory, "sales_pipeline.csv", Opportunity, lambda row: row.id)
    names, people = {each.name for each in accounts}, {each.name for each in agents}
    good = []
    for deal in deals:
        reason = _contradiction(deal) or _dangling(deal, names, people)
        if reason:
            desk.reject("sales_pipeline.csv", deal.line, reason)
        else:
            good.append(deal)
    rejections = tuple(sorted(desk.rejections, key=lambda each: (each.file, each.line)))
    return Pipeline(tuple(accounts), tuple(products), tuple(agents), tuple(good), rejections)


def levels(accounts: Iterable[Account]) -> list[list[Account]]:
    """The accounts by their distance from the top: those without a parent first. Needs every parent to be there."""
    depths: dict[str, int] = {}
    ordered: list[list[Account]] = []
    for account in accounts:
        depth = depths[account.subsidiary_of] + 1 if account.subsidiary_of else 0
        depths[account.name] = depth
        if depth == len(ordered):
            ordered.append([])
        ordered[depth].append(account)
    return ordered


def _rows(desk: _Desk, directory: Path, file: str, make: Callable[..., R], key: Callable[[R], str]) -> list[R]:
    """Readable rows of a file, without those that share a key: which of them is right is not ours to say.

    Keys differ by more than case, because Salesforce's external ids do.
    """
    by_key: dict[str, list[R]] = defaultdict(list)
    for line, values in _read(desk, directory / file, FILES[file]):
        row = make(line, *values)
        by_key[key(row).casefold()].append(row)
    for same in (rows for rows in by_key.values() if len(rows) > 1):
        for row in same:
            others = ", ".join(str(other.line) for other in same if other is not row)
            desk.reject(file, row.line, f"{FILES[file][0].name} {key(row)!r} is also on line {others}")
    return [same[0] for same in by_key.values() if len(same) == 1]


def _read(desk: _Desk, path: Path, columns: Sequence[Column]) -> list[tuple[int, list[Any]]]:
    rows: list[tuple[int, list[Any]]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            _check_header(path, next(reader, []), columns)
            line = reader.line_num + 1
            for cells in reader:
                values, problem = _values(cells, columns)
                if problem and cells:
                    desk.reject(path.name, line, problem)
                elif cells:
                    rows.append((line, values))
                line = reader.line_num + 1
    except FileNotFoundError:
        raise PipelineUnreadable(f"There is no {path.name} in {path.parent}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PipelineUnreadable(f"{path.name} cannot be read as UTF-8 CSV: {error}") from error
    return rows


def _check_header(path: Path, header: Sequence[str], columns: Sequence[Column]) -> None:
    wanted = [column.name for column in columns]
    if list(header) != wanted:
        raise PipelineUnreadable(f"{path.name} has the columns {list(header)}, expected {wanted}.")


def _values(cells: Sequence[str], columns: Sequence[Column]) -> tuple[list[Any], str]:
    """The typed values of a row, and all its problems in one sentence ("" when there is none)."""
    if len(cells) != len(columns):
        return [], f"has {len(cells)} fields instead of {len(columns)}"
    values, problems = [], []
    for column, cell in zip(columns, cells, strict=True):
        try:
            values.append(column.read(cell))
        except ValueError as problem:
            problems.append(f"{column.name} {problem}")
    return values, "; ".join(problems)


def _rooted(desk: _Desk, accounts: Sequence[Account]) -> list[Account]:
    """The accounts parents first; those whose chain of parents does not end at a known account are rejected."""
    waiting = {account.name: account for account in accounts}
    placed: dict[str, Account] = {}
    while ready := [each for each in waiting.values() if not each.subsidiary_of or each.subsidiary_of in placed]:
        for account in ready:
            placed[account.name] = waiting.pop(account.name)
    for account in waiting.values():
        desk.reject("accounts.csv", account.line, _rootless(account, waiting))
    return list(placed.values())


def _rootless(account: Account, waiting: dict[str, Account]) -> str:
    chain = [account.name]
    while (parent := waiting[chain[-1]].subsidiary_of) in waiting and parent not in chain:
        chain.append(str(parent))
    if parent in chain:
        return f"subsidiary_of goes in a circle: {' > '.join([*chain, str(parent)])}"
    through = f" (through {' > '.join(chain[1:])})" if len(chain) > 1 else ""
    return f"subsidiary_of {parent!r} is no account that could be read{through}"


def _contradiction(deal: Opportunity) -> str | None:
    """Why a row cannot be true in itself."""
    told = {"close_date": deal.closed_on, "close_value": deal.value}
    if deal.closed and (missing := [name for name, value in told.items() if value is None]):
        return f"deal_stage is {deal.stage} but {' and '.join(missing)} is empty"
    if not deal.closed and (extra := [name for name, value in told.items() if value is not None]):
        return f"deal_stage is {deal.stage} but {' and '.join(extra)} is given"
    if deal.engaged_on and deal.closed_on and deal.closed_on < deal.engaged_on:
        return f"close_date {deal.closed_on} is before engage_date {deal.engaged_on}"
    for name, on, quarter in (
        ("engage", deal.engaged_on, deal.engage_quarter),
        ("close", deal.closed_on, deal.close_quarter),
    ):
        if quarter != (on and (on.year, (on.month + 2) // 3)):
            return f"{name}_quarter does not hold {name}_date {on}"
    return None


def _dangling(deal: Opportunity, accounts: set[str], agents: set[str]) -> str | None:
    """Why a row points to nothing."""
    if deal.account is not None and deal.account not in accounts:
        return f"account {deal.account!r} is no account that could be read"
    if deal.agent not in agents:
        return f"sales_agent {deal.agent!r} is nobody who could be read"
    return None
