"""Writing records as the platform does: what a client sent is checked field by field, then against the rules of the
org, and only then applied. A refusal leaves the record untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.sandbox.salesforce.derivations import derive
from accord.sandbox.salesforce.fields import Field
from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.org import Org, Writer
from accord.sandbox.salesforce.refusals import Refused, no_such_column
from accord.sandbox.salesforce.rules import Rules
from accord.sandbox.salesforce.schema import Row, SObject

_IGNORED = frozenset({"attributes"})


class Records:
    """Create, update, upsert, delete, undelete."""

    def __init__(self, org: Org, rules: Rules) -> None:
        self.org = org
        self.rules = rules

    def create(self, sobject: SObject, given: Mapping[str, Any], writer: Writer) -> str:
        """The id of a new record. Raises Refused."""
        if sobject.readonly:
            words = f"entity type cannot be inserted: {sobject.label}"
            raise Refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words, [])
        values = self._accepted(sobject, given, creating=True)
        for field in sobject.fields.values():
            if field.default is not None and values.get(field.name) is None:
                values[field.name] = field.default
        if "OwnerId" in sobject.fields and not values.get("OwnerId"):
            values["OwnerId"] = writer.user_id
        self._need(sobject, values)
        values |= derive(self.org, sobject, values, {})
        self._check(sobject, {}, values, writer)
        return str(self.org.insert_row(sobject, values, writer)["Id"])

    def update(self, sobject: SObject, row_id: str, given: Mapping[str, Any], writer: Writer) -> None:
        """Change some fields of a record. Raises Refused."""
        row = self.org.existing(sobject, row_id)
        values = self._accepted(sobject, given, creating=False)
        changes = {name: value for name, value in values.items() if row.get(name) != value}
        self._need(sobject, {**row, **changes})
        changes |= derive(self.org, sobject, changes, row)
        self._check(sobject, row, changes, writer)
        # A save without any change still counts as one: the platform stamps the record again.
        self.org.change_row(sobject, row, changes, writer)

    def upsert(
        self, sobject: SObject, key: str, value: Any, given: Mapping[str, Any], writer: Writer
    ) -> tuple[str, bool]:
        """(id, created) of the record with this external id. Raises Refused, 300 when there are several."""
        field = self.key_field(sobject, key)
        for name in given:
            if name.lower() == "id" and field.name != "Id":
                raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE",
                              "The Id field should not be specified in the sobject data.", ["Id"])  # fmt: skip
        found = self.by_key(sobject, field, value)
        if found is not None:
            rest = {name: item for name, item in given.items() if name != field.name}
            self.update(sobject, found["Id"], rest, writer)
            return found["Id"], False
        if field.name == "Id":
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        new_id = self.create(sobject, {**given, field.name: value}, writer)
        if self.rules.take_race(sobject.name):
            # Another client's upsert of the same key came first: its record stays, ours is refused (vendors.md 0.9).
            self.org.commit()
            raise _duplicate(field, new_id)
        return new_id, True

    def delete(self, sobject: SObject, row_id: str, writer: Writer, together: str | None = None) -> None:
        """Into the recycle bin, with the children that belong to it; other references are cleared."""
        row = self.org.existing(sobject, row_id)
        self.rules.check_locks(sobject, row, {})
        self.org.change_row(sobject, row, {"IsDeleted": True, "_bin": together or row_id}, writer, "DELETE")
        for child in self.org.schema.objects.values():
            for field in child.fields.values():
                if sobject.name in field.refers_to and field.updateable and field.relationship:
                    self._let_go(child, field, row_id, writer, together or row_id)

    def undelete(self, sobject: SObject, row_id: str, writer: Writer) -> None:
        """Out of the recycle bin, with what went in with it. Raises Refused."""
        row = self.org.table(sobject.name).get(row_id)
        if row is None or not row["IsDeleted"] or row.get("MasterRecordId"):
            raise Refused("UNDELETE_FAILED", "Entity is not in the recycle bin", [])
        together = row["_bin"]
        for table in self.org.tables.values():
            for each in table.since(row["SystemModstamp"]):
                if each["IsDeleted"] and each.get("_bin") == together:
                    self.org.change_row(table.sobject, each, {"IsDeleted": False, "_bin": None}, writer, "UNDELETE")

    def key_field(self, sobject: SObject, name: str) -> Field:
        """The field an upsert goes by. Raises Refused: 404 NOT_FOUND when it is no external id (vendors.md 1.3)."""
        field = sobject.find(name)
        if field is None or not (field.external_id or field.name == "Id"):
            words = f"Provided external ID field does not exist or is not accessible: {name}"
            raise Refused("NOT_FOUND", words, status=404)
        return field

    def by_key(self, sobject: SObject, field: Field, value: Any) -> Row | None:
        """The live record with this key. Raises Refused: 300 for several."""
        if field.name == "Id":
            found_id = normal_id(str(value))
            return self.org.existing(sobject, found_id) if found_id else None
        rows = self.live_by(sobject, field, field.accept(value))
        if len(rows) > 1:
            raise Refused("300", "", status=300, rows=[row["Id"] for row in rows])
        return rows[0] if rows else None

    def live_by(self, sobject: SObject, field: Field, value: Any) -> list[Row]:
        if value is None:
            return []
        return [row for row in self.org.table(sobject.name).by(field.name, value) if not row["IsDeleted"]]

    def _let_go(self, child: SObject, field: Field, parent_id: str, writer: Writer, together: str) -> None:
        for row in self.live_by(child, field, parent_id):
            if field.cascade:
                self.delete(child, row["Id"], writer, together)
            else:
                self.org.change_row(child, row, {field.name: None}, writer)

    def _accepted(self, sobject: SObject, given: Mapping[str, Any], *, creating: bool) -> Row:
        values: Row = {}
        denied: list[str] = []
        for name, value in given.items():
            if name in _IGNORED:
                continue
            field = sobject.find(name)
            if isinstance(value, Mapping) and (parent := sobject.parents.get(name.lower())) is not None:
                values[parent.name] = self._by_relationship(parent, value)
            elif field is None:
                raise no_such_column(name, sobject.name)
            elif not (field.createable if creating else field.updateable):
                denied.append(field.name)
            else:
                values[field.name] = field.accept(value)
        if denied:
            words = f"Unable to create/update fields: {', '.join(denied)}. Please check the security settings of this "
            words += "field and verify that it is read/write for your profile or permission set."
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", words, denied)
        return values

    def _by_relationship(self, field: Field, given: Mapping[str, Any]) -> str:
        """`"Account": {"Legacy_Id__c": "A-1"}` in place of AccountId. Raises Refused."""
        keys = {name: value for name, value in given.items() if name not in _IGNORED}
        if len(keys) != 1:
            words = f"More than 1 field provided in an external foreign key reference in entity: {field.refers_to[0]}"
            raise Refused("INVALID_FIELD", words)
        ((name, value),) = keys.items()
        parent = self.org.schema.objects[field.refers_to[0]]
        key = parent.find(name)
        if key is None or not (key.external_id or key.indexed):
            raise Refused("INVALID_FIELD", f"{name} is not an External ID or indexed field for {parent.name}")
        rows = self.live_by(parent, key, key.accept(value))
        if len(rows) != 1:
            what = "not found" if not rows else "is not unique"
            words = f"Foreign key external ID: {value} {what} for field {key.name} in entity {parent.name}"
            raise Refused("INVALID_FIELD", words)
        return str(rows[0]["Id"])

    def _need(self, sobject: SObject, values: Mapping[str, Any]) -> None:
        missing = [each.name for each in sobject.required if values.get(each.name) is None]
        if missing:
            words = f"Required fields are missing: [{', '.join(missing)}]"
            raise Refused("REQUIRED_FIELD_MISSING", words, missing)

    def _check(self, sobject: SObject, row: Row, changes: Row, writer: Writer) -> None:
        self._check_references(sobject, changes)
        self._check_unique(sobject, row, changes)
        self.rules.check_locks(sobject, row, changes)
        self.rules.check(sobject, row, changes, writer)

    def _check_references(self, sobject: SObject, changes: Row) -> None:
        for name, value in changes.items():
            field = sobject.fields.get(name)
            if field is None or field.type != "reference" or value is None:
                continue
            found = self.org.find(value)
            if found is None:
                raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [name])
            if found[0].name not in field.refers_to:
                raise Refused("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", [name])
            if found[1]["IsDeleted"]:
                raise Refused("ENTITY_IS_DELETED", "entity is deleted", [name])
            if name == "OwnerId" and not found[1].get("IsActive"):
                words = f"operation performed with inactive user [{value}] as owner of {sobject.label.lower()}"
                raise Refused("INACTIVE_OWNER_OR_USER", words, [name])

    def _check_unique(self, sobject: SObject, row: Row, changes: Row) -> None:
        for name, value in changes.items():
            field = sobject.fields.get(name)
            if field is not None and field.unique and value is not None:
                others = [each for each in self.live_by(sobject, field, value) if each is not row]
                if others:
                    raise _duplicate(field, others[0]["Id"])


def _duplicate(field: Field, row_id: str) -> Refused:
    words = f"duplicate value found: {field.name} duplicates value on record with id: {row_id[:15]}"
    return Refused("DUPLICATE_VALUE", words, [])
