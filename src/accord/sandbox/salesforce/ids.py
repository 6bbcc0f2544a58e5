"""Record ids as Salesforce makes them: the object's key prefix, a counter in base 62, three characters of checksum."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase, ascii_uppercase, digits

_BASE62 = digits + ascii_uppercase + ascii_lowercase
_CHECKSUM = ascii_uppercase + "012345"
_INSTANCE = "Hu0"  # two characters for the instance and one in reserve, the same for the whole org


def id18(id15: str) -> str:
    """The 18-character form, safe where upper and lower case are confused: each of the last three characters tells
    which of five characters are upper case."""
    tail = ""
    for start in (0, 5, 10):
        bits = sum(1 << n for n, letter in enumerate(id15[start : start + 5]) if letter in ascii_uppercase)
        tail += _CHECKSUM[bits]
    return id15 + tail


def normal_id(text: str) -> str | None:
    """The 18-character id that `text` means (15 characters are accepted too); None when it is not an id."""
    if not (text.isascii() and text.isalnum()):
        return None
    if len(text) == 15:
        return id18(text)
    return text if len(text) == 18 and id18(text[:15]) == text else None


class IdSequence:
    """New ids, one counter per key prefix, the start drawn from the seed."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next: dict[str, int] = {}

    def new(self, prefix: str) -> str:
        number = self._next.get(prefix)
        if number is None:
            number = self._random.randrange(62**5, 62**6)
        self._next[prefix] = number + 1
        text = ""
        for _ in range(9):
            number, digit = divmod(number, 62)
            text = _BASE62[digit] + text
        return id18(f"{prefix}{_INSTANCE}{text}")
