"""A firm's own field names over ours: `fields: {"deal": {"delivery_region": "Region__c"}}` in the settings."""

from __future__ import annotations

import json
from functools import lru_cache

from accord.connect.mapping import Mapping
from accord.connect.session import Session


def named(session: Session, mapping: Mapping) -> Mapping:
    """The mapping with the connection's names. Raises MappingInvalid for names that fit no field."""
    own = (session.config.get("fields") or {}).get(mapping.kind)
    return mapping if not own else _renamed(mapping, json.dumps(own, sort_keys=True))


@lru_cache(maxsize=64)
def _renamed(mapping: Mapping, names: str) -> Mapping:
    return mapping.with_names(json.loads(names))
