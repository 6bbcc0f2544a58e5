"""PyPI simple-salesforce as an independent client: what it reads and refuses was not written here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from accord.sandbox.kit.serve import Served


class ToTheSandbox(HTTPAdapter):
    """Sends what is meant for salesforce.com to the sandbox, under its own name."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self._there = urlsplit(served.url).netloc

    def send(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        if parts.netloc.endswith(".salesforce.com"):
            request.headers["Host"] = parts.netloc
            request.url = parts._replace(netloc=self._there).geturl()
        return super().send(request, **options)


@pytest.fixture
def http(served: Served) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.verify = str(served.ca_file)
        session.trust_env = False  # a proxy or CA of the machine is not meant
        session.mount("https://", ToTheSandbox(served))
        yield session


@pytest.fixture
def given(served: Served) -> dict[str, Any]:
    return served.simulator.credentials(served.url)


@pytest.fixture
def sf(http: requests.Session, given: dict[str, Any]) -> Salesforce:
    return Salesforce(instance_url=given["instance_url"], session_id=given["session_id"], session=http)


def test_login_by_jwt(http: requests.Session, given: dict[str, Any], served: Served) -> None:
    sf = Salesforce(
        username=given["username"],
        consumer_key=given["client_id"],
        privatekey=given["private_key"],
        domain="login",
        session=http,
    )
    assert f"https://{sf.sf_instance}" == served.url
    assert sf.is_sandbox() is True


def test_login_by_client_credentials(http: requests.Session, given: dict[str, Any]) -> None:
    sf = Salesforce(
        consumer_key=given["client_id"], consumer_secret=given["client_secret"], domain="meridian.my", session=http
    )
    assert sf.query("SELECT Id FROM Account")["totalSize"] == 0


def test_login_refused(http: requests.Session, given: dict[str, Any], served: Served) -> None:
    def log_in(**other: Any) -> None:
        wanted = {"username": given["username"], "consumer_key": given["client_id"], "domain": "login", **other}
        Salesforce(privatekey=given["private_key"], session=http, **wanted)

    with pytest.raises(SalesforceAuthenticationFailed, match="client identifier invalid"):
        log_in(consumer_key="another")
    with pytest.raises(SalesforceAuthenticationFailed, match="audience"):
        log_in(domain="elsewhere", instance_url="login")
    with (
        pytest.warns(UserWarning, match="authorize"),
        pytest.raises(SalesforceAuthenticationFailed, match="hasn't approved"),
    ):
        log_in(username="stranger@meridian.example")


def test_records_from_making_to_deleting(sf: Salesforce) -> None:
    made = sf.Account.create({"Name": "Acme", "Legacy_Id__c": "A-1", "AnnualRevenue": 35_000_000})
    assert made["success"] is True
    assert sf.Account.upsert("Legacy_Id__c/A-1", {"Phone": "1"}) == 200
    assert sf.Account.upsert("Legacy_Id__c/A-2", {"Name": "Other"}) == 201
    account = sf.Account.get_by_custom_id("Legacy_Id__c", "A-1")
    assert (account["Id"], account["Phone"], account["AnnualRevenue"]) == (made["id"], "1", 35_000_000.0)
    assert sf.Account.update(made["id"], {"Name": "Acme AG"}) == 204
    assert sf.Account.get(made["id"])["Name"] == "Acme AG"
    assert sf.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        sf.Account.get(made["id"])
    rows = sf.query_all("SELECT Id, IsDeleted FROM Account", include_deleted=True)["records"]
    assert {row["IsDeleted"] for row in rows} == {True, False}


def test_errors_are_the_clients_own(sf: Salesforce, served: Served) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        sf.Opportunity.create({"Name": "Deal"})
    with pytest.raises(SalesforceResourceNotFound):
        sf.Account.upsert("Nothing__c/1", {"Name": "x"})
    with pytest.raises(SalesforceMalformedRequest, match="MALFORMED_QUERY"):
        sf.query("SELECT FROM Account")
    served.simulator.admin("revoke_tokens", {})
    with pytest.raises(SalesforceExpiredSession):
        sf.query("SELECT Id FROM Account")


def test_several_records_with_one_key(sf: Salesforce, served: Served) -> None:
    served.simulator.admin("add_field", {"object": "Contact", "field": "Code__c", "external_id": True})
    for name in ("One", "Two"):
        sf.Contact.create({"LastName": name, "Code__c": "7"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        sf.Contact.upsert("Code__c/7", {"LastName": "Three"})


def test_the_days_calls(sf: Salesforce, served: Served) -> None:
    sf.limits()
    assert sf.api_usage["api-usage"].total == 115_000
    served.simulator.admin("set_limit", {"daily_requests": sf.api_usage["api-usage"].used})
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        sf.limits()


def test_describe(sf: Salesforce) -> None:
    named = {each["name"]: each for each in sf.describe()["sobjects"]}
    assert named["SOW_Milestone__c"]["custom"] is True
    fields = {each["name"]: each for each in sf.Opportunity.describe()["fields"]}
    assert fields["IsWon"]["updateable"] is False
    assert fields["Accord_Engagement__c"]["externalId"] is True
    assert [each["value"] for each in fields["Delivery_Region__c"]["picklistValues"]] == ["AMER", "EMEA", "APAC"]


def test_pages_of_a_query(sf: Salesforce) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": f"A{n}"} for n in range(200)]
    for _ in range(3):
        sf.restful("composite/sobjects", method="POST", json={"records": records})
    answer = sf.query("SELECT Id FROM Account", headers={"Sforce-Query-Options": "batchSize=250", **sf.headers})
    assert (answer["totalSize"], len(answer["records"]), answer["done"]) == (600, 250, False)
    assert len(list(sf.query_all_iter("SELECT Id FROM Account"))) == 600
    rest = sf.query_more(answer["nextRecordsUrl"], identifier_is_url=True)
    assert len(rest["records"]) == 250


def test_bulk_in_and_out(sf: Salesforce) -> None:
    rows = [{"Name": f"A{n}", "Legacy_Id__c": f"L{n}", "AR_Balance__c": "12.50"} for n in range(7)]
    (result,) = sf.bulk2.Account.upsert(records=rows, external_id_field="Legacy_Id__c", wait=0.01)
    assert (result["numberRecordsProcessed"], result["numberRecordsFailed"]) == (7, 0)
    (again,) = sf.bulk2.Account.insert(records=[*rows[:1], {"Name": "", "Legacy_Id__c": "L9"}], wait=0.01)
    assert again["numberRecordsFailed"] == 2
    failed = sf.bulk2.Account.get_failed_records(again["job_id"])
    assert "DUPLICATE_VALUE" in failed
    assert "REQUIRED_FIELD_MISSING" in failed
    pages = list(
        sf.bulk2.Account.query("SELECT Name, AR_Balance__c FROM Account ORDER BY Name", max_records=3, wait=0.01)
    )
    assert len(pages) == 3
    assert pages[0].splitlines()[1] == '"A0","12.5"'


def test_deleted_and_updated(sf: Salesforce) -> None:
    from datetime import UTC, datetime, timedelta

    made = sf.Account.create({"Name": "Acme"})["id"]
    now = datetime.now(UTC)
    span = (now - timedelta(hours=1), now + timedelta(hours=1))
    assert sf.Account.updated(*span)["ids"] == [made]
    sf.Account.delete(made)
    assert [each["id"] for each in sf.Account.deleted(*span)["deletedRecords"]] == [made]
