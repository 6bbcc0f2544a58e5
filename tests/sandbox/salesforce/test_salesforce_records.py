"""Records of the simulated org: what is checked, derived, kept and refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.sandbox.kit.simulator import ManualClock
from accord.sandbox.salesforce import build
from accord.sandbox.salesforce.fields import written_number
from accord.sandbox.salesforce.ids import id18, normal_id
from tests.sandbox.salesforce.conftest import START, Caller, V


@pytest.mark.parametrize(
    ("short", "long"),
    # The first stands in the vendor's REST guide; the second is worked out by hand: bits 4, 0 and 4 + 8 + 16.
    [("001D000000IqhSL", "001D000000IqhSLIAZ"), ("00D300000000XYZ", "00D300000000XYZEA2")],
)
def test_ids_carry_their_checksum(short: str, long: str) -> None:
    assert id18(short) == long
    assert normal_id(short) == normal_id(long) == long
    assert normal_id(f"{long[:-1]}5") is None


def test_every_object_has_its_prefix(caller: Caller) -> None:
    account, deal = caller.account(), caller.opportunity()
    assert (account[:3], deal[:3], len(deal)) == ("001", "006", 18)
    assert normal_id(account[:15]) == account


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.0"), ("1054", "1054.0"), ("12.50", "12.5"), ("10000000", "1.0E7"), ("35000000.5", "3.50000005E7"),
     ("9999999.99", "9999999.99"), ("-0.001", "-0.001"), ("0.0001", "1.0E-4")],
)  # fmt: skip
def test_numbers_are_written_as_java_doubles(value: str, text: str) -> None:
    from decimal import Decimal

    assert written_number(Decimal(value)) == text


def test_moments_are_whole_seconds_without_a_colon(caller: Caller) -> None:
    record = caller.ask("GET", f"sobjects/Account/{caller.account()}")
    assert record["SystemModstamp"] == "2026-11-23T09:00:00.000+0000"


@pytest.mark.parametrize(
    ("fields", "code", "at"),
    [
        ({"CloseDate": "01-03-17"}, "JSON_PARSER_ERROR", None),
        ({"CloseDate": "2026-02-30"}, "JSON_PARSER_ERROR", None),
        ({"Name": None}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "x" * 121}, "STRING_TOO_LONG", ["Name"]),
        ({"Name": 5}, "JSON_PARSER_ERROR", None),
        ({"Contract_Type__c": "fixed"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Contract_Type__c"]),
        ({"Amount": "a lot"}, "JSON_PARSER_ERROR", None),
        ({"Amount": "1e30"}, "NUMBER_OUTSIDE_VALID_RANGE", ["Amount"]),
        ({"AccountId": "001"}, "MALFORMED_ID", ["AccountId"]),
        ({"AccountId": id18("001Hu0000000000")}, "INVALID_CROSS_REFERENCE_KEY", ["AccountId"]),
        ({"IsWon": True}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["IsWon"]),
        ({"Nothing__c": 1}, "INVALID_FIELD", None),
        ({"Account": {"Legacy_Id__c": "none"}}, "INVALID_FIELD", None),
        ({"CurrencyIsoCode": "XXX"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["CurrencyIsoCode"]),
    ],
)
def test_what_does_not_fit_is_refused(caller: Caller, fields: dict[str, Any], code: str, at: list[str] | None) -> None:
    usual = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-11-30"}
    (error,) = caller.ask("POST", "sobjects/Opportunity", {**usual, **fields}, 400)
    assert (error["errorCode"], error.get("fields")) == (code, at)
    assert caller.records("SELECT Id FROM Opportunity") == []


def test_amounts_are_rounded_without_a_word(caller: Caller) -> None:
    """The vendor rounds half up to the field's scale: a trap worth having."""
    deal = caller.opportunity(Amount="10.005")
    assert caller.ask("GET", f"sobjects/Opportunity/{deal}?fields=Amount")["Amount"] == 10.01


