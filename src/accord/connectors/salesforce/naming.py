"""A firm's own field names over ours: `fields: {"deal": {"delivery_region": "Region__c"}}` in the settings."""

from __future__ import annotations

import json

from accord.connect.mapping import Mapping
from accord.connect.session import Session


def named(session: Session, mapping: Mapping) -> Mapping:
    """The mapping with the connection's names. Raises MappingInvalid for names that fit no field."""
    own = (session.config.get("fields") or {}).get(mapping.kind)
    return mapping if not own else _renamed(mapping, json.dumps(own, sort_keys=True))


def _renamed(mapping: Mapping, names: str) -> Mapping:
    known = _KNOWN.get((mapping.name, names))
    if known is None:
        known = _KNOWN[mapping.name, names] = mapping.with_names(json.loads(names))
    return known


_KNOWN: dict[tuple[str, str], Mapping] = {}  # as many as there are connections with names of their own
