"""What a vendor answered to one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accord.connect.failures import AnswerUnreadable
from accord.connect.wire import NotJson, read_foreign


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, whatever its status. Header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """The vendor says the work is done (2xx)."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The JSON value of the body, numbers with a point as Decimal; None for an empty body.

        Raises AnswerUnreadable (an AnswerLost): the status alone does not prove what was done.
        """
        if not self.body:
            return None
        try:
            return read_foreign(self.body)
        except NotJson as error:
            raise AnswerUnreadable(f"the answer {self.status} is unreadable: {error}") from None

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")
