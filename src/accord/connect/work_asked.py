"""Which kinds of work a connection is asked to read: the setting `work`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def work_asked(config: Mapping[str, Any]) -> dict[str, str | None]:
    """The kinds, each with the vendor's object where the setting names one: `time_entry,expense` on the command line,
    `["time_entry"]` or `{"time_entry": "pse__Timecard__c"}` in a file."""
    given = config.get("work") or ()
    if isinstance(given, Mapping):
        return {str(kind): None if name is None else str(name) for kind, name in given.items()}
    names = given.split(",") if isinstance(given, str) else given
    return {str(each).strip(): None for each in names}
