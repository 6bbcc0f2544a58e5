"""What a vendor was asked, counted."""

from __future__ import annotations

from datetime import datetime

import pytest

from accord.sandbox.kit import journal as journal_module
from accord.sandbox.kit.journal import Journal, template


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/invoices/in_1Qx/lines", "/v1/invoices/*/lines"),
        ("/v1/invoices", "/v1/invoices"),
        ("/v1", "/v1"),
        (
            "/services/data/v67.0/sobjects/Account/Legacy_Id__c/A-1",
            "/services/data/v67.0/sobjects/Account/Legacy_Id__c/*",
        ),
        ("/services/data/v67.0/query/01gRO-2000", "/services/data/v67.0/query/*"),
        ("/services/rest/record/v1/job/eid:ENG-a/x", "/services/rest/record/v1/job/*/x"),
        ("/a/v10x/b", "/a/*/b"),
    ],
)
def test_ids_are_left_out_of_a_template(path: str, shape: str) -> None:
    assert template(path) == shape


def test_calls_are_counted_and_the_last_ones_kept(moment: datetime) -> None:
    journal = Journal(keep=2)
    for number in range(3):
        journal.record(moment, "POST", f"/v1/invoices/in_{number}/pay", 200)
    journal.record(moment, "GET", "/v1/invoices", 429)
    told = journal.as_json(last=10)
    assert told["total"] == 4
    assert told["counts"] == [
        {"method": "GET", "path": "/v1/invoices", "status": 429, "count": 1},
        {"method": "POST", "path": "/v1/invoices/*/pay", "status": 200, "count": 3},
    ]
    assert [each["path"] for each in told["last"]] == ["/v1/invoices/in_2/pay", "/v1/invoices"]
    assert (journal.total("POST"), journal.total(path="/pay"), journal.total("GET", "/pay")) == (3, 3, 0)


def test_a_client_of_ever_new_paths_cannot_fill_the_memory(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "TEMPLATES", 3)
    journal = Journal()
    for letter in "abcdef":
        journal.record(moment, "GET", f"/{letter}", 404)
    assert journal.counts["GET", "(other)", 404] == 3
    assert len(journal.counts) == 4
