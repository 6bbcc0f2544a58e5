"""Exact bodies: JSON whose decimals never pass through a float, and forms in bracket notation. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

# A literal longer than this is somebody's exponent, not an amount: 1E+1000000 would write a megabyte of zeros.
_LONGEST_PLAIN_EXPONENT = 64
_LONGEST_INT = 18  # digits that always fit 64 bits, whatever the sign
_LONG_INT = re.compile("[0-9]{19}")
# Answers are nested six or seven deep; what records them copies and writes them level by level.
_DEEPEST = 100
_NO_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[^][{}"]+', re.DOTALL)
# PostgreSQL keeps no NUL in text, and a lone surrogate is no text in any encoding; in UTF-8 both come only escaped.
_ESCAPED_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotJson(ValueError):
    """The body is not JSON; see what answered, it may be a proxy or a login page."""


class NotWritable(TypeError):
    """This value has no exact JSON form; give a Decimal for an amount and text for a date."""


def read_json(body: bytes) -> Any:
    """The value of a JSON body; numbers with a point or an exponent become Decimal, the others int. Raises NotJson.

    What comes out can be reckoned with: no number has an exponent beyond 64, and whole numbers beyond 64 bits are
    Decimal. Only UTF-8 is read (RFC 8259, 8.1), and nothing that is nested
    more than a hundred deep.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotJson(f"{len(body)} bytes that are not UTF-8") from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise NotJson(f"{len(body)} bytes nested more than {_DEEPEST} deep")
    whole = _whole if _LONG_INT.search(text) else int  # int itself is what the parser is quick with
    try:
        return json.loads(text, parse_float=_decimal, parse_int=whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise NotJson(f"{len(body)} bytes that are not JSON: {type(error).__name__}") from None


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _NO_BRACKET.sub("", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def read_foreign(body: bytes) -> Any:
    """What a vendor wrote, as `read_json` reads it, with the replacement character for what no database keeps in text:
    a vendor's error text must not stop what records it. Raises NotJson."""
    value = read_json(body)
    return _storable(value) if _ESCAPED_UNSTORABLE.search(body) else value


def write_json(value: Any) -> bytes:
    """The JSON of mappings, sequences, text, whole numbers, flags, None and Decimal, 12.50 staying 12.50.

    Raises NotWritable for a float, a date and anything else that has no exact form.
    """
    return "".join(_parts(value)).encode()


def write_form(form: Mapping[str, Any]) -> bytes:
    """Nested mappings and lists as `a[b][0][c]=v`, the notation Stripe reads (vendors.md 4).

    None is left out, as Stripe's own client does; empty text unsets a value at the vendor.
    Raises NotWritable as write_json does.
    """
    return urlencode(list(_form_pairs(form)), safe="[]").encode()


def write_query(query: Iterable[tuple[str, Any]] | Mapping[str, Any]) -> str:
    """A query string; pairs keep their order and repeats, a space is `%20`, nested values use brackets."""
    pairs = query.items() if isinstance(query, Mapping) else query
    flat = [pair for name, value in pairs for pair in _form_value(str(name), value)]
    return urlencode(flat, quote_via=quote, safe="")


def plain_number(value: Decimal) -> str:
    """The literal of a finite Decimal without an exponent. Raises NotWritable for infinity and NaN."""
    if not value.is_finite():
        raise NotWritable(f"{value} is not a finite number")
    return str(value) if abs(value.adjusted()) > _LONGEST_PLAIN_EXPONENT else format(value, "f")


def _decimal(literal: str) -> Decimal:
    value = Decimal(literal)
    if abs(value.adjusted()) > _LONGEST_PLAIN_EXPONENT:
        # int() of 1E+1000000000 alone would take all memory there is.
        raise NotJson(f"{literal[:20]} is no number anybody means")
    return value


def _whole(literal: str) -> int | Decimal:
    return int(literal) if len(literal.lstrip("-")) <= _LONGEST_INT else _decimal(literal)


def _storable(value: Any) -> Any:
    """The same value, NUL and halves of surrogate pairs replaced."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield encode_basestring_ascii(value)
    elif value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int):
        yield int.__repr__(value)
    elif isinstance(value, Decimal):
        yield plain_number(value)
    elif isinstance(value, Mapping):
        yield from _object_parts(value)
    elif isinstance(value, list | tuple):
        yield from _list_parts(value)
    else:
        raise NotWritable(f"{type(value).__name__} has no exact JSON form")


def _object_parts(value: Mapping[Any, Any]) -> Iterator[str]:
    before = "{"
    for name, item in value.items():
        if not isinstance(name, str):
            raise NotWritable(f"{name!r} is not a text key")
        yield f"{before}{encode_basestring_ascii(name)}:"
        yield from _parts(item)
        before = ","
    yield "}" if before == "," else "{}"


def _list_parts(value: Sequence[Any]) -> Iterator[str]:
    before = "["
    for item in value:
        yield before
        yield from _parts(item)
        before = ","
    yield "]" if before == "," else "[]"


def _form_pairs(form: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in form.items():
        yield from _form_value(str(name), value)


def _form_value(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _form_value(f"{name}[{inner}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _form_value(f"{name}[{index}]", item)
    elif value is not None:
        yield name, _form_text(value)


def _form_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, Decimal):
        return plain_number(value)
    kind = "a date" if isinstance(value, date) else type(value).__name__
    raise NotWritable(f"{kind} has no exact form; write it as text")
