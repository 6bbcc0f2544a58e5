"""Who owns a failure, and what makes two failures the same kind. Pure."""

from __future__ import annotations

import re
from typing import Any

from accord.model.money import Money
from accord.model.problem import Problem

_OWNERS = {
    "customer": "customer master",
    "project": "PMO",
    "task": "PMO",
    "handover": "sales operations",
    "customer_status": "sales operations",
    "notice": "sales operations",
}
_VARIABLE = re.compile(r"[A-Z]{3}-[A-Z2-7]{16}|\b[0-9a-zA-Z]*\d[0-9a-zA-Z]*\b|'[^']*'|\"[^\"]*\"")


def effect_owner(kind: str) -> str:
    """The role that owns a refused write of this kind."""
    return _OWNERS.get(kind, "finance")


def signature(connection: str | None, reason: str, problems: tuple[Problem, ...]) -> str:
    """What failures of one cause have in common: system, codes, fields, and the message without its variable parts."""
    parts = sorted({f"{each.code}|{each.field}|{_VARIABLE.sub('*', each.message)}" for each in problems})
    return f"{connection or '-'}|{reason}|" + ";".join(parts)


def case_row(
    *,
    id: int,
    reason: str,
    title: str,
    problems: tuple[Problem, ...],
    owner: str,
    money: Money | None = None,
    amount: Any = None,
    currency: str | None = None,
    process_id: int | None = None,
    effect_id: int | None = None,
    inbox_id: int | None = None,
    connection: str | None = None,
    subject: str | None = None,
    correlation: str | None = None,
    question: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A case as its table holds it."""
    return {
        "id": id,
        "reason": reason,
        "title": title[:300],
        "problems": [
            {"code": each.code, "message": each.message, "field": each.field, "cure": each.cure} for each in problems
        ],
        "signature": signature(connection, reason, problems)[:500],
        "owner": owner,
        "amount": str(money.amount) if money is not None else (None if amount is None else str(amount)),
        "currency": money.currency if money is not None else currency,
        "process_id": process_id,
        "effect_id": effect_id,
        "inbox_id": inbox_id,
        "connection": connection,
        "subject": subject,
        "correlation": correlation,
        "question": question,
    }
