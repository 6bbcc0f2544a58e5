"""From a vendor's record of work to entries of the ledger, or to what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from accord.connect.connector import Observed
from accord.ledger.bindings import Binding, Bindings
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.told_work import DRAFT, EXPENSE, TIME_ENTRY
from accord.model.work import WorkEntry, WorkKind, WorkProblem, WorkStatus

KINDS: Mapping[str, WorkKind] = {TIME_ENTRY: WorkKind.TIME, EXPENSE: WorkKind.EXPENSE}
CURES = {
    "record_unreadable": "Correct the record at its source; it is taken when it is told anew.",
    "project_missing": "Say at the source which project it was for, or that it is not billable.",
    "project_not_bound": "Say in the reference list time_project which engagement and legal entity {given} is.",
    "legal_entity_unclear": "Say on the record which legal entity it is for, or bind its project in time_project.",
    "missing_at_source": "Find out whether it was deleted there. Delete it there by hand, or restore it.",
    "id_given_again": "The system was refreshed or replaced: connect it under a new name, and correct these by hand.",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a batch may belong to: projects and deals by the vendor's id, and the reference list of the source.

    A deal says its engagement and the legal entities that have a project in it.
    """

    source: str
    projects: Mapping[str, Binding] = field(default_factory=dict)
    deals: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    listed: Bindings = field(default_factory=Bindings)


@dataclass(slots=True)
class Built:
    """What one record comes to. `wants` names what would bind what is not bound: `project/7`, `time_project/7`."""

    entries: list[WorkEntry] = field(default_factory=list)
    problems: list[WorkProblem] = field(default_factory=list)
    wants: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Unit:
    """One line with what its record says around it."""

    told: Observed
    line: Mapping[str, Any]
    prefix: str

    @property
    def number(self) -> Any:
        return self.line.get("number")

    @property
    def place(self) -> str:
        return place_of(self.told, self.number)

    @property
    def hours(self) -> Decimal | None:
        given = self.line.get("quantity")
        return Decimal(given) if given is not None and self.told.kind == TIME_ENTRY else None

    @property
    def names(self) -> list[str]:
        """What the vendor calls the project, the id first."""
        given = (self.line.get("project"), self.line.get("project_number"))
        return [str(each) for each in dict.fromkeys(given) if each]

    def link(self, name: str) -> str | None:
        found = self.told.links.get(f"{self.prefix}{name}")
        return None if found is None else found[1]

    def problem(self, reason: str, message: str, **given: str) -> WorkProblem:
        said = {name: str(value) for name, value in {**self.told.body, **self.line}.items() if _is_plain(value)}
        return WorkProblem(reason, message, self.place, CURES[reason].format(**given), self.hours, said)


def place_of(told: Observed, number: Any = None) -> str:
    """How problems and explanations call a record, or a line of it."""
    record = f"{told.body.get('record') or told.kind} {told.vendor_id}"
    return record if number is None else f"{record} line {number}"


def build(told: Observed, reach: Reach, known: Collection[str]) -> Built:
    """The entries and problems of one record. `known` are the ids of entries it had before: of those, what is no work
    any more is told as recalled, and what is bound no more leaves its engagement."""
    built = Built()
    for unit in _units(told):
        _build_one(unit, reach, known, built)
    return built


def _units(told: Observed) -> Iterator[_Unit]:
    lines = told.body.get("lines")
    if lines is None:
        yield _Unit(told, told.body, "")
        return
    for n, line in enumerate(lines):
        yield _Unit(told, line, f"lines[{n}].")


def _build_one(unit: _Unit, reach: Reach, known: Collection[str], built: Built) -> None:
    id = _id(unit, reach.source)
    status = str(unit.told.body.get("status") or "")
    if status == DRAFT:
        if id not in known:
            return
        status = WorkStatus.RECALLED.value
    wrong = _wrong(unit, status)
    if wrong:
        built.problems.append(unit.problem("record_unreadable", wrong))
        return
    binding = _bound(unit, reach, built)
    if binding is None and id not in known and not _is_for_nobody(unit):
        return
    built.entries.append(_entry(unit, id, reach.source, WorkStatus(status), binding))


