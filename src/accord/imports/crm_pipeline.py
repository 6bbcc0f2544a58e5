"""Loads a CRM pipeline into Salesforce, from where Accord takes it over like any other change of sales.

What stands there already is read first, so that a second load writes nothing, and a record that a person has changed
since is kept as it is. Accounts go before what belongs to them, contracts are activated before their deals are won.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, TypeVar

from accord.imports.pipeline_files import Pipeline, Rejection, levels
from accord.imports.pipeline_records import (
    KEY,
    Defaults,
    Wanted,
    account_record,
    contract_records,
    opportunity_records,
    user_records,
)
from accord.imports.salesforce_client import MOST, Result

T = TypeVar("T")
LANES = 4  # calls at a time; no two of them touch the same account, whose row each write below it locks
ROUNDS = 5
# Refusals of one record that pass by themselves: its parent is locked, or another upsert of the same key came first.
PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "DUPLICATE_VALUE", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG"})
USERS_ASKED = 100  # names in one query, well below the length a request line may have


class Crm(Protocol):
    """Any Salesforce, see `salesforce_client`."""

    async def query(self, soql: str) -> list[dict[str, Any]]: ...
    async def create(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> list[Result]: ...
    async def upsert(
        self, object_name: str, external_id_field: str, records: Sequence[Mapping[str, Any]]
    ) -> list[Result]: ...


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did. `counts` by object: created, updated, unchanged, kept (a person changed it since the load; the
    file says otherwise) and rejected. `rejections` are rows of the files, those Salesforce refused at the end."""

    rejections: tuple[Rejection, ...]
    counts: Mapping[str, Mapping[str, int]]


def _untold(_done: int) -> None:
    """Nobody wants to know how far it is."""


