"""The list of events: 30 days back, newest first."""

from __future__ import annotations

from fnmatch import fnmatchcase

from accord.sandbox.stripe.account import EVENT_LIFE_SECONDS, event_as_seen
from accord.sandbox.stripe.call import Call, Routes, listed
from accord.sandbox.stripe.refusals import invalid, not_there
from accord.sandbox.stripe.shelf import Json

MAX_TYPES = 20


def list_events(call: Call) -> Json:
    form = call.form
    oldest = call.account.now() - EVENT_LIFE_SECONDS
    event_type, types, success = form.text("type"), form.texts("types"), form.boolean("delivery_success")
    if event_type is not None and types is not None:
        raise invalid("You may only specify one of these parameters: type, types.", "types")
    if types is not None and len(types) > MAX_TYPES:
        raise invalid(f"Array too long: types can have at most {MAX_TYPES} items.", "types")
    wanted = [event_type] if event_type else types

    def where(row: Json) -> bool:
        return (
            row["created"] >= oldest
            and (wanted is None or any(fnmatchcase(row["type"], each) for each in wanted))
            and (success is None or (row["pending"] == 0 and not row["failed"]) == success)
        )

    exact = ("type", event_type) if event_type and "*" not in event_type else None
    page = listed(call, "event", where, index=exact)
    return {**page, "data": [event_as_seen(row) for row in page["data"]]}


def get_event(call: Call) -> Json:
    call.form.close()
    row = call.account.find("event", call.ids[0])
    if row["created"] < call.account.now() - EVENT_LIFE_SECONDS:
        raise not_there("event", call.ids[0])
    return event_as_seen(row)


ROUTES: Routes = {("GET", "events"): list_events, ("GET", "events/*"): get_event}