def test_the_stage_says_whether_a_deal_is_won(caller: Caller) -> None:
    deal = caller.opportunity()
    assert (caller.row(deal)["IsWon"], caller.row(deal)["Probability"]) == (False, 10)
    caller.happen("close_won", opportunity=deal)
    assert (caller.row(deal)["IsWon"], caller.row(deal)["IsClosed"], caller.row(deal)["Probability"]) == (
        True,
        True,
        100,
    )
    caller.happen("reopen", opportunity=deal)
    assert (caller.row(deal)["IsWon"], caller.row(deal)["IsClosed"]) == (False, False)


def test_a_contract_is_a_draft_first(caller: Caller) -> None:
    account = caller.account()
    refused = caller.refused("POST", "sobjects/Contract", {"AccountId": account, "Status": "Activated"})
    assert refused[0] == "FAILED_ACTIVATION"
    contract = caller.make("Contract", AccountId=account)
    caller.happen("approve_contract", contract=contract)
    caller.happen("sign", contract=contract, on="2026-11-20")
    row = caller.row(contract)
    assert (row["StatusCode"], row["Approval_Status__c"], row["CustomerSignedDate"]) == (
        "Activated", "Approved", "2026-11-20",
    )  # fmt: skip
    assert (
        caller.refused("PATCH", f"sobjects/Contract/{contract}", {"Status": "Draft"})[0] == "FIELD_INTEGRITY_EXCEPTION"
    )


def test_upsert_tells_what_it_did(caller: Caller) -> None:
    path = "sobjects/Account/Legacy_Id__c/A%2F1"
    made = caller.ask("PATCH", path, {"Name": "Acme"}, 201)
    assert made["created"] is True
    assert caller.row(made["id"])["Legacy_Id__c"] == "A/1"
    assert caller.ask("PATCH", path, {"Name": "Acme AG"})["created"] is False
    assert caller.ask("PATCH", f"/services/data/v45.0/{path}", {"Name": "x"}, 204) is None, "an older version says less"
    caller.ask("PATCH", path, {"Name": "x", "Id": made["id"]}, 400)
    assert caller.refused("PATCH", "sobjects/Account/Name__c/1", {}, 404)[0] == "NOT_FOUND"


def test_keys_ignore_case_and_are_unique(caller: Caller) -> None:
    first = caller.account(Legacy_Id__c="a-1")
    code, words = caller.refused("POST", "sobjects/Account", {"Name": "x", "Legacy_Id__c": "A-1"})
    assert code == "DUPLICATE_VALUE"
    assert first[:15] in words
    caller.ask("DELETE", f"sobjects/Account/{first}", status=204)
    caller.account(Legacy_Id__c="A-1")


def test_a_parent_may_be_named_by_its_key(caller: Caller) -> None:
    account = caller.account(Legacy_Id__c="A-1")
    deal = caller.opportunity(Account={"Legacy_Id__c": "A-1"})
    assert caller.row(deal)["AccountId"] == account


def test_deleting_takes_the_children_along_and_undeleting_brings_them_back(caller: Caller) -> None:
    account = caller.account()
    deal = caller.opportunity(AccountId=account)
    task = caller.make("Task", WhatId=account, Subject="Call")
    caller.ask("DELETE", f"sobjects/Account/{account}", status=204)
    assert caller.row(deal)["IsDeleted"] is True
    assert caller.row(task)["WhatId"] is None
    assert caller.refused("GET", f"sobjects/Account/{account}", status=404)[0] == "ENTITY_IS_DELETED"
    assert caller.query("SELECT Id FROM Opportunity")["totalSize"] == 0
    assert caller.query("SELECT Id FROM Opportunity WHERE IsDeleted = true", everything=True)["totalSize"] == 1
    caller.happen("undelete", id=account)
    assert caller.row(deal)["IsDeleted"] is False


