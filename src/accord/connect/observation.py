"""From a vendor's record to an observation, by its mapping. Pure."""

from __future__ import annotations

from collections.abc import Mapping as Record
from datetime import datetime
from typing import Any

from accord.connect.connector import Observed
from accord.connect.mapping import Mapping

# An index entry has at most 2,704 bytes, a character at most four; no vendor's own ids have a tenth of that.
LONGEST_ID = 500


def is_id(value: object) -> bool:
    """Whether this can be kept as what a vendor, or we, call an object."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()


def observed(
    mapping: Mapping,
    record: Record[str, Any],
    *,
    version: str | None = None,
    deleted: bool = False,
    modified_by: str | None = None,
    observed_at: datetime | None = None,
) -> Observed:
    """One object as the vendor holds it now, with every problem of its record as text.

    Raises KeyError for a record without the vendor's id: that is no object.
    """
    vendor_id = mapping.vendor_id(record)
    if vendor_id is None:
        raise KeyError(f"a {mapping.label} without its id")
    body, links, problems = mapping.read(record)
    return Observed(
        kind=mapping.kind,
        vendor_id=vendor_id,
        version=mapping.version_of(record) if version is None else version,
        body=body,
        canonical_id=mapping.canonical_id(record),
        links=links,
        deleted=deleted,
        problems=tuple(map(str, problems)),
        modified_by=modified_by,
        observed_at=observed_at,
    )
