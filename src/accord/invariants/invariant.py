"""What an invariant is: a promise in words, and a question to the database whose every row is a violation."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class Invariant:
    """`query` gives rows (subject text, what text, amount numeric): one a violation, none when the promise is kept.

    It may use `%(since)s`, a moment before which nothing large has to be looked through again. `when` says whether
    the promise holds after every commit ("always") or once the system has come to rest ("settled").
    """

    name: str
    says: str
    query: str
    when: Literal["always", "settled"] = "always"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: what it is about, what is wrong, and the money it concerns if it is known."""

    invariant: str
    subject: str
    what: str
    amount: Decimal | None = None