def test_merging_moves_the_children(caller: Caller) -> None:
    master, other = caller.account(), caller.account(Name="Acme 2")
    deal = caller.opportunity(AccountId=other)
    caller.later(hours=1)
    caller.happen("merge", master=master, merged=[other])
    assert caller.row(deal)["AccountId"] == master
    assert (caller.row(other)["IsDeleted"], caller.row(other)["MasterRecordId"]) == (True, master)
    assert caller.row(deal)["SystemModstamp"].startswith("2026-11-23T10")


def test_an_inactive_owner_is_refused(caller: Caller) -> None:
    user = caller.records("SELECT Id FROM User WHERE Name = 'Avery Quinn'")[0]["Id"]
    caller.happen("update", id=user, fields={"IsActive": False})
    refused = caller.refused("POST", "sobjects/Account", {"Name": "x", "OwnerId": user})
    assert refused[0] == "INACTIVE_OWNER_OR_USER"


def test_rules_of_the_org(caller: Caller) -> None:
    rule = {"object": "Opportunity", "name": "signed", "when": "IsWon = true AND ContractId = null"}
    caller.happen("add_validation_rule", **rule, message="No contract.", field="ContractId")
    deal = caller.opportunity()
    path = f"sobjects/Opportunity/{deal}"
    (error,) = caller.ask("PATCH", path, {"StageName": "Closed Won"}, 400)
    assert error == {
        "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "No contract.", "fields": ["ContractId"],
    }  # fmt: skip
    assert caller.row(deal)["StageName"] == "Prospecting"
    caller.happen("remove_rule", name="signed")
    caller.ask("PATCH", path, {"StageName": "Closed Won"}, 204)


def test_duplicate_rules_and_the_header_that_passes_them(caller: Caller) -> None:
    caller.happen("add_duplicate_rule", object="Account", name="names", fields=["Name"])
    twin = caller.account()
    (error,) = caller.ask("POST", "sobjects/Account", {"Name": "ACME"}, 400)
    assert error["errorCode"] == "DUPLICATES_DETECTED"
    assert error["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"]["Id"] == twin
    caller.ask("POST", "sobjects/Account", {"Name": "Acme"}, 201, sforce_duplicate_rule_header="allowSave=true")


def test_a_busy_row_is_free_after_a_while(caller: Caller) -> None:
    account = caller.account()
    caller.happen("lock_row", id=account, times=2)
    path = f"sobjects/Account/{account}"
    assert caller.refused("PATCH", path, {"Name": "x"})[0] == "UNABLE_TO_LOCK_ROW"
    refused = caller.refused("POST", "sobjects/Contact", {"LastName": "x", "AccountId": account})
    assert refused[0] == "UNABLE_TO_LOCK_ROW", "a child locks its parent"
    caller.ask("PATCH", path, {"Name": "x"}, 204)


def test_an_upsert_may_lose_a_race(caller: Caller) -> None:
    """The other's record is there, ours is refused: even though it was an upsert (vendors.md 0.9)."""
    caller.happen("race_upsert", object="Invoice__c")
    path = "sobjects/Invoice__c/Accord_Invoice__c/INV-1"
    assert caller.refused("PATCH", path, {"Number__c": "1"})[0] == "DUPLICATE_VALUE"
    assert caller.ask("PATCH", path, {"Number__c": "1"})["created"] is False


def test_fields_may_be_renamed_and_added(caller: Caller) -> None:
    deal = caller.opportunity(Delivery_Region__c="EMEA")
    caller.fault("rename_field", object="Opportunity", field="Delivery_Region__c", to="Region__c")
    assert caller.query("SELECT Delivery_Region__c FROM Opportunity", 400)[0]["errorCode"] == "INVALID_FIELD"
    assert caller.records("SELECT Region__c FROM Opportunity") == [{"Region__c": "EMEA"}]
    caller.happen(
        "add_field", object="Opportunity", field="Colour__c", values=["red"], type="picklist", restricted=True
    )
    assert caller.refused("PATCH", f"sobjects/Opportunity/{deal}", {"Colour__c": "blue"})[0].startswith(
        "INVALID_OR_NULL"
    )
    with pytest.raises(ValueError, match="already"):
        caller.happen("add_field", object="Opportunity", field="Colour__c")


