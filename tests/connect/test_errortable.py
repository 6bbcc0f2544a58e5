"""A vendor's code decides, then its status, then what HTTP says; a wait is read in every form it is given."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.connect.errortable import ErrorTable, Then, VendorError
from accord.connect.failures import http_date, retry_after
from accord.engine.outcomes import Absent, Committed, Misconfigured, Rejected, Transient, Unknown

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TABLE = ErrorTable(
    read=lambda body: tuple(
        VendorError(each["errorCode"], each["message"], tuple(each.get("fields", ()))) for each in body
    ),
    codes={
        "LOCKED": Then.RETRY,
        "FULL": Then.SLOW_DOWN,
        "AWAY": Then.DOWN,
        "NO": Then.REJECT,
        "WHO": Then.PAUSE,
        "ODD": Then.ASK,
        "LOST": Then.GONE,
        "AGAIN": Then.DONE,
    },
    statuses={409: Then.RETRY},
)


def said(*codes: str) -> list[dict[str, object]]:
    return [{"errorCode": code, "message": f"about {code}", "fields": [f"F_{code}"]} for code in codes]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("LOCKED", Transient("about LOCKED")),
        ("FULL", Transient("about FULL", overload=True)),
        ("AWAY", Transient("about AWAY", outage=True)),
        ("NO", Rejected("NO", "about NO", ("F_NO",))),
        ("WHO", Misconfigured("WHO", "about WHO")),
        ("ODD", Unknown("about ODD")),
        ("LOST", Absent("about LOST")),
        ("AGAIN", Committed(details={"note": "about AGAIN"})),
    ],
)
def test_a_known_code_decides(code: str, outcome: object) -> None:
    assert TABLE.classify(400, {}, said(code)) == outcome


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected), (401, Misconfigured), (403, Misconfigured), (404, Rejected), (408, Unknown), (409, Transient),
        (422, Rejected), (425, Transient), (429, Transient), (500, Unknown), (502, Unknown), (503, Unknown),
        (504, Unknown), (302, Rejected), (599, Unknown), (200, Unknown),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [None, [], {}, "text", said("NEVER_SEEN"), [None], {"errors": 1}])
def test_an_unknown_code_falls_back_on_the_status(status: int, kind: type, body: object) -> None:
    """And no shape of a body makes the table raise."""
    assert isinstance(TABLE.classify(status, {}, body), kind)


def test_a_gateway_that_says_when_to_come_back_turned_the_request_away() -> None:
    outcome = TABLE.classify(503, {"retry-after": "20"}, None)
    assert outcome == Transient("HTTP_503: the vendor answered 503", 20.0, outage=True)


def test_every_error_is_told_and_the_first_known_one_decides() -> None:
    outcome = TABLE.classify(400, {}, said("NEVER_SEEN", "NO"))
    assert outcome == Rejected("NO", "about NEVER_SEEN; about NO", ("F_NEVER_SEEN", "F_NO"))


def test_a_member_of_a_batch_is_classified_alone() -> None:
    assert TABLE.outcome(VendorError("LOCKED", "row lock")) == Transient("LOCKED: row lock")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 13:00:30 +0100", 30.0),
    ],
)
def test_a_wait_is_read_in_every_form(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_a_date_is_relative_to_the_vendors_clock() -> None:
    """Ours may be minutes off; the vendor's own Date header is what its Retry-After was counted from."""
    headers = {"retry-after": "Mon, 23 Nov 2026 12:01:00 GMT", "date": "Mon, 23 Nov 2026 12:00:00 GMT"}
    outcome = TABLE.classify(429, headers, None)
    assert isinstance(outcome, Transient)
    assert outcome.retry_after_seconds == 60.0
    without = TABLE.classify(429, {"retry-after": headers["retry-after"]}, None)
    assert isinstance(without, Transient)
    assert without.retry_after_seconds is None
    assert http_date("yesterday") is None
