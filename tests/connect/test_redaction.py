"""No secret survives in a text, in whatever dress it comes."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.connect.redaction import HIDDEN, Redaction, secret_values

SECRET = 'p@ss/"word +1'


@pytest.mark.parametrize(
    "dressed",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_known_secret_is_hidden_in_any_dress(dressed: str) -> None:
    hidden = Redaction([SECRET]).text(f"before {dressed} after")
    assert dressed.strip('"') not in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")


@given(st.text(min_size=6).filter(lambda text: len(text.strip()) >= 6 and text.strip() not in HIDDEN), st.text())
def test_a_known_secret_never_survives(secret: str, around: str) -> None:
    assert all(
        line.strip() not in Redaction([secret]).text(f"{around}{secret}{around}").replace(HIDDEN, "\n")
        for line in secret.splitlines()
        if len(line.strip()) >= 6
    )


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1cyJ9.c2lnbmF0dXJl",
        "sk_live_51HxYz0123456789",
        "whsec_abcdefghij0123456789",
        "00D5g000004XYZa!ARQAQOabc.def_ghi",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n-----END PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_hidden_unknown(secret: str) -> None:
    assert Redaction().text(f"it said {secret}.") in (f"it said {HIDDEN}.", f"it said {HIDDEN}")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer "),
        ("{'Authorization': 'Basic dXM6dGhlbQ=='}", "{'Authorization': 'Basic "),
        ('{"access_token": "abc123"}', '{"access_token": "'),
        ("grant_type=x&client_secret=abc123&scope=y", "grant_type=x&client_secret="),
        ('oauth_signature="abc123%3D", oauth_version="1.0"', 'oauth_signature="'),
    ],
)
def test_what_is_called_a_secret_is_hidden(text: str, kept: str) -> None:
    hidden = Redaction().text(text)
    assert hidden.startswith(kept + HIDDEN)
    assert "abc" not in hidden
    assert "dXM6" not in hidden


@pytest.mark.parametrize(
    "text",
    ["The invoice INV-ABCDEFGHIJKLMNOP is not open.", "the bearer of this note", "basic plan", "no such customer: US"],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert Redaction(["US", "", "x"]).text(text) == text


def test_a_private_key_is_hidden_line_by_line() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nAAAABBBBCCCC\nDDDDEEEEFFFF\n-----END PRIVATE KEY-----\n"
    assert Redaction([key]).text("line AAAABBBBCCCC") == f"line {HIDDEN}"


def test_a_redaction_learns_and_shows_nothing_of_it() -> None:
    redaction = Redaction()
    redaction.learn("token-of-today")
    assert redaction.text("token-of-today") == HIDDEN
    assert "token" not in repr(redaction)


def test_tokens_of_long_ago_are_forgotten_and_what_it_began_with_is_not() -> None:
    """A worker runs for months and buys a token an hour."""
    redaction = Redaction(["the-private-key"])
    for number in range(100):
        redaction.learn(f"token-{number:04}", f"token-{number:04}")
    assert redaction.text("token-0001 token-0099 the-private-key") == f"token-0001 {HIDDEN} {HIDDEN}"


def test_every_text_in_credentials_is_a_secret() -> None:
    found = secret_values({"a": "one", "b": {"c": ["two", {"d": "three"}]}, "n": 4})
    assert sorted(found) == ["one", "three", "two"]
