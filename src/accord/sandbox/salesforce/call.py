"""One call to the REST API as its handlers see it, and what they reply. Parts of a composite are calls as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from json import JSONDecodeError, dumps, loads
from typing import Any

import orjson

from accord.sandbox.salesforce.fields import written_number
from accord.sandbox.salesforce.org import Writer
from accord.sandbox.salesforce.refusals import Refused, unreadable


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body before it is written; `body` None is an empty body, `bytes` go out as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """`parts` is the path behind `/services/data/vNN.0/`, split; `prefix` what stands before it."""

    method: str
    version: float
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    writer: Writer
    body: Any = None  # bytes of a request, or the value of a part of a composite

    @property
    def prefix(self) -> str:
        return f"/services/data/v{self.version:.1f}"

    def json(self) -> Any:
        """The JSON value of the body, numbers exact. Raises Refused JSON_PARSER_ERROR."""
        if not isinstance(self.body, bytes):
            return self.body
        try:
            value = loads(self.body or b"", parse_float=Decimal)
            if b"\\ud" in self.body.lower():
                dumps(value, ensure_ascii=False, default=str).encode()  # half a surrogate pair is no text
            return value
        except (JSONDecodeError, UnicodeError, RecursionError) as error:
            raise unreadable(f"Unexpected character in the body: {error}") from None

    def record(self) -> dict[str, Any]:
        """The body as one object. Raises Refused."""
        value = self.json()
        if not isinstance(value, dict):
            raise unreadable("The HTTP entity body is required to be one object, but this request has another value")
        return value

    def text(self) -> str:
        return self.body.decode("utf-8", "replace") if isinstance(self.body, bytes) else ""


def listed(body: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """A list member of a body. Raises Refused when it is missing or longer than the vendor takes."""
    items = body.get(name)
    if not isinstance(items, list):
        raise unreadable(f"Missing required list: {name}")
    if not items:
        raise Refused("INVALID_INPUT", f"{name}: the list is empty")
    if len(items) > most:
        raise Refused("LIMIT_EXCEEDED", f"{name}: the maximum allowed in one call is {most}, not {len(items)}")
    return items


def write_json(value: Any) -> bytes:
    """JSON as the API writes it: numbers are Java doubles, and nothing passes through a float."""
    return orjson.dumps(value, default=_double)


def _double(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(written_number(value))
    raise TypeError(f"{type(value).__name__} is not written to JSON")
