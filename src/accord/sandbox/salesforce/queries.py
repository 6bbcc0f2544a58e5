"""`query` and `queryAll`: results in pages behind a cursor that does not live for ever (vendors.md 1.4)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from accord.sandbox.salesforce.call import Call, Reply
from accord.sandbox.salesforce.org import Org
from accord.sandbox.salesforce.refusals import Refused
from accord.sandbox.salesforce.schema import Row
from accord.sandbox.salesforce.soql.parser import parse
from accord.sandbox.salesforce.soql.select import ChildList, Prepared, prepared

Json = dict[str, Any]
PAGE = 2000
_SMALLEST_PAGE = 200


@dataclass(slots=True)
class Cursor:
    """An open result: the rows found when the query ran, written when they are fetched."""

    prepared: Prepared
    rows: list[Row]
    page: int


class Queries:
    """Cursors of the org. The oldest is lost when too many are open (10 a user at the vendor, here a setting)."""

    def __init__(self, org: Org, open_cursors: int = 10) -> None:
        self.org = org
        self.open_cursors = open_cursors
        self.smallest_page = _SMALLEST_PAGE
        self.page = PAGE
        self._cursors: OrderedDict[str, Cursor] = OrderedDict()

    def lose_cursors(self) -> int:
        lost = len(self._cursors)
        self._cursors.clear()
        return lost

    def run(self, text: str, prefix: str, *, deleted: bool = False) -> tuple[Prepared, list[Row]]:
        """The statement and the rows it finds, without pages."""
        ready = prepared(self.org, parse(text), prefix, deleted=deleted)
        return ready, ready.rows()

    def first_page(self, call: Call, *, deleted: bool) -> Reply:
        """`GET query?q=` or `queryAll?q=`."""
        text = call.query.get("q")
        if not text:
            raise Refused("MALFORMED_QUERY", "A query string has to be specified")
        ready, rows = self.run(text, call.prefix, deleted=deleted)
        if ready.query.counts_only:
            return Reply(200, {"totalSize": len(rows), "done": True, "records": []})
        if ready.groups:
            records = ready.groups.records(rows)
            return Reply(200, {"totalSize": len(records), "done": True, "records": records})
        cursor = Cursor(ready, rows, self._page_size(call))
        return Reply(200, self._page(cursor, 0, None))

    def next_page(self, locator: str) -> Reply:
        """`GET query/<cursor>-<offset>`. Raises Refused INVALID_QUERY_LOCATOR when the cursor is gone."""
        name, _, place = locator.partition("-")
        cursor = self._cursors.get(name)
        if cursor is None or not place.isdigit() or int(place) > len(cursor.rows):
            raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
        self._cursors.move_to_end(name)
        return Reply(200, self._page(cursor, int(place), name))

    def _page(self, cursor: Cursor, start: int, name: str | None) -> Json:
        """Records from `start` on. Rows of child lists fill the page as parents do."""
        records: list[Json] = []
        filled = 0
        for row in cursor.rows[start:]:
            if filled >= cursor.page:
                break
            record = cursor.prepared.written(row)
            filled += 1
            for each in cursor.prepared.children:
                filled += self._write_children(cursor, each, row, record)
            records.append(record)
        end = start + len(records)
        answer: Json = {"totalSize": len(cursor.rows), "done": end >= len(cursor.rows)}
        if not answer["done"]:
            name = name or self._keep(cursor)
            answer["nextRecordsUrl"] = f"{cursor.prepared.prefix}/query/{name}-{end}"
        answer["records"] = records
        return answer

    def _write_children(self, cursor: Cursor, each: ChildList, row: Row, record: Json) -> int:
        """The child list of one record: null when empty, with pages of its own when long."""
        rows = each.rows(row["Id"])
        if rows:
            inner = Cursor(each.inner, rows, cursor.page)
            record[each.name] = self._page(inner, 0, None)
        else:
            record[each.name] = None
        return min(len(rows), cursor.page)

    def _keep(self, cursor: Cursor) -> str:
        name = self.org.ids.new("01g")
        self._cursors[name] = cursor
        while len(self._cursors) > self.open_cursors:
            self._cursors.popitem(last=False)
        return name

    def _page_size(self, call: Call) -> int:
        """`Sforce-Query-Options: batchSize=N`, 200 to 2000."""
        for option in call.headers.get("sforce-query-options", "").split(","):
            name, _, value = option.strip().partition("=")
            if name.lower() == "batchsize" and value.isdigit():
                return max(self.smallest_page, min(self.page, int(value)))
        return self.page
