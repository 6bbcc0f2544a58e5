"""A field of an object: its type, what it accepts, how a value is stored and written.

Stored values: text, bool, int, Decimal for numbers, `YYYY-MM-DD` for days, the vendor's own text for moments,
18-character ids for references.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from accord.sandbox.salesforce.ids import normal_id
from accord.sandbox.salesforce.moments import read_date, read_datetime
from accord.sandbox.salesforce.refusals import Refused, unreadable

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TEXT_TYPES = frozenset({"string", "textarea", "picklist", "phone", "url", "email"})
NUMBER_TYPES = frozenset({"currency", "double", "percent", "int"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `type` is one of string textarea picklist phone url email currency double percent int boolean date
    datetime reference id; `relationship` the name of the parent in SOQL, `children` of the child list on the parent."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 255
    precision: int = 18
    scale: int = 2
    required: bool = False
    createable: bool = True
    updateable: bool = True
    external_id: bool = False
    unique: bool = False
    indexed: bool = False
    case_sensitive: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    refers_to: tuple[str, ...] = ()
    relationship: str | None = None
    children: str | None = None
    cascade: bool = False  # deleting the parent deletes the child; otherwise the reference is cleared
    default: Any = None

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @property
    def is_keyed(self) -> bool:
        """Whether rows can be found by this field without a scan."""
        return self.external_id or self.unique or self.indexed or self.type == "reference"

    def key(self, value: Any) -> Any:
        """What a value is found and compared by: Salesforce ignores case in text, not in ids."""
        if isinstance(value, str) and not self.case_sensitive and self.type in TEXT_TYPES:
            return value.casefold()
        return value

    def accept(self, value: Any) -> Any:
        """The stored form of a value a client sent. Raises Refused as the vendor would."""
        if value is None or value == "":
            return False if self.type == "boolean" else None
        return _ACCEPT[self.type](self, value)


def _misfit(field: Field, kind: str, value: Any) -> Refused:
    token = "VALUE_STRING" if isinstance(value, str) else "START_OBJECT" if isinstance(value, dict) else "VALUE_NUMBER"
    return unreadable(
        f"Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a required "
        f"field at [line:1, column:1] ({field.name})"
    )


def _text(field: Field, value: Any) -> str | None:
    if not isinstance(value, str):
        raise _misfit(field, "string", value)
    text = value.strip()
    if len(text) > field.length:
        words = f"{field.label}: data value too large: {text[:80]} (max length={field.length})"
        raise Refused("STRING_TOO_LONG", words, [field.name])
    if text and field.type == "email" and not _EMAIL.fullmatch(text):
        raise Refused("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}", [field.name])
    return text or None


def _picklist(field: Field, value: Any) -> str | None:
    text = _text(field, value)
    if text is None or not field.restricted:
        return text
    for each in field.values:
        if each.casefold() == text.casefold():
            return each
    words = f"{field.label}: bad value for restricted picklist field: {text}"
    raise Refused("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", words, [field.name])


def _number(field: Field, value: Any) -> Decimal | int:
    """A number, rounded half up to the field's scale as the vendor does without a word."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _misfit(field, field.type, value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise _misfit(field, field.type, value) from None
    scale = 0 if field.type == "int" else field.scale
    if not number.is_finite() or abs(number) >= Decimal(10) ** (field.precision - scale):
        words = f"{field.label}: value outside of valid range on numeric field: {value}"
        raise Refused("NUMBER_OUTSIDE_VALID_RANGE", words, [field.name])
    if field.type == "int":
        if number != number.to_integral_value():
            raise _misfit(field, "int", value)
        return int(number)
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


def _flag(field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _misfit(field, "boolean", value)


def _day(field: Field, value: Any) -> str:
    day = read_date(value) if isinstance(value, str) else None
    if day is None:
        raise _misfit(field, "date", value)
    return day


def _moment(field: Field, value: Any) -> str:
    at = read_datetime(value) if isinstance(value, str) else None
    if at is None:
        raise _misfit(field, "datetime", value)
    return at


def _reference(field: Field, value: Any) -> str:
    found = normal_id(value) if isinstance(value, str) else None
    if found is None:
        raise Refused("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", [field.name])
    return found


_ACCEPT: dict[str, Callable[[Field, Any], Any]] = {
    **dict.fromkeys(TEXT_TYPES - {"picklist"}, _text),
    "picklist": _picklist,
    **dict.fromkeys(NUMBER_TYPES, _number),
    "boolean": _flag,
    "date": _day,
    "datetime": _moment,
    "reference": _reference,
    "id": _reference,
}


def written_number(value: Decimal) -> str:
    """A number as the API writes it: a double in Java's way, so 1054 is `1054.0` and ten million is `1.0E7`."""
    if not value:
        return "0.0"
    digits = value.normalize()
    exponent = digits.adjusted()
    if -3 <= exponent < 7:
        text = format(digits, "f")
        return text if "." in text else f"{text}.0"
    mantissa = format(digits.scaleb(-exponent), "f")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{exponent}"
