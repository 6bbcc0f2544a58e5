"""A vendor's schema changes; the mapping says what that breaks before a record is lost."""

from __future__ import annotations

import pytest

from accord.connect.mapping import (
    Mapping,
    SchemaField,
    choice,
    day,
    drift,
    key,
    link,
    money,
    nested,
    number,
    own,
    text,
    version,
)

MAPPING = Mapping(
    "toy.deal",
    "deal",
    "Opportunity",
    rows=(
        key("Id"),
        version("SystemModstamp"),
        own("Ref__c"),
        text("name", "Name", max_length=80),
        choice("stage", "Stage", {"Won": "won", "Lost": "lost"}),
        money("amount", "Amount", currency_at="Ccy"),
        link("customer_id", "AccountId", "customer"),
        day("closes_on", "CloseDate", access="read"),
        nested("contract", "Contract", (number("months", "Months__c"),)),
    ),
)
SCHEMA = {
    "Id": SchemaField("id", writable=False),
    "SystemModstamp": SchemaField("instant", writable=False),
    "Ref__c": SchemaField("text"),
    "Name": SchemaField("text", length=120, required=True),
    "Stage": SchemaField("text", choices=("Won", "Lost", "Open")),
    "Amount": SchemaField("number"),
    "Ccy": SchemaField("text"),
    "AccountId": SchemaField("id"),
    "CloseDate": SchemaField("day", writable=False),
    "Contract.Months__c": SchemaField("number"),
    "Other__c": SchemaField("flag"),
}


def without(name: str) -> dict[str, SchemaField]:
    return {path: field for path, field in SCHEMA.items() if path != name}


def test_a_schema_that_fits_has_no_drift() -> None:
    assert drift(MAPPING, SCHEMA) == ()


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (without("Name") | {"Name__c": SchemaField("text")}, "name / Name: is gone; is it Name__c now?"),
        (without("Ccy"), "amount / Ccy: is gone"),
        (without("Contract.Months__c"), "contract.months / Contract.Months__c: is gone"),
        (SCHEMA | {"Amount": SchemaField("flag")}, "amount / Amount: is a flag now, a money is expected"),
        (
            SCHEMA | {"AccountId": SchemaField("id", writable=False)},
            "customer_id / AccountId: cannot be written any more",
        ),
        (SCHEMA | {"Name": SchemaField("text", length=40)}, "name / Name: takes only 40 characters now"),
        (
            SCHEMA | {"Stage": SchemaField("text", choices=("Won", "Gone"))},
            "stage / Stage: does not know Lost any more",
        ),
        (
            SCHEMA | {"Tax__c": SchemaField("text", required=True)},
            "Tax__c: is required by the vendor now, and no row writes it",
        ),
    ],
)
def test_each_kind_of_drift_is_told(schema: dict[str, SchemaField], says: str) -> None:
    assert [str(problem) for problem in drift(MAPPING, schema)] == [says]


def test_all_drift_is_told_at_once() -> None:
    assert len(drift(MAPPING, {})) == len(set(MAPPING.fields()))
