"""A query made ready to run: its rows found and ordered, and each row written as the API writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accord.sandbox.salesforce.refusals import Refused, malformed
from accord.sandbox.salesforce.schema import Row, SObject
from accord.sandbox.salesforce.soql.filter import candidates, compiled, parent_row, resolve, sort_key
from accord.sandbox.salesforce.soql.groups import Groups
from accord.sandbox.salesforce.soql.tree import FieldGroup, FieldItem, Query

if TYPE_CHECKING:
    from accord.sandbox.salesforce.org import Org

Json = dict[str, Any]
Write = Callable[[Row, Json], None]
_LARGEST_OFFSET = 2000
_MOST_CHILD_LISTS = 20


@dataclass(frozen=True, slots=True)
class ChildList:
    """A subquery of the select list: the children of one row under the name of their relationship."""

    name: str
    inner: Prepared
    reference: str

    def rows(self, parent_id: str) -> list[Row]:
        return self.inner.rows(self.inner.org.table(self.inner.sobject.name).by(self.reference, parent_id))


class Prepared:
    """One statement over the org. `prefix` is the path before `sobjects/` in the records' URLs."""

    def __init__(self, org: Org, query: Query, sobject: SObject, prefix: str, *, deleted: bool) -> None:
        self.org = org
        self.query = query
        self.sobject = sobject
        self.prefix = prefix
        self.deleted = deleted
        self._found: dict[int, list[Any]] = {}
        self.groups = Groups(org, sobject, query) if _is_grouped(query) else None
        self.children: list[ChildList] = []
        self._writes: list[Write] = [] if self.groups else self._select()
        self._test = compiled(org, sobject, query.where, self._find) if query.where else None
        self._orders = [] if self.groups else [(resolve(org, sobject, each.path), each) for each in query.order]
        if query.offset > _LARGEST_OFFSET:
            raise Refused("NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {_LARGEST_OFFSET}")

    def rows(self, among: Iterable[Row] | None = None) -> list[Row]:
        """The matching rows in order, after OFFSET and LIMIT."""
        if among is None:
            among = candidates(self.org, self.sobject, self.query.where, self._find)
        test, deleted = self._test, self.deleted
        found = [row for row in among if (deleted or not row["IsDeleted"]) and (test is None or test(row))]
        for (get, field), order in reversed(self._orders):
            last = order.nulls_last != order.descending
            found.sort(key=lambda row: sort_key(field.key(get(row)), nulls_last=last), reverse=order.descending)
        if self.groups:
            return found
        end = None if self.query.limit is None else self.query.offset + self.query.limit
        return found[self.query.offset : end]

    def written(self, row: Row) -> Json:
        """The record as the API gives it: attributes, then the fields in the order asked for."""
        record: Json = {"attributes": self._attributes(self.sobject, row)}
        for write in self._writes:
            write(row, record)
        return record

    def _select(self) -> list[Write]:
        writes: list[Write] = []
        parents: dict[str, list[tuple[str, ...]]] = {}
        plain: list[str] = []
        for item in self.query.select:
            match item:
                case FieldItem(path) if len(path) == 1:
                    plain.append(resolve(self.org, self.sobject, path)[1].name)
                case FieldItem(path):
                    if path[0].lower() not in parents:
                        parents[path[0].lower()] = []
                        writes.append(self._parent_writer(path[0].lower(), parents[path[0].lower()]))
                    resolve(self.org, self.sobject, path)
                    parents[path[0].lower()].append(path[1:])
                case FieldGroup(which):
                    plain.extend(self._group(which))
                case Query():
                    self.children.append(self._child_list(item))
                case _:
                    raise malformed("Grouped query cannot be mixed with plain fields without GROUP BY")
        if len(self.children) > _MOST_CHILD_LISTS:
            raise malformed(f"Only {_MOST_CHILD_LISTS} child relationships are allowed")
        return [_plain_writer(plain), *writes]

    def _group(self, which: str) -> list[str]:
        if which not in ("ALL", "STANDARD", "CUSTOM") or (
            which != "STANDARD" and (self.query.limit is None or self.query.limit > 200)
        ):
            raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200")
        fields = self.sobject.fields.values()
        return [each.name for each in fields if which == "ALL" or each.custom == (which == "CUSTOM")]

    def _parent_writer(self, relationship: str, paths: list[tuple[str, ...]]) -> Write:
        """Writes `"Account": {"attributes": ..., "Name": ...}`, or null where there is no parent."""
        reference = self.sobject.parents.get(relationship)
        if reference is None:
            resolve(self.org, self.sobject, (relationship, "Id"))
            raise AssertionError("resolve refuses an unknown relationship")
        name = reference.relationship or relationship

        def write(row: Row, record: Json) -> None:
            above = parent_row(self.org, reference, row)
            record[name] = None if above is None else self._nested(above, paths)

        return write

    def _nested(self, row: Row, paths: list[tuple[str, ...]]) -> Json:
        sobject = self.org.schema.by_prefix[row["Id"][:3]]
        record: Json = {"attributes": self._attributes(sobject, row)}
        deeper: dict[str, list[tuple[str, ...]]] = {}
        for path in paths:
            if len(path) > 1:
                deeper.setdefault(path[0].lower(), []).append(path[1:])
            elif (field := sobject.find(path[0])) is not None:
                record[field.name] = row.get(field.name)
        for name, rest in deeper.items():
            reference = sobject.parents[name]
            above = parent_row(self.org, reference, row)
            record[reference.relationship or name] = None if above is None else self._nested(above, rest)
        return record

    def _child_list(self, query: Query) -> ChildList:
        found = self.sobject.children.get(query.source.lower())
        if found is None:
            words = (
                f"Didn't understand relationship '{query.source}' in FROM part of query call. If you are attempting "
            )
            words += "to use a custom relationship, be sure to append the '__r' after the custom relationship name."
            raise Refused("INVALID_TYPE", words)
        child = self.org.schema.objects[found[0]]
        inner = Prepared(self.org, query, child, self.prefix, deleted=self.deleted)
        return ChildList(query.source, inner, found[1])

    def _find(self, query: Query) -> list[Any]:
        """The values a semi-join compares with."""
        known = self._found.get(id(query))
        if known is None:
            item = query.select[0]
            if len(query.select) != 1 or not isinstance(item, FieldItem):
                raise malformed("A semi-join sub-select can select only one field")
            inner = Prepared(self.org, query, source_of(self.org, query), self.prefix, deleted=self.deleted)
            get, field = resolve(self.org, inner.sobject, item.path)
            if field.type not in ("id", "reference"):
                raise malformed("A semi-join sub-select must select an Id or a reference field")
            known = self._found[id(query)] = [value for row in inner.rows() if (value := get(row)) is not None]
        return known

    def _attributes(self, sobject: SObject, row: Row) -> Json:
        return {"type": sobject.name, "url": f"{self.prefix}/sobjects/{sobject.name}/{row['Id']}"}


def prepared(org: Org, query: Query, prefix: str, *, deleted: bool) -> Prepared:
    """The statement checked against the schema. Raises Refused INVALID_TYPE, INVALID_FIELD, MALFORMED_QUERY."""
    return Prepared(org, query, source_of(org, query), prefix, deleted=deleted)


def source_of(org: Org, query: Query) -> SObject:
    sobject = org.schema.find(query.source)
    if sobject is None:
        raise Refused("INVALID_TYPE", f"sObject type '{query.source}' is not supported. If you are attempting to use a "
                      "custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or "
                      "the describe call for the appropriate names.")  # fmt: skip
    return sobject


def _is_grouped(query: Query) -> bool:
    return bool(query.group_by) or not all(isinstance(each, FieldItem | FieldGroup | Query) for each in query.select)


def _plain_writer(names: list[str]) -> Write:
    def write(row: Row, record: Json) -> None:
        for name in names:
            record[name] = row.get(name)

    return write
