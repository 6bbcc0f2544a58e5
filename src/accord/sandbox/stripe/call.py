"""One API call as a handler sees it, and the parts all handlers share: reading one object, listing many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.form import Form
from accord.sandbox.stripe.refusals import invalid, not_there
from accord.sandbox.stripe.shelf import Json

PAGE_LIMIT, PAGE_DEFAULT = 100, 10


@dataclass(frozen=True, slots=True)
class Call:
    """`ids` are the variable parts of the address, in order; `path` is `/v1/...`."""

    account: Account
    form: Form
    ids: tuple[str, ...]
    path: str

    def found(self, kind: str) -> Json:
        """The object the address names; a deleted customer or product is shown as deleted."""
        self.form.close()
        if self.account.deleted.get(self.ids[0]) == kind and kind in ("customer", "product"):
            return {"id": self.ids[0], "object": kind, "deleted": True}
        return self.account.find(kind, self.ids[0])


Handler = Callable[[Call], Json]
Routes = dict[tuple[str, str], Handler]
Where = Callable[[Json], bool]


def list_object(url: str, data: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def listed(call: Call, kind: str, *wheres: Where | None, index: tuple[str, Any] | None = None) -> Json:
    """One page of a kind, newest first, as Stripe pages: limit, starting_after, ending_before, has_more."""
    form, shelf = call.form, call.account.shelf(kind)
    limit = page_limit(form)
    after, before = form.text("starting_after"), form.text("ending_before")
    created = between(form, "created")
    form.close()
    if after and before:
        raise invalid("You can only specify one of these parameters: starting_after, ending_before.")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and shelf.get(cursor) is None:
            raise not_there(shelf.label, cursor, name)
    tests = [test for test in (created, *wheres) if test is not None]
    where = (lambda row: all(test(row) for test in tests)) if tests else None
    rows, more = shelf.page(limit=limit, after=after, before=before, where=where, index=index)
    return list_object(call.path, rows, has_more=more)


def page_limit(form: Form) -> int:
    limit = form.integer("limit")
    if limit is None:
        return PAGE_DEFAULT
    if not 1 <= limit <= PAGE_LIMIT:
        raise invalid(f"This value must be between 1 and {PAGE_LIMIT}.", "limit", "parameter_invalid_integer")
    return limit


def between(form: Form, key: str) -> Where | None:
    """A time filter: `created=1` or `created[gt|gte|lt|lte]=1`."""
    value = form.raw(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        at = form.integer(key)
        return lambda row: row.get(key) == at
    bounds = form.inside(key)
    assert bounds is not None  # a dictionary was given
    gt, gte, lt, lte = (bounds.integer(name) for name in ("gt", "gte", "lt", "lte"))

    def inside(row: Json) -> bool:
        at = row.get(key)
        if at is None:
            return False
        return not (
            (gt is not None and at <= gt)
            or (gte is not None and at < gte)
            or (lt is not None and at >= lt)
            or (lte is not None and at > lte)
        )

    return inside


def equal(form: Form, key: str) -> Where | None:
    """A filter on one field, when the parameter was sent."""
    value = form.text(key)
    return None if value is None else lambda row: row.get(key) == value


def flag(form: Form, key: str) -> Where | None:
    value = form.boolean(key)
    return None if value is None else lambda row: row.get(key) == value


def searched(call: Call, kind: str) -> Json:
    """A search page: `page`/`next_page` instead of ids, over an index that lags behind."""
    form = call.form
    query, limit, page = form.required("query"), page_limit(form), form.text("page")
    form.close()
    start = 0
    if page is not None:
        if not page.isdigit():
            raise invalid("Invalid page token.", "page")
        start = int(page)
    rows = call.account.search.find(kind, query)
    more = len(rows) > start + limit
    return {
        "object": "search_result",
        "data": rows[start : start + limit],
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "url": call.path,
    }


def by(form: Form, field: str) -> tuple[str, str] | None:
    """The index to page through, when the parameter of that name was sent."""
    value = form.text(field)
    return None if value is None else (field, value)