async def load(
    crm: Crm,
    pipeline: Pipeline,
    *,
    defaults: Defaults | None = None,
    overwrite: bool = False,
    at_once: int = LANES,
    on_progress: Callable[[int], object] = _untold,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> LoadReport:
    """Make Salesforce hold the pipeline. `on_progress` is told how many opportunities are done.

    `at_once` calls are under way at a time; with one, a fresh org gives the same records the same ids.
    `overwrite` replaces also what a person has changed in Salesforce since the load. Raises CallRefused or
    Unavailable when Salesforce refuses a whole call; what was written by then stays and is not written again.
    """
    loading = _Loading(crm, wait, overwrite=overwrite, at_once=at_once)
    given = defaults or Defaults()
    owners = await loading.users(pipeline, given)
    await loading.accounts(pipeline)
    await loading.contracts(contract_records(pipeline, given))
    await loading.opportunities(opportunity_records(pipeline, given, owners), on_progress)
    return LoadReport(
        (*pipeline.rejections, *loading.rejections),
        {name: dict(counts) for name, counts in loading.counts.items()},
    )


class _Loading:
    """One load under way."""

    def __init__(self, crm: Crm, wait: Callable[[float], Awaitable[None]], *, overwrite: bool, at_once: int) -> None:
        self._crm = crm
        self._wait = wait
        self._overwrite = overwrite
        self._at_once = at_once
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.rejections: list[Rejection] = []

    async def users(self, pipeline: Pipeline, defaults: Defaults) -> dict[str, str]:
        """User ids by agent, of those who own a deal. A user who is there is left alone; one Salesforce will not
        create is told, and the deals stay with the loading user."""
        owning = {deal.agent for deal in pipeline.opportunities}
        wanted = user_records((agent for agent in pipeline.agents if agent.name in owning), defaults)
        known: dict[str, str] = {}
        for names in _chunks([each.key for each in wanted.values()], USERS_ASKED):
            listed = ", ".join(f"'{name}'" for name in names)
            rows = await self._crm.query(f"SELECT Id, Username FROM User WHERE Username IN ({listed})")
            known |= {row["Username"].casefold(): row["Id"] for row in rows}
        self.counts["User"]["unchanged"] = len(known)
        missing = [each for each in wanted.values() if each.key not in known]
        for chunk in _chunks(missing, MOST):
            results = await self._crm.create("User", [{"Username": each.key, **each.fields} for each in chunk])
            for each, result in zip(chunk, results, strict=True):
                self._note("User", each, result)
                if result.id and not result.errors:
                    known[each.key] = result.id
        return {agent: known[each.key] for agent, each in wanted.items() if each.key in known}

    async def accounts(self, pipeline: Pipeline) -> None:
        """Parents first: a record can only name a parent that is there."""
        wanted = [[account_record(account) for account in level] for level in levels(pipeline.accounts)]
        there = await self._there("Account", [each for level in wanted for each in level])
        for level in wanted:
            await self._write("Account", self._plan("Account", level, there))

    async def contracts(self, wanted: Sequence[Wanted]) -> None:
        """Salesforce makes a contract as a draft only, and activates it by a second write."""
        there = await self._there("Contract", wanted)
        bare = [
            _with(each, {name: value for name, value in each.fields.items() if name != "Status"}) for each in wanted
        ]
        drafts = [
            each if each.key.casefold() in there else _with(each, {**each.fields, "Status": "Draft"})
            for each in self._plan("Contract", bare, there)
        ]
        written = await self._write("Contract", drafts)
        created = {key for key, result in written.items() if result.created and not result.errors}
        await self._write(
            "Contract",
            [
                _with(each, {"Status": each.fields["Status"]})
                for each in wanted
                if each.key in created or self._left_as_draft(there.get(each.key.casefold()), each)
            ],
            counted=False,
        )

    async def opportunities(self, wanted: Sequence[Wanted], on_progress: Callable[[int], object]) -> None:
        writes = self._plan("Opportunity", wanted, await self._there("Opportunity", wanted))
        done = 0

        def told(more: int) -> None:
            nonlocal done
            done += more
            on_progress(done)

        told(len(wanted) - len(writes))
        await self._write("Opportunity", writes, told)

    def _left_as_draft(self, there: Mapping[str, Any] | None, wanted: Wanted) -> bool:
        """An earlier load ended between the draft and its activation."""
        if there is None or there["Status"] != "Draft" or wanted.fields["Status"] == "Draft":
            return False
        return self._overwrite or not _touched(there)

    async def _there(self, object_name: str, wanted: Iterable[Wanted]) -> dict[str, dict[str, Any]]:
        """What Salesforce holds of this object by casefolded key, with the fields we would write."""
        names = {name: None for each in wanted for name in _columns(each.fields)}
        fields = ", ".join(["Id", KEY, "CreatedById", "LastModifiedById", *names])
        rows = await self._crm.query(f"SELECT {fields} FROM {object_name} WHERE {KEY} != null") if names else []
        return {row[KEY].casefold(): row for row in rows}

    def _plan(self, object_name: str, wanted: Iterable[Wanted], there: dict[str, dict[str, Any]]) -> list[Wanted]:
        """What is to be written of these, given what stands there."""
        writes, counts = [], self.counts[object_name]
        for each in wanted:
            held = there.get(each.key.casefold())
            changes = each.fields if held is None else _changes(each.fields, held)
            if not changes:
                counts["unchanged"] += 1
            elif held is not None and _touched(held) and not self._overwrite:
                counts["kept"] += 1
            else:
                writes.append(_with(each, changes))
        return writes

    async def _write(
        self,
        object_name: str,
        wanted: Sequence[Wanted],
        told: Callable[[int], object] = _untold,
        *,
        counted: bool = True,
    ) -> dict[str, Result]:
        """Upsert all of them, those with a passing refusal again; the last result of each by key."""
        results: dict[str, Result] = {}
        left = list(wanted)
        for round_ in range(ROUNDS):
            if not left:
                break
            if round_:
                await self._wait(0.5 * 2**round_)
            results |= await self._lanes(object_name, left, told)
            left = [each for each in left if _passing(results[each.key])]
        told(len(left))
        for each in wanted:
            self._note(object_name, each, results[each.key], counted=counted)
        return results

    async def _lanes(
        self, object_name: str, wanted: Sequence[Wanted], told: Callable[[int], object]
    ) -> dict[str, Result]:
        try:
            async with asyncio.TaskGroup() as group:
                parts = lanes(wanted, self._at_once)
                tasks = [group.create_task(self._lane(object_name, lane, told)) for lane in parts]
        except ExceptionGroup as failed:
            # What ended one lane ended them all, and is what the caller can understand.
            raise failed.exceptions[0] from failed
        return {key: result for task in tasks for key, result in task.result().items()}

    async def _lane(
        self, object_name: str, wanted: Sequence[Wanted], told: Callable[[int], object]
    ) -> dict[str, Result]:
        results: dict[str, Result] = {}
        for chunk in _chunks(wanted, MOST):
            records = [{KEY: each.key, **each.fields} for each in chunk]
            answers = await self._crm.upsert(object_name, KEY, records)
            results |= {each.key: result for each, result in zip(chunk, answers, strict=True)}
            told(sum(not _passing(result) for result in answers))
        return results

    def _note(self, object_name: str, wanted: Wanted, result: Result, *, counted: bool = True) -> None:
        if result.errors:
            self.counts[object_name]["rejected"] += 1
            said = "; ".join(f"{code}: {message}" for code, message in result.errors)
            self.rejections.append(Rejection(wanted.file, wanted.line, f"Salesforce refused the {object_name}: {said}"))
        elif counted:
            created = result.created or object_name == "User"
            self.counts[object_name]["created" if created else "updated"] += 1


def lanes(wanted: Sequence[Wanted], most: int) -> list[list[Wanted]]:
    """At most `most` lists of about one size; records of one `lane` stay together, in their order."""
    groups: dict[str, list[Wanted]] = defaultdict(list)
    for each in wanted:
        groups[each.lane].append(each)
    filled: list[list[Wanted]] = [[] for _ in range(min(most, len(groups)))]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(filled, key=len).extend(group)
    return filled


def _passing(result: Result) -> bool:
    return any(code in PASSING for code, _ in result.errors)


def _touched(held: Mapping[str, Any]) -> bool:
    """Whether somebody else than who created the record has changed it last."""
    return bool(held["LastModifiedById"] != held["CreatedById"])


def _with(wanted: Wanted, fields: Mapping[str, Any]) -> Wanted:
    return Wanted(wanted.key, fields, wanted.file, wanted.line, wanted.lane)


def _columns(fields: Mapping[str, Any]) -> list[str]:
    """The columns a query needs to compare these fields; a parent is compared by its key."""
    return [f"{name}.{KEY}" if isinstance(value, Mapping) else name for name, value in fields.items()]


def _changes(fields: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if not _same(value, held.get(name))}


def _same(wanted: Any, held: Any) -> bool:
    if isinstance(wanted, Mapping):
        return held is not None and bool(str(wanted[KEY]).casefold() == str(held[KEY]).casefold())
    if isinstance(wanted, int | Decimal) and held is not None:
        try:
            return Decimal(str(held)) == wanted
        except InvalidOperation:
            return False
    return bool(wanted == held)


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
