"""Authentication, versions, parameters, lists, search and expansion."""

from __future__ import annotations

import base64
from typing import Any

import pytest


def test_a_call_without_a_key_is_401(caller: Any) -> None:
    response = caller.send("GET", "customers", headers={"authorization": ""})
    assert response.status == 401
    assert b"You did not provide an API key" in response.body


def test_a_wrong_key_is_401_and_is_not_repeated_in_full(caller: Any) -> None:
    response = caller.send("GET", "customers", headers={"authorization": "Bearer sk_test_wrongwrongwrongwrong"})
    assert response.status == 401
    assert b"sk_test_wrongwrongwrongwrong" not in response.body


def test_basic_authentication_with_the_key_as_user_works(caller: Any) -> None:
    basic = base64.b64encode(f"{caller.simulator.keys.secret}:".encode()).decode()
    assert caller.send("GET", "customers", headers={"authorization": f"Basic {basic}"}).status == 200


def test_another_api_version_is_refused(caller: Any) -> None:
    response = caller.send("GET", "customers", headers={"stripe-version": "2020-08-27"})
    assert response.status == 400
    assert b"Invalid Stripe API version" in response.body


def test_an_unknown_address_is_404_with_stripes_body(caller: Any) -> None:
    error = caller.refused("GET", "unicorns", status=404)
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("Unrecognized request URL (GET: /v1/unicorns)")


def test_an_unknown_parameter_is_named_and_refused(caller: Any) -> None:
    error = caller.refused("POST", "customers", {"name": "A", "address[planet]": "Mars"})
    assert (error["code"], error["param"]) == ("parameter_unknown", "address[planet]")
    assert not caller.simulator.dump()["customer"]


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ({}, "customer", "parameter_missing"),
        ({"customer": "cus_nobody"}, "customer", "resource_missing"),
        ({"customer": ""}, "customer", "parameter_invalid_empty"),
        ({"customer": "$", "days_until_due": "soon"}, "days_until_due", "parameter_invalid_integer"),
        ({"customer": "$", "collection_method": "send_invoice"}, "due_date", None),
        ({"customer": "$", "currency": "xxq"}, "currency", None),
        ({"customer": "$", "auto_advance": "1"}, "auto_advance", None),
        ({"customer": "$", "metadata": "text"}, "metadata", None),
        ({"customer": "$", "metadata[a]": "x" * 501}, "metadata[a]", None),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(caller: Any, form: dict[str, str], param: str, code: str) -> None:
    customer = caller.customer()
    given = {key: customer if value == "$" else value for key, value in form.items()}
    if "days_until_due" in given:
        given["collection_method"] = "send_invoice"
    error = caller.refused("POST", "invoices", given)
    assert error["param"] == param
    assert error.get("code") == code


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=1&a[b]=2", b"metadata[a][b]=1", b"[=]&%%%=&a[0=1", b"name[]=x"])
def test_a_malformed_body_is_400_never_500(caller: Any, body: bytes) -> None:
    from accord.sandbox.kit.simulator import Request

    headers = {"authorization": f"Bearer {caller.simulator.keys.secret}"}
    assert caller.simulator.handle(Request("POST", "/v1/customers", headers=headers, body=body)).status == 400


def test_lists_page_both_ways_without_gaps(caller: Any) -> None:
    made = [caller.customer(name=f"C{number}") for number in range(25)]
    first = caller.get("customers")
    assert [row["id"] for row in first["data"]] == made[:14:-1]
    assert first["has_more"] is True
    second = caller.get("customers", {"starting_after": first["data"][-1]["id"], "limit": 100})
    assert [row["id"] for row in second["data"]] == made[14::-1]
    assert second["has_more"] is False
    newer = caller.get("customers", {"ending_before": made[10], "limit": 3})
    assert [row["id"] for row in newer["data"]] == [made[13], made[12], made[11]]
    assert newer["has_more"] is True


def test_a_list_limit_above_100_is_refused(caller: Any) -> None:
    assert caller.refused("GET", "customers", {"limit": 101})["param"] == "limit"


def test_created_filters_a_list(caller: Any) -> None:
    caller.customer(name="old")
    caller.shift(hours=1)
    late = caller.customer(name="new")
    page = caller.get("customers", {"created[gte]": int(caller.clock.now().timestamp())})
    assert [row["id"] for row in page["data"]] == [late]


def test_search_lags_behind_and_then_finds_by_metadata(caller: Any) -> None:
    customer = caller.customer(**{"metadata[accord_id]": "CUS-1"})
    query = {"query": "metadata['accord_id']:'CUS-1'"}
    assert caller.get("customers/search", query)["data"] == []
    caller.wall.at = caller.wall.at.replace(second=2)
    assert [row["id"] for row in caller.get("customers/search", query)["data"]] == [customer]


def test_search_sees_an_update_only_after_the_lag(caller: Any) -> None:
    customer = caller.customer(**{"metadata[accord_id]": "CUS-1"})
    caller.wall.at = caller.wall.at.replace(second=2)
    caller.post(f"customers/{customer}", {"metadata[accord_id]": "CUS-2"})
    assert caller.get("customers/search", {"query": "metadata['accord_id']:'CUS-1'"})["data"]
    caller.wall.at = caller.wall.at.replace(second=4)
    assert not caller.get("customers/search", {"query": "metadata['accord_id']:'CUS-1'"})["data"]
    assert caller.get("customers/search", {"query": "metadata['accord_id']:'CUS-2'"})["data"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ('name~"Acm"', 3),
        ('name:"acme gmbh"', 3),
        ('email:"a@b.example" AND metadata["n"]:"1"', 1),
        ('metadata["n"]:"1" OR metadata["n"]:"2"', 2),
        ('-metadata["n"]:"1"', 2),
        ('metadata["none"]:null', 3),
        ("created>0", 3),
    ],
)
def test_the_search_language(caller: Any, query: str, count: int) -> None:
    for number in range(3):
        caller.customer(email="a@b.example", **{"metadata[n]": number})
    caller.wall.at = caller.wall.at.replace(minute=1)
    assert len(caller.get("customers/search", {"query": query})["data"]) == count


