"""Stripe's request parameters: form encoding with brackets, read by name and type, everything unread
refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from accord.sandbox.stripe.refusals import Refused, invalid

Pairs = Sequence[tuple[str, str]]
_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_STEP = re.compile(r"\[([^\[\]]*)\]")
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500  # docs.stripe.com api/metadata
MAX_INTEGER = 99_999_999_999


def decoded(body: bytes) -> Pairs:
    """The pairs of a form-encoded body. Raises Refused when it is not UTF-8."""
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise invalid("Invalid request: the body is not valid UTF-8.") from error


def nested(pairs: Pairs) -> dict[str, Any]:
    """`a[b][0]=x` as `{"a": {"b": {"0": "x"}}}`; `[]` counts up. Lists stay dictionaries until they are
    read."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        if "[" not in name:
            root[name] = value
            continue
        match = _NAME.match(name)
        steps = [match[1], *_STEP.findall(match[2])] if match else [name]
        _place(root, steps, value)
    return root


def _place(root: dict[str, Any], steps: list[str], value: str) -> None:
    at = root
    for step in steps[:-1]:
        below = at.setdefault(step or str(len(at)), {})
        if not isinstance(below, dict):
            raise invalid(f"Invalid object: {steps[0]} is given both as a value and as a hash.", steps[0])
        at = below
    at[steps[-1] or str(len(at))] = value


class Form:
    """The parameters of one request, or one hash inside them. `close()` refuses what nobody read."""

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path
        self._read: set[str] = set()
        self._inner: list[Form] = []

    def name(self, key: str) -> str:
        return f"{self._path}[{key}]" if self._path else key

    def given(self, key: str) -> bool:
        """Whether the parameter was sent at all; an empty one asks to unset the field."""
        return key in self._values

    def raw(self, key: str) -> Any:
        self._read.add(key)
        return self._values.get(key)

    def text(self, key: str, *, limit: int = 5000) -> str | None:
        value = self.raw(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {key}", self.name(key))
        if len(value) > limit:
            raise invalid(f"Invalid string: must be at most {limit} characters", self.name(key))
        return value

    def required(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            if self.given(key):
                raise invalid(
                    f"You passed an empty string for '{self.name(key)}'.",
                    self.name(key),
                    "parameter_invalid_empty",
                )
            raise self.missing(key)
        return value

    def missing(self, key: str) -> Refused:
        name = self.name(key)
        return invalid(f"Missing required param: {name}.", name, "parameter_missing")

    def integer(self, key: str, *, low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> int | None:
        value = self.text(key)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise invalid(f"Invalid integer: {value}", self.name(key), "parameter_invalid_integer")
        if not low <= int(value) <= high:
            raise invalid(f"This value must be between {low} and {high}.", self.name(key), "parameter_invalid_integer")
        return int(value)

    def decimal(self, key: str) -> Decimal | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation as error:
            raise invalid(f"Invalid decimal: {value}", self.name(key)) from error
        if not number.is_finite():
            raise invalid(f"Invalid decimal: {value}", self.name(key))
        return number

    def boolean(self, key: str) -> bool | None:
        value = self.text(key)
        if value is None:
            return None
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", self.name(key))
        return value == "true"

    def choice(self, key: str, options: Iterable[str]) -> str | None:
        value = self.text(key)
        allowed = list(options)
        if value is None or value in allowed:
            return value
        raise invalid(f"Invalid {key}: must be one of {', '.join(allowed)}", self.name(key))

    def inside(self, key: str) -> Form | None:
        value = self.raw(key)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise invalid("Invalid object", self.name(key))
        return self._inner_form(value, self.name(key))

    def hashes(self, key: str) -> list[Form] | None:
        """The hashes of a list parameter, in order; None when it was not sent, [] when sent empty."""
        found = self._items(key)
        if found is None:
            return None
        for index, item in found:
            if not isinstance(item, dict):
                raise invalid("Invalid object", f"{self.name(key)}[{index}]")
        return [self._inner_form(item, f"{self.name(key)}[{index}]") for index, item in found]

    def texts(self, key: str) -> list[str] | None:
        found = self._items(key)
        if found is None:
            return None
        for index, item in found:
            if not isinstance(item, str):
                raise invalid("Invalid string", f"{self.name(key)}[{index}]")
        return [item for _, item in found]

    def _items(self, key: str) -> list[tuple[str, Any]] | None:
        value = self.raw(key)
        if value is None:
            return None
        if value == "":
            return []
        if not isinstance(value, dict) or not all(index.isdigit() for index in value):
            raise invalid("Invalid array", self.name(key))
        return sorted(value.items(), key=lambda item: int(item[0]))

    def metadata(self, before: dict[str, str] | None = None, key: str = "metadata") -> dict[str, str]:
        """The metadata after this request: keys are merged, an empty value removes one, an empty hash all."""
        value = self.raw(key)
        if value is None:
            return before or {}
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", self.name(key))
        merged = dict(before or {})
        for name, text in value.items():
            self._check_metadata(name, text, key)
            if text == "":
                merged.pop(name, None)
            else:
                merged[name] = text
        if len(merged) > METADATA_KEYS:
            raise invalid(f"Metadata can have up to {METADATA_KEYS} keys.", self.name(key))
        return merged

    def _check_metadata(self, name: str, text: Any, key: str) -> None:
        where = f"{self.name(key)}[{name}]"
        if not isinstance(text, str):
            raise invalid("Metadata values must be strings.", where)
        if len(name) > METADATA_KEY_LENGTH:
            raise invalid(f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters.", where)
        if len(text) > METADATA_VALUE_LENGTH:
            raise invalid(f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters.", where)

    def set_aside(self, *keys: str) -> None:
        """Parameters Stripe knows and that change nothing a client of this simulator can see."""
        self._read.update(keys)

    def not_simulated(self, *keys: str) -> None:
        """Parameters Stripe knows whose effect is not simulated: refused rather than ignored."""
        for key in keys:
            if self.given(key):
                raise invalid(f"The sandbox does not simulate the parameter {self.name(key)}.", self.name(key))

    def close(self) -> None:
        """Refuse parameters nobody read, as Stripe does."""
        for key in self._values:
            if key not in self._read:
                name = self.name(key)
                raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
        for form in self._inner:
            form.close()

    def _inner_form(self, values: dict[str, Any], path: str) -> Form:
        form = Form(values, path)
        self._inner.append(form)
        return form