def _id(unit: _Unit, source: str) -> str:
    parts = (source, unit.told.kind, unit.told.vendor_id)
    return canonical_id("work", *parts, *(() if unit.number is None else (str(unit.number),)))


def _wrong(unit: _Unit, status: str) -> str:
    """Why the unit cannot be used, as far as its own fields say."""
    others = [each for each in unit.told.problems if not each.startswith("lines[")]
    found = [*others, *(each for each in unit.told.problems if unit.prefix and each.startswith(unit.prefix))]
    needs = {"status": status, "worked_on": unit.line.get("worked_on")}
    needs["quantity" if unit.told.kind == TIME_ENTRY else "cost"] = unit.line.get(
        "quantity" if unit.told.kind == TIME_ENTRY else "cost"
    )
    lacking = [f"{name} is missing" for name, value in needs.items() if value in (None, "")]
    return "; ".join(found or lacking)


def _is_for_nobody(unit: _Unit) -> bool:
    """Work for no project that nobody pays is the firm's own: it is taken without an engagement, and rightly so."""
    linked = unit.link("project_id") or unit.link("deal_id")
    return not (unit.names or linked or unit.line.get("billable", True))


def _bound(unit: _Unit, reach: Reach, built: Built) -> Binding | None:
    """What the unit belongs to: as the list says, else the project or deal that Accord knows in that system."""
    day = date.fromisoformat(unit.line["worked_on"])
    for name in unit.names:
        if (listed := reach.listed.of(name, day)) is not None:
            return listed
    project, deal = unit.link("project_id"), unit.link("deal_id")
    if project is not None and project in reach.projects:
        return reach.projects[project]
    if deal is not None and deal in reach.deals:
        engagement, entities = reach.deals[deal]
        own = unit.line.get("legal_entity") or (entities[0] if len(entities) == 1 else None)
        if own is not None:
            return Binding(engagement, str(own))
        words = f"The engagement {engagement} has projects in {', '.join(entities) or 'no legal entity'}."
        built.problems.append(unit.problem("legal_entity_unclear", words))
    elif unit.names or project or deal:
        name = unit.names[0] if unit.names else str(project or deal)
        words = f"Nobody has said which engagement the project {' '.join(unit.names) or name} is."
        built.problems.append(unit.problem("project_not_bound", words, given=f"{reach.source}/{name}"))
    elif unit.line.get("billable", True):
        built.problems.append(unit.problem("project_missing", "It is billable, and for no project."))
    built.wants |= {f"time_project/{name}" for name in unit.names}
    # Links that lead somewhere by now did not help, and will not by waiting.
    built.wants |= {f"project/{each}" for each in (project,) if each}
    built.wants |= {f"deal/{each}" for each in (deal,) if each and not reach.deals.get(each, ("", ()))[1]}
    return None


def _entry(unit: _Unit, id: str, source: str, status: WorkStatus, binding: Binding | None) -> WorkEntry:
    line, head, kind = unit.line, unit.told.body, KINDS[unit.told.kind]
    return WorkEntry(
        id=id,
        revision=1,
        kind=kind,
        source=source,
        source_key=unit.place,
        status=status,
        worked_on=date.fromisoformat(line["worked_on"]),
        quantity=Decimal(line["quantity"]) if kind is WorkKind.TIME else Decimal(1),
        engagement_id=None if binding is None else binding.engagement_id,
        legal_entity=None if binding is None else binding.legal_entity,
        worker=head.get("worker"),
        worker_entity=head.get("worker_entity"),
        role=line.get("role"),
        task=line.get("task"),
        unit="h" if kind is WorkKind.TIME else "item",
        category=line.get("category"),
        cost=_money(line.get("cost")) if kind is WorkKind.EXPENSE else None,
        tax_included=_money(line.get("tax_included")) if kind is WorkKind.EXPENSE else None,
        receipt=line.get("receipt"),
        billable=bool(line.get("billable", True)),
        note=line.get("note"),
        approver=head.get("approver"),
        submitted_at=head.get("submitted_at"),
        approved_at=head.get("approved_at"),
        recorded_as=f"{source}: {unit.place}, as of {unit.told.version}",
    )


def _money(given: Any) -> Money | None:
    return None if given is None else Money.of(Decimal(given["amount"]), given["currency"])


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, list | tuple)