@pytest.mark.parametrize("query", ["", "metadata", 'colour:"red"', 'name:"a" AND email:"b" OR name:"c"', 'name~"ab"'])
def test_a_search_stripe_would_not_understand_is_refused(caller: Any, query: str) -> None:
    assert caller.refused("GET", "customers/search", {"query": query})["param"] == "query"


def test_expansion_replaces_ids_and_leaves_what_is_stored_alone(caller: Any) -> None:
    customer = caller.customer(**{"tax_id_data[0][type]": "eu_vat", "tax_id_data[0][value]": "DE123456789"})
    invoice = caller.issued(customer, 1000)["id"]
    expanded = caller.get(f"invoices/{invoice}", {"expand[]": ["customer.tax_ids", "payments"]})
    assert expanded["customer"]["tax_ids"]["data"][0]["value"] == "DE123456789"
    assert expanded["payments"]["data"][0]["status"] == "open"
    assert caller.get(f"invoices/{invoice}")["customer"] == customer
    listed = caller.get("invoices", {"expand[]": "data.customer"})
    assert listed["data"][0]["customer"]["id"] == customer


def test_what_cannot_be_expanded_is_refused(caller: Any) -> None:
    invoice = caller.issued(caller.customer(), 1000)["id"]
    assert "cannot be expanded" in caller.refused("GET", f"invoices/{invoice}", {"expand[]": "number"})["message"]


def test_a_restricted_key_needs_the_permission(caller: Any) -> None:
    caller.simulator.admin("restrict_key", {"permissions": {"customers": "read"}})
    bearer = {"authorization": f"Bearer {caller.simulator.keys.restricted}"}
    assert caller.send("GET", "customers", headers=bearer).status == 200
    response = caller.send("POST", "customers", {"name": "A"}, headers=bearer)
    assert response.status == 403
    assert b"customers_write" in response.body


def test_prices_are_found_by_lookup_key_and_the_key_can_move(caller: Any) -> None:
    caller.post("products", {"id": "MIL-1", "name": "Milestone"})
    price = {"product": "MIL-1", "currency": "jpy", "unit_amount": 500000, "lookup_key": "K"}
    first = caller.post("prices", price)["id"]
    assert caller.refused("POST", "prices", price)["code"] == "resource_already_exists"
    second = caller.post("prices", {**price, "unit_amount": 600000, "transfer_lookup_key": "true"})["id"]
    assert [row["id"] for row in caller.get("prices", {"lookup_keys[]": "K"})["data"]] == [second]
    assert caller.get(f"prices/{first}")["lookup_key"] is None


def test_a_product_takes_our_id_once(caller: Any) -> None:
    form = {
        "id": "MIL-1",
        "name": "M",
        "default_price_data[currency]": "usd",
        "default_price_data[unit_amount]": 0,
    }
    made = caller.post("products", form)
    assert made["id"] == "MIL-1"
    assert caller.get(f"prices/{made['default_price']}")["unit_amount"] == 0
    assert caller.refused("POST", "products", form)["code"] == "resource_already_exists"


def test_metadata_merges_and_an_empty_value_removes_a_key(caller: Any) -> None:
    customer = caller.customer(**{"metadata[a]": "1", "metadata[b]": "2"})
    caller.post(f"customers/{customer}", {"metadata[a]": "", "metadata[c]": "3"})
    assert caller.get(f"customers/{customer}")["metadata"] == {"b": "2", "c": "3"}


def test_a_deleted_customer_is_shown_as_deleted(caller: Any) -> None:
    customer = caller.customer()
    caller.delete(f"customers/{customer}")
    assert caller.get(f"customers/{customer}") == {"id": customer, "object": "customer", "deleted": True}
    assert caller.refused("POST", "invoices", {"customer": customer})["code"] == "resource_missing"
