"""SOQL text to its tree. What the grammar does not know is refused as MALFORMED_QUERY."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn, TypeVar

from accord.sandbox.salesforce.moments import read_datetime
from accord.sandbox.salesforce.refusals import malformed
from accord.sandbox.salesforce.soql.tree import (
    Aggregate,
    All,
    Among,
    AnyOf,
    Compare,
    Condition,
    FieldGroup,
    FieldItem,
    Literal,
    Not,
    Order,
    Path,
    Query,
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d{2}-\d{2}T[0-9:.]+(?:Z|[+-]\d{2}:?\d{2}))
    | (?P<date>\d{4}-\d{2}-\d{2}(?![\dT]))
    | (?P<number>[+-]?\d+(?:\.\d+)?(?![\w.]))
    | (?P<name>[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*(?::\d+)?)
    | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_FUNCTIONS = {"count", "count_distinct", "sum", "min", "max", "avg"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_LONGEST = 100_000  # characters of one statement (SOQL limits; vendor documentation, not re-checked)
_AFTER_SELECT = {"from"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "name" else ""


T = TypeVar("T")

_END = Token("end", "<EOF>")


def parse(text: str) -> Query:
    """The tree of one statement. Raises Refused MALFORMED_QUERY."""
    if len(text) > _LONGEST:
        raise malformed(f"SOQL statements cannot be longer than {_LONGEST} characters.")
    parser = _Parser(_tokens(text))
    query = parser.query()
    parser.expect_end()
    return query


def parse_condition(text: str) -> Condition:
    """The tree of a WHERE clause alone, for the org's validation rules."""
    parser = _Parser(_tokens(text))
    condition = parser.condition()
    parser.expect_end()
    return condition


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise malformed(f"unexpected token: '{text[at:].split(maxsplit=1)[0][:40]}'")
        kind = found.lastgroup or ""
        tokens.append(Token(kind, found.group(kind)))
        at = found.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def query(self) -> Query:
        self._need("select")
        select = tuple(self._list(self._select_item))
        self._need("from")
        source = self._name()
        where = self.condition() if self._took("where") else None
        group_by: tuple[Path, ...] = ()
        if self._took("group", "by"):
            group_by = tuple(self._list(self._path))
        order: tuple[Order, ...] = ()
        if self._took("order", "by"):
            order = tuple(self._list(self._order))
        limit = self._count() if self._took("limit") else None
        offset = self._count() if self._took("offset") else 0
        self._took("all", "rows")
        return Query(select, source, where, group_by, order, limit, offset)

    def condition(self) -> Condition:
        """AND and OR cannot stand side by side without parentheses, as in the real grammar."""
        parts = [self._negation()]
        word = self._peek().word
        if word not in ("and", "or"):
            return parts[0]
        while self._took(word):
            parts.append(self._negation())
        if self._peek().word in ("and", "or"):
            self._unexpected()
        return All(tuple(parts)) if word == "and" else AnyOf(tuple(parts))

    def expect_end(self) -> None:
        if self._peek() is not _END:
            self._unexpected()

    def _negation(self) -> Condition:
        if self._took("not"):
            return Not(self._negation())
        if self._took_sign("("):
            inner = self.condition()
            self._need_sign(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        path = self._path()
        if self._took("not"):
            self._need("in")
            return self._among(path, negated=True)
        if self._took("in"):
            return self._among(path, negated=False)
        if self._took("like"):
            return Compare(path, "LIKE", self._literal())
        token = self._next()
        if token.kind != "sign" or token.text in "(),":
            self._unexpected(token)
        return Compare(path, "!=" if token.text == "<>" else token.text, self._literal())

    def _among(self, path: Path, *, negated: bool) -> Condition:
        self._need_sign("(")
        values: tuple[Literal, ...] | Query
        values = self.query() if self._peek().word == "select" else tuple(self._list(self._literal))
        self._need_sign(")")
        return Among(path, values, negated)

    def _literal(self) -> Literal:
        token = self._next()
        if token.kind == "text":
            return Literal("text", _unquoted(token.text))
        if token.kind == "number":
            return Literal("number", Decimal(token.text))
        if token.kind == "date":
            return Literal("date", token.text)
        if token.kind == "datetime":
            moment = read_datetime(token.text)
            return Literal("datetime", moment) if moment else self._unexpected(token)
        if token.word in ("true", "false"):
            return Literal("boolean", token.word == "true")
        if token.word == "null":
            return Literal("null")
        return Literal("period", token.word) if token.kind == "name" else self._unexpected(token)

    def _select_item(self) -> FieldItem | Aggregate | FieldGroup | Query:
        if self._took_sign("("):
            inner = self.query()
            self._need_sign(")")
            return inner
        path = self._path()
        if self._peek().text != "(":
            return FieldItem(path, self._alias())
        return self._call(path[0].lower() if len(path) == 1 else "")

    def _call(self, function: str) -> Aggregate | FieldGroup:
        self._need_sign("(")
        if function not in _FUNCTIONS and function != "fields":
            self._unexpected()
        path: Path = () if function == "count" and self._peek().text == ")" else self._path()
        self._need_sign(")")
        if function == "fields":
            return FieldGroup(path[0].upper())
        return Aggregate(function.upper(), path, self._alias())

    def _alias(self) -> str | None:
        token = self._peek()
        if token.kind == "name" and token.word not in _AFTER_SELECT:
            self._at += 1
            return token.text
        return None

    def _order(self) -> Order:
        path = self._path()
        descending = self._took("desc")
        if not descending:
            self._took("asc")
        nulls_last = self._took("nulls", "last")
        if not nulls_last:
            self._took("nulls", "first")
        return Order(path, descending, nulls_last)

    def _count(self) -> int:
        token = self._next()
        if token.kind != "number" or not token.text.isdigit():
            self._unexpected(token)
        return int(token.text)

    def _path(self) -> Path:
        return tuple(self._name().split("."))

    def _name(self) -> str:
        token = self._next()
        if token.kind != "name" or ":" in token.text:
            self._unexpected(token)
        return token.text

    def _list(self, one: Callable[[], T]) -> list[T]:
        items = [one()]
        while self._took_sign(","):
            items.append(one())
        return items

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _took(self, *words: str) -> bool:
        coming = self._tokens[self._at : self._at + len(words)]
        if tuple(token.word for token in coming) != words:
            return False
        self._at += len(words)
        return True

    def _took_sign(self, sign: str) -> bool:
        if self._peek().kind != "sign" or self._peek().text != sign:
            return False
        self._at += 1
        return True

    def _need(self, word: str) -> None:
        if not self._took(word):
            self._unexpected()

    def _need_sign(self, sign: str) -> None:
        if not self._took_sign(sign):
            self._unexpected()

    def _unexpected(self, token: Token | None = None) -> NoReturn:
        raise malformed(f"unexpected token: '{(token or self._peek()).text}'")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), text[1:-1])
