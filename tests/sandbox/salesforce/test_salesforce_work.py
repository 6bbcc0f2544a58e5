"""Time and expenses in custom objects of the org: handed in, approved, taken back, deleted, purged, told of."""

from __future__ import annotations

import re
from typing import Any

from simple_salesforce import Salesforce

from accord.sandbox.kit.serve import Served
from tests.sandbox.salesforce.conftest import Caller
from tests.sandbox.salesforce.test_salesforce_client import given, http, sf

__all__ = ["given", "http", "sf"]


def entry(caller: Caller, **fields: Any) -> str:
    usual = {"Work_Date__c": "2026-11-20", "Hours__c": 7.5, "Project__c": "P-1"}
    return caller.make("Time_Entry__c", **{**usual, **fields})


def test_time_is_approved_and_taken_back(caller: Caller) -> None:
    id = entry(caller)
    caller.happen("submit_work", ids=[id])
    caller.happen("approve_work", ids=[id], user="Jonas Weber")
    (row,) = caller.records("SELECT Hours__c, Status__c, Approved_By__r.Name, Approved_At__c FROM Time_Entry__c")
    assert (row["Hours__c"], row["Status__c"], row["Approved_By__r"]["Name"]) == (7.5, "Approved", "Jonas Weber")
    caller.happen("recall_work", ids=[id])
    assert caller.records("SELECT Status__c, Approved_By__c, Approved_At__c FROM Time_Entry__c") == [
        {"Status__c": "Recalled", "Approved_By__c": None, "Approved_At__c": None}
    ]


def test_a_deleted_entry_is_in_the_bin_and_a_purged_one_nowhere(caller: Caller) -> None:
    kept, purged = entry(caller), entry(caller)
    caller.happen("delete", id=kept)
    caller.happen("purge", id=purged)
    found = caller.query("SELECT Id, IsDeleted FROM Time_Entry__c", everything=True)["records"]
    assert [(each["Id"], each["IsDeleted"]) for each in found] == [(kept, True)]


def test_a_change_of_an_expense_is_told(caller: Caller) -> None:
    caller.happen("subscribe_outbound", object="Expense__c", fields=["Id", "Status__c"], url="https://accord.test/in")
    id = caller.make("Expense__c", Amount__c=120.5, CurrencyIsoCode="EUR", Category__c="Hotel")
    caller.happen("reject_work", ids=[id])
    (message,) = caller.simulator.take_deliveries()
    text = message.body.decode()
    assert re.search(r'xsi:type="sf:Expense__c"', text)
    assert "Rejected" in text


def test_time_and_expenses_through_the_client(sf: Salesforce, served: Served) -> None:
    """PyPI simple-salesforce enters, queries and deletes them as it does any custom object."""
    made = sf.Time_Entry__c.create({"Work_Date__c": "2026-11-20", "Hours__c": 8, "Status__c": "Submitted"})
    sf.Expense__c.create({"Amount__c": 99.9, "CurrencyIsoCode": "USD", "Work_Date__c": "2026-11-20"})
    served.simulator.admin("approve_work", {"ids": [made["id"]]})
    (row,) = sf.query("SELECT Id, Status__c, Hours__c FROM Time_Entry__c WHERE Status__c = 'Approved'")["records"]
    assert (row["Id"], row["Hours__c"]) == (made["id"], 8)
    sf.Time_Entry__c.delete(made["id"])
    assert sf.query("SELECT Id FROM Time_Entry__c")["totalSize"] == 0
    deleted = sf.query("SELECT Id, IsDeleted FROM Time_Entry__c", include_deleted=True)["records"]
    assert [each["IsDeleted"] for each in deleted] == [True]
    described = {each["name"]: each["type"] for each in sf.Expense__c.describe()["fields"]}
    assert (described["Amount__c"], described["Worker__c"]) == ("currency", "reference")
