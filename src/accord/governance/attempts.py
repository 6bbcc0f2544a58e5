"""How many wrong keys an address may try. A key has 256 random bits, so nobody guesses one; what the limit saves is the
look into the database that every guess would cost.

Who holds a key that was right a moment ago is not stopped by somebody else's guesses from the same address (a proxy's).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from accord.errors import AccordError
from accord.governance.keys import digest

K = TypeVar("K")
V = TypeVar("V")
_ADDRESSES = 10_000  # remembered; who was silent longest is forgotten first
_KEYS = 10_000
_TRUSTED_SECONDS = 600.0


class TooManyAttempts(AccordError):
    """Too many wrong keys came from this address; wait a minute."""

    http_status = 429
    title = "Too many requests"


class Attempts:
    """`clock` gives seconds. Call `check` before a key is looked up, then `right` or `wrong` with what it gave."""

    def __init__(self, clock: Callable[[], float], per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._right: OrderedDict[bytes, float] = OrderedDict()

    def check(self, address: str, key: str) -> int:
        """How many attempts of this address it took: none for a key that was right lately. Raises TooManyAttempts.

        Taken before the key is looked up, so that those under way at once count too.
        """
        if self._right.get(digest(key), float("-inf")) > self._clock() - _TRUSTED_SECONDS:
            return 0
        if self._tokens(address) < 1:
            raise TooManyAttempts("too many wrong keys came from this address; wait a minute and send the right one")
        self._add(address, -1)
        return 1

    def wrong(self, address: str, key: str, taken: int) -> None:
        """One attempt of this address is used up, and the key is right no more."""
        self._right.pop(digest(key), None)
        self._add(address, taken - 1)

    def right(self, address: str, key: str, taken: int) -> None:
        """This key was right just now: the address has its attempt back."""
        found = digest(key)
        self._right[found] = self._clock()
        _newest(self._right, found, _KEYS)
        self._add(address, taken)

    def _add(self, address: str, tokens: int) -> None:
        if tokens:
            self._left[address] = (self._tokens(address) + tokens, self._clock())
            _newest(self._left, address, _ADDRESSES)

    def _tokens(self, address: str) -> float:
        left, at = self._left.get(address, (float(self._per_minute), self._clock()))
        return min(float(self._per_minute), left + (self._clock() - at) * self._per_minute / 60)


def _newest(kept: OrderedDict[K, V], key: K, most: int) -> None:
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
