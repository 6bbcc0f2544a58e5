"""JSON that a vendor wrote badly: what comes out can be kept and reckoned with, or it is no JSON."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from accord.connect.answer import Answer
from accord.connect.wire import NotJson, read_foreign, read_json


def test_what_no_database_keeps_is_replaced_where_a_vendor_wrote_it() -> None:
    body = b'{"message":"a\\u0000b","code":"\\ud800x","n":[{"\\u0000":"\\\\u0000"}]}'
    replaced = {"message": "a\ufffdb", "code": "\ufffdx", "n": [{"\ufffd": "\\u0000"}]}
    assert read_foreign(body) == replaced
    assert Answer(400, {}, body).json() == replaced


def test_a_pair_of_surrogates_is_a_character_like_any_other() -> None:
    assert read_foreign(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("number", [b"1e400", b"-1E+99", b"0.1e-99", b"1e99999999999999999999", b"9" * 5000])
def test_a_number_nobody_means_is_no_json(number: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(b'{"amount":' + number + b"}")


def test_whole_numbers_beyond_64_bits_stay_exact() -> None:
    assert read_json(b"[18446744073709551617, 999999999999999999, -7]") == [
        Decimal(18446744073709551617), 999999999999999999, -7]  # fmt: skip


@pytest.mark.parametrize("body", ['{"a":1}'.encode("utf-16"), b'"\xed\xa0\x80"', b"[" * 100_000])
def test_only_utf_8_that_ends_is_read(body: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(body)


@pytest.mark.parametrize("inside", ["[{}]", "[1, {}]", '{{"a": 1, "b": {}}}'])
def test_what_is_nested_beyond_all_use_is_no_json(inside: str) -> None:
    """Whoever records an answer copies it level by level; brackets within text are none."""
    deep = "0"
    for _ in range(100):
        deep = inside.replace("{}", deep, 1) if "{{" not in inside else inside.format(deep)
    assert read_json(deep.encode()) is not None
    with pytest.raises(NotJson, match="more than 100 deep"):
        read_json(f"[{deep}]".encode())
    assert read_json(json.dumps(["[{" * 200 + '"', "]"]).encode()) == ["[{" * 200 + '"', "]"]
