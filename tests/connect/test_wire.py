"""Bodies are exact: no amount passes through a float, no text is lost."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.wire import NotJson, NotWritable, plain_number, read_json, write_form, write_json, write_query

EXACT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(EXACT)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read_json(write_json(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_every_digit_of_an_amount_survives(amount: Decimal) -> None:
    assert str(read_json(b"[" + write_json(amount) + b",1.5]")[0]) == str(amount).replace("-0.0000", "-0.0000")


def test_other_parsers_read_what_we_write() -> None:
    value = {"text": 'é"\\\n\ud83d\ude00', "list": [1, {"a": None}, []], "object": {}, "flag": False}
    assert json.loads(write_json(value)) == json.loads(json.dumps(value))
    assert write_json({"amount": Decimal("12.50"), "rate": Decimal("1E-7")}) == b'{"amount":12.50,"rate":0.0000001}'


@pytest.mark.parametrize("value", [1.5, date(2026, 1, 1), {1: 2}, object(), Decimal("NaN"), Decimal("Infinity"), b"x"])
def test_what_has_no_exact_form_is_not_written(value: object) -> None:
    with pytest.raises(NotWritable):
        write_json({"a": value} if not isinstance(value, dict) else value)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"NaN", b"[Infinity]", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(body)


def test_numbers_keep_their_kind() -> None:
    assert [type(each) for each in read_json(b"[1, 1.0, 1e2, -0]")] == [int, Decimal, Decimal, int]


def test_a_monstrous_exponent_is_not_written_out() -> None:
    assert len(plain_number(Decimal("1E+1000000"))) < 20


def test_forms_nest_in_brackets() -> None:
    form = {"a": {"b": [{"c": "x y"}, {"c": 2}]}, "on": True, "none": None, "clear": "", "amount": Decimal("1.50")}
    assert write_form(form) == b"a[b][0][c]=x+y&a[b][1][c]=2&on=true&clear=&amount=1.50"


@pytest.mark.parametrize("value", [1.5, date(2026, 1, 1)])
def test_forms_take_nothing_inexact(value: object) -> None:
    with pytest.raises(NotWritable):
        write_form({"a": value})


def test_queries_keep_order_and_repeats() -> None:
    assert write_query([("b", "1 2"), ("a", "é/"), ("b", "")]) == "b=1%202&a=%C3%A9%2F&b="
    assert write_query({"expand": ["x", "y"]}) == "expand%5B0%5D=x&expand%5B1%5D=y"
    assert write_query(()) == ""
