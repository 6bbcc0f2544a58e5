"""Canonical objects to and from plain JSON values, losslessly: an amount of 0 stays, None is left out.

Money becomes `{"amount": "12.50", "currency": "EUR"}`, dates ISO text, tuples lists, nested objects dictionaries.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")
Plain = dict[str, Any]


class NotReadable(ValueError):
    """A plain value does not fit the object it should become; the message names the field."""


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def to_plain(value: Any) -> Any:
    """The JSON-ready form of a canonical object or value."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for name in _field_names(type(value)):
            item = getattr(value, name)
            if item is not None:
                plain[name] = item if type(item) in _AS_THEY_ARE else to_plain(item)
        return plain
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(cls: type[T], plain: Mapping[str, Any]) -> T:
    """The object of class `cls` that a plain mapping describes. Unknown keys are an error.

    Raises NotReadable with the path of the first field that does not fit.
    """
    read = _object_reader(cast(type, cls))
    return cast(T, read(plain, cls.__name__.lower()))


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(cls))


Reader = Callable[[Any, str], Any]


@cache
def _object_reader(cls: type) -> Reader:
    hints = typing.get_type_hints(cls)
    readers = {each.name: _reader(hints[each.name]) for each in fields(cls)}
    required = [each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING]

    def read(plain: Any, path: str) -> Any:
        if not isinstance(plain, Mapping):
            raise NotReadable(f"{path}: an object is expected")
        unknown = plain.keys() - readers.keys()
        if unknown:
            raise NotReadable(f"{path}: unknown field {min(unknown)!r}")
        values = {name: readers[name](item, f"{path}.{name}") for name, item in plain.items() if item is not None}
        for name in required:
            if name not in values:
                if type(None) in typing.get_args(hints[name]):
                    values[name] = None
                else:
                    raise NotReadable(f"{path}.{name}: missing")
        return cls(**values)

    return read


def _scalar(make: Callable[[Any], Any], kinds: tuple[type, ...]) -> Reader:
    def read(plain: Any, path: str) -> Any:
        if isinstance(plain, bool) and bool not in kinds:
            raise NotReadable(f"{path}: {plain!r} does not fit")
        if not isinstance(plain, kinds):
            raise NotReadable(f"{path}: {plain!r} does not fit")
        try:
            return make(plain)
        except (ValueError, ArithmeticError) as error:
            raise NotReadable(f"{path}: {plain!r} does not fit") from error

    return read


def _finite(plain: Any) -> Decimal:
    found = Decimal(plain)
    if not found.is_finite():
        raise ValueError("not a finite number")
    return found


_SCALARS: dict[Any, Reader] = {
    str: _scalar(str, (str,)),
    int: _scalar(int, (int,)),
    bool: _scalar(bool, (bool,)),
    Decimal: _scalar(_finite, (str, int, Decimal)),
    date: _scalar(date.fromisoformat, (str,)),
    datetime: _scalar(datetime.fromisoformat, (str,)),
    Any: lambda plain, path: plain,  # noqa: ARG005  (a reader that accepts anything needs no path)
}


@cache
def _reader(hint: Any) -> Reader:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _reader(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return _list(_reader(arguments[0]))
    if origin in (dict, Mapping) or hint is dict:
        return _scalar(dict, (Mapping,))
    if origin is typing.Literal:
        return _choice(arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _scalar(hint, (str, int))
    if is_dataclass(hint):
        return _object_reader(cast(type, hint))
    raise TypeError(f"{hint} cannot be read from plain values")


def _list(item: Reader) -> Reader:
    def read(plain: Any, path: str) -> Any:
        if not isinstance(plain, list | tuple):
            raise NotReadable(f"{path}: a list is expected")
        return tuple(item(each, f"{path}[{n}]") for n, each in enumerate(plain))

    return read


def _choice(options: tuple[Any, ...]) -> Reader:
    def read(plain: Any, path: str) -> Any:
        if plain not in options:
            raise NotReadable(f"{path}: {plain!r} is none of {', '.join(map(str, options))}")
        return plain

    return read