def test_the_origin_of_a_change_is_remembered(caller: Caller) -> None:
    caller.ask("POST", "sobjects/Account", {"Name": "x"}, 201, sforce_call_options="client=Accord, defaultNamespace=a")
    assert (caller.simulator.dump()["changes"][-1]["origin"], caller.simulator.dump()["changes"][-1]["kind"]) == (
        "Accord", "CREATE",
    )  # fmt: skip


def test_sessions_end_by_the_wall_clock_only(caller: Caller) -> None:
    caller.happen("shift_clock", seconds=200 * 86_400)
    caller.account()
    caller.wall.at = START.replace(hour=12)
    assert caller.refused("GET", "limits", status=401) == ("INVALID_SESSION_ID", "Session expired or invalid")


def test_limits_of_the_day_and_of_long_calls(caller: Caller) -> None:
    response = caller.send("GET", "limits")
    assert response.headers["sforce-limit-info"] == "api-usage=1/115000"
    caller.happen("set_limit", daily_requests=2)
    caller.ask("GET", "limits")
    assert caller.refused("GET", "limits", status=403) == ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    caller.wall.at = caller.wall.at.replace(day=24, hour=10)
    caller.token = caller.simulator.tokens.open()
    caller.ask("GET", "limits")
    caller.happen("set_limit", long_running=1, daily_requests=99)
    under_way = caller.door.begin("GET", f"{V}/limits", {"authorization": f"Bearer {caller.token}"})
    caller.ask("GET", "limits")
    caller.wall.at = caller.wall.at.replace(minute=1)
    assert "ConcurrentRequests" in caller.refused("GET", "limits", status=403)[1]
    under_way.finish()
    caller.ask("GET", "limits")


def test_versions_and_addresses(caller: Caller) -> None:
    versions = caller.ask("GET", "/services/data/")
    assert versions[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert caller.refused("GET", "/services/data/v99.0/limits", status=404)[0] == "NOT_FOUND"
    assert caller.refused("GET", "sobjects/Nothing", status=404)[0] == "NOT_FOUND"
    assert caller.refused("PUT", "sobjects/Account", {}, 405)[0] == "METHOD_NOT_ALLOWED"
    assert caller.send("GET", f"query?q={'x' * 17_000}").status == 414


def test_refusals_on_demand(caller: Caller) -> None:
    caller.fault("status", status=503, retry_after=3)
    response = caller.send("GET", "limits")
    assert (response.status, response.headers["retry-after"]) == (503, "3")
    caller.fault("expire_tokens")
    assert caller.refused("GET", "limits", status=401)[0] == "INVALID_SESSION_ID"


def test_an_unknown_action_names_those_there_are(caller: Caller) -> None:
    with pytest.raises(ValueError, match=r"close_won.*subscribe_outbound"):
        caller.happen("explode")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["Account", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Name", "Account", "attributes", "records", "compositeRequest", "Id", "q"]), inner
        )
    ),
    max_leaves=8,
)
_PATHS = st.sampled_from(
    ["sobjects/Account", "sobjects/Account/Legacy_Id__c/1", "composite", "composite/sobjects", "composite/batch",
     "composite/graph", "composite/sobjects/Account/Legacy_Id__c", "jobs/ingest", "jobs/query", "query", "sobjects",
     "sobjects/Account/001", "composite/sobjects/Account", "query/01g-1", "jobs/ingest/750/batches"]
)  # fmt: skip


SHARED = Caller(build(clock=ManualClock(START), wall=ManualClock(START)), ManualClock(START), ManualClock(START))


@given(st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]), _PATHS, _JSON | st.binary(max_size=20))
def test_nothing_a_client_sends_is_a_500(method: str, path: str, body: Any) -> None:
    response = SHARED.send(method, path, body)
    assert response.status < 500, response.body
