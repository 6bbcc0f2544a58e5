"""What happened in one simulated run, in order: enough to compare two runs byte for byte and to tell a person."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable


class History:
    """Every happening with its virtual moment; the digest covers all of them, `last` keeps the latest for people."""

    def __init__(self, moment: Callable[[], float], keep: int = 400) -> None:
        self._moment = moment
        self._digest = hashlib.sha256()
        self.last: deque[str] = deque(maxlen=keep)
        self.count = 0

    def note(self, what: str, *about: object) -> None:
        line = f"{self._moment():12.4f} {what} {' '.join(map(str, about))}".rstrip()
        self._digest.update(line.encode())
        self._digest.update(b"\n")
        self.last.append(line)
        self.count += 1

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
