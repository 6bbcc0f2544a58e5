"""JSON as the database holds it. An amount never passes through a binary float.

A number with a fraction comes out of PostgreSQL as Decimal; a Decimal goes in as a string of its plain digits, because
a JSON number would be read as a float by others.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
from psycopg import AsyncConnection, Connection
from psycopg.types.json import JsonbBinaryDumper, JsonbDumper, set_json_dumps, set_json_loads


def loads(text: str | bytes) -> Any:
    """Parse JSON; a number with a fraction or exponent becomes Decimal, with the digits it was written with."""
    return json.loads(text, parse_float=Decimal)


def dumps(value: Any) -> bytes:
    """Write JSON; dates, UUIDs and dataclasses by their plain form. Raises TypeError for what has none."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


class _ObjectDumper(JsonbDumper):
    _dumps = staticmethod(dumps)


class _ObjectBinaryDumper(JsonbBinaryDumper):
    _dumps = staticmethod(dumps)


def adopt(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """Make a connection read and write JSON this way, and take a dict as jsonb."""
    set_json_loads(loads, connection)
    set_json_dumps(dumps, connection)
    connection.adapters.register_dumper(dict, _ObjectDumper)
    connection.adapters.register_dumper(dict, _ObjectBinaryDumper)
