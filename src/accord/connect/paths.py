"""Addresses with their ids taken out, so that metrics have few labels and no customer's id is in them. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

_VERSION = re.compile(r"v\d+(\.\d+)*", re.IGNORECASE)
# An id is anything a person would not put into a path by hand: digits in it, a colon, or a very long word.
_ID = re.compile(r".*[\d:@=,%].*|.{33,}", re.DOTALL)


def path_template(url: str) -> str:
    """`/v1/invoices/in_1PaQ2` becomes `/v1/invoices/{id}`; the query is dropped, versions stay."""
    return _template(urlsplit(url).path)


@lru_cache(maxsize=4096)
def _template(path: str) -> str:
    return "/".join(_word(unquote(segment)) for segment in path.split("/")) or "/"


def _word(segment: str) -> str:
    if not segment or _VERSION.fullmatch(segment) or segment in _WORDS_WITH_DIGITS:
        return segment
    return "{id}" if _ID.fullmatch(segment) else segment


# Fixed words of the vendors' paths that carry a digit (vendors.md 1.2, 2.4).
_WORDS_WITH_DIGITS = frozenset({"oauth2", "oauth1"})
