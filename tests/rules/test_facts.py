"""Facts come of changes, once."""

from typing import Any

import pytest

from accord.model import events
from accord.rules.facts import derive

WON = {"id": "D", "is_won": True, "number": "1", "name": "N", "stage": "Closed Won"}
OPEN = {**WON, "is_won": False, "stage": "Negotiation"}


def types(kind: str, before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    return [fact.type for fact in derive(kind, "X", before, after, at="2026-11-23T00:00:00+00:00", actor="crm")]


@pytest.mark.parametrize(
    ("kind", "before", "after", "found"),
    [
        ("deal", None, OPEN, []),
        ("deal", None, WON, [events.DEAL_WON]),
        ("deal", OPEN, WON, [events.DEAL_WON]),
        ("deal", WON, {**WON, "name": "M"}, [events.DEAL_CHANGED]),
        ("deal", WON, OPEN, [events.DEAL_REOPENED]),
        ("customer", None, {"id": "C"}, [events.CUSTOMER_SEEN]),
        ("customer", {"id": "C"}, {"id": "C", "email": "a@b.c"}, [events.CUSTOMER_CHANGED]),
        ("milestone_approval", None, {"approved": False}, []),
        ("milestone_approval", None, {"approved": True}, [events.MILESTONE_APPROVED]),
        ("milestone_approval", {"approved": True}, {"approved": True, "approved_by": "x"}, []),
        ("milestone_approval", {"approved": True}, {"approved": False}, [events.MILESTONE_UNAPPROVED]),
        ("invoice", None, {"status": "open", "origin": "milestone"}, [events.INVOICE_ISSUED]),
        ("invoice", None, {"status": "draft", "origin": "subscription"}, []),
        ("invoice", {"status": "draft"}, {"status": "open", "origin": "subscription"},
         [events.SUBSCRIPTION_PERIOD_CLOSED, events.INVOICE_ISSUED]),
        ("invoice", {"status": "open"}, {"status": "paid"}, [events.INVOICE_CHANGED]),
        ("payment", None, {"invoice_id": "I"}, [events.PAYMENT_RECEIVED]),
        ("payment", {"invoice_id": "I"}, {"invoice_id": "I", "reference": "r"}, []),
        ("payment_failure", None, {"invoice_id": "I"}, [events.PAYMENT_FAILED]),
        ("dispute", None, {"status": "open"}, [events.DISPUTE_OPENED]),
        ("dispute", {"status": "open"}, {"status": "won"}, [events.DISPUTE_CLOSED]),
        ("dispute", None, {"status": "won"}, []),
        ("nothing_known", None, {"a": 1}, []),
    ],
)  # fmt: skip
def test_a_change_means(kind: str, before: dict[str, Any] | None, after: dict[str, Any], found: list[str]) -> None:
    assert types(kind, before, after) == found
