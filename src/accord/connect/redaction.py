"""Taking secrets out of text before it is logged, raised or stored. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"

# Shorter values appear by accident in ordinary text ("1", "US"); hiding them would hide the text.
_SHORTEST_SECRET = 6
# A worker that runs for months buys thousands of tokens; those of the last days are the ones that can still be seen.
_TOKENS_KEPT = 64

# Text that is a secret by its looks, whether or not we knew it: the forms the vendors of vendors.md 1 to 5 hand out.
_LOOKS_SECRET = re.compile(
    r"""
      -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)   # PEM
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?                        # JWT
    | \b(?:sk|rk|pk|whsec|test|live)_[A-Za-z0-9_]{10,}                                      # Stripe, Chargebee keys
    | \b00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{10,}                                            # Salesforce session id
    """,
    re.VERBOSE | re.DOTALL,
)
_NAMED_SECRET = re.compile(
    r"""(?P<before>
          ["']?(?:access_token|refresh_token|id_token|client_secret|client_assertion|assertion|password|api_?key
             |oauth_signature|oauth_token|oauth_consumer_key|secret)["']?\s*[=:]\s*["']?
        | \bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|oauth)?\s*
        | \b(?:bearer|basic)\s+(?=[A-Za-z0-9._~+/=-]{8})
        )(?P<value>[^\s"'&,;<>}]+)""",
    re.VERBOSE | re.IGNORECASE,
)


class Redaction:
    """The secrets of one connection. `text` is safe to show; `learn` adds what became known later (tokens)."""

    __slots__ = ("_first", "_forms", "_later")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._first = frozenset(secrets)
        self._later: deque[str] = deque(maxlen=_TOKENS_KEPT)
        self._forms = _longest_first(self._first)

    def __repr__(self) -> str:
        return f"Redaction({len(self._first) + len(self._later)} known)"

    def learn(self, *secrets: str) -> None:
        """Hide these values from now on, also percent-encoded, in JSON text and in base64."""
        unheard = [each for each in secrets if each not in self._first and each not in self._later]
        if unheard:
            self._later.extend(unheard)
            self._forms = _longest_first([*self._first, *self._later])

    def text(self, text: str) -> str:
        """The same text without any secret known or looking like one."""
        # One by one: a pattern of them all is no faster on a short text, and costs 20 ms to make for every new token.
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        text = _LOOKS_SECRET.sub(HIDDEN, text)
        return _NAMED_SECRET.sub(lambda found: found["before"] + HIDDEN, text)


def secret_values(credentials: Mapping[str, object]) -> list[str]:
    """Every text in a credentials mapping, at any depth."""
    found: list[str] = []
    for value in credentials.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, Mapping):
            found.extend(secret_values(value))
        elif isinstance(value, list | tuple):
            found.extend(secret_values(dict(enumerate(value))))  # type: ignore[arg-type]
    return found


def _longest_first(secrets: Iterable[str]) -> list[str]:
    return sorted({form for secret in secrets for form in _forms(secret)}, key=lambda form: (-len(form), form))


def _forms(secret: str) -> set[str]:
    """The ways a secret can appear in a URL, a JSON text or a Basic header; a PEM also line by line."""
    pieces = [secret, *(secret.splitlines() if "\n" in secret else ())]
    forms: set[str] = set()
    for piece in (each.strip() for each in pieces):
        if len(piece) >= _SHORTEST_SECRET and not piece.startswith("-----"):
            forms |= {piece, quote(piece, safe=""), quote_plus(piece), json.dumps(piece)[1:-1]}
            forms.add(base64.b64encode(piece.encode()).decode().rstrip("="))
    return forms
