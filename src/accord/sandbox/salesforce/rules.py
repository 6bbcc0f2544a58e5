"""The org's own rules and troubles: validation rules, duplicate rules, locked rows, upsert races."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accord.sandbox.salesforce.org import Org, Writer
from accord.sandbox.salesforce.refusals import Refused
from accord.sandbox.salesforce.schema import Row, SObject


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A record for which `broken` is true is refused with `message`."""

    object: str
    name: str
    broken: Callable[[Row], bool]
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """A new record that agrees with a live one in all `fields`; `block` cannot be waved through by a header."""

    object: str
    name: str
    fields: tuple[str, ...]
    block: bool = False


@dataclass(slots=True)
class Lock:
    """A row held by somebody: `busy` for a number of tries or until a moment, `approval` until it is unlocked."""

    kind: str
    times: int | None = None
    until: datetime | None = None


class Rules:
    """Asked before every write. Raises Refused."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.validation: list[ValidationRule] = []
        self.duplicates: list[DuplicateRule] = []
        self.locks: dict[str, Lock] = {}
        self.races: Counter[str] = Counter()  # object -> upserts that will lose a race

    def take_race(self, sobject: str) -> bool:
        if self.races[sobject] < 1:
            return False
        self.races[sobject] -= 1
        return True

    def check_locks(self, sobject: SObject, row: Row, changes: Row) -> None:
        """A write locks its row and the rows it refers to, as the platform does."""
        if not self.locks:
            return
        references = [name for name, field in sobject.fields.items() if field.type == "reference"]
        touched = [row.get("Id"), *({**row, **changes}.get(name) for name in references)]
        for row_id in touched:
            lock = self.locks.get(row_id) if row_id else None
            if lock is None:
                continue
            if lock.kind == "approval" and row_id == row.get("Id"):
                raise Refused("ENTITY_IS_LOCKED", "the entity is locked for editing", [])
            if lock.kind == "busy" and self._held(str(row_id), lock):
                words = f"unable to obtain exclusive access to this record or 1 records: {str(row_id)[:15]}"
                raise Refused("UNABLE_TO_LOCK_ROW", words, [])

    def check(self, sobject: SObject, row: Row, changes: Row, writer: Writer) -> None:
        after = {**row, **changes}
        for rule in self.validation:
            if rule.object == sobject.name and rule.broken(after):
                fields = [rule.field] if rule.field else []
                raise Refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, fields)
        if not row:
            self._check_duplicates(sobject, after, writer)

    def _check_duplicates(self, sobject: SObject, after: Row, writer: Writer) -> None:
        for rule in self.duplicates:
            if rule.object != sobject.name or (writer.allow_duplicates and not rule.block):
                continue
            twin = self._twin(rule, sobject, after)
            if twin is not None:
                result = {
                    "allowSave": not rule.block,
                    "duplicateRule": rule.name,
                    "duplicateRuleEntityType": sobject.name,
                    "errorMessage": "Use one of these records?",
                    "matchResults": [
                        {
                            "entityType": sobject.name,
                            "matchEngine": "FuzzyMatchEngine",
                            "matchRecords": [{"record": {"attributes": {"type": sobject.name}, "Id": twin["Id"]}}],
                            "success": True,
                        }
                    ],
                }
                raise Refused("DUPLICATES_DETECTED", "Use one of these records?", None, duplicateResult=result)

    def _twin(self, rule: DuplicateRule, sobject: SObject, after: Row) -> Row | None:
        def look(row: Row) -> list[object]:
            return [sobject.fields[name].key(row.get(name)) for name in rule.fields]

        mine = look(after)
        if None in mine:
            return None
        table = self.org.table(sobject.name)
        keyed = next((name for name in rule.fields if table.is_keyed(name)), None)
        rows = table.by(keyed, after[keyed]) if keyed else table.live()
        return next((row for row in rows if not row["IsDeleted"] and look(row) == mine), None)

    def _held(self, row_id: str, lock: Lock) -> bool:
        if lock.until is not None and self.org.clock.now() >= lock.until:
            del self.locks[row_id]
            return False
        if lock.times is not None:
            lock.times -= 1
            if lock.times < 1:
                del self.locks[row_id]
        return True
