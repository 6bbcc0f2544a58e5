"""OAuth 1.0a request signing: NetSuite's token-based authentication, on its way out (vendors.md 0.4, 2.4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

from authlib.oauth1.rfc5849.signature import construct_base_string

from accord.connect.authenticator import Clock, Outgoing, Unchanging


class OAuth1(Unchanging):
    """OAuth 1.0a, HMAC-SHA256, token-based (vendors.md 2.4): realm is the account id, upper-case with underscore.

    The body hash (SHA-1, by the OAuth body-hash draft) is sent for bodies that are not forms, as the netsuite client
    does; the server has to sign over it (vendors.md 0.12).
    """

    def __init__(
        self, *, consumer_key: str, consumer_secret: str, token: str, token_secret: str, realm: str,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:  # fmt: skip
        self._identity = (consumer_key, token)
        self._key = f"{_escaped(consumer_secret)}&{_escaped(token_secret)}".encode()
        self._hidden = (consumer_secret, token_secret, token, consumer_key)
        self._realm = realm
        self._nonce = nonce

    def sign(self, request: Outgoing, now: Clock) -> Mapping[str, str]:
        named = {name.lower(): value for name, value in request.headers.items()}
        is_form = named.get("content-type", "").startswith("application/x-www-form-urlencoded")
        oauth = self._parameters(now(), None if is_form else request.body)
        signed = [*parse_qsl(urlsplit(request.url).query, keep_blank_values=True), *oauth]
        if is_form and request.body:
            signed += parse_qsl(request.body.decode(), keep_blank_values=True)
        text = construct_base_string(request.method, request.url, signed)
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        oauth.append(("oauth_signature", base64.b64encode(digest).decode()))
        listed = ", ".join(f'{name}="{_escaped(value)}"' for name, value in [("realm", self._realm), *oauth])
        return {"Authorization": f"OAuth {listed}"}

    def secrets(self) -> tuple[str, ...]:
        return self._hidden

    def _parameters(self, at: datetime, body: bytes | None) -> list[tuple[str, str]]:
        consumer_key, token = self._identity
        parameters = [
            ("oauth_nonce", self._nonce()),
            ("oauth_timestamp", str(int(at.timestamp()))),
            ("oauth_version", "1.0"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_consumer_key", consumer_key),
            ("oauth_token", token),
        ]
        if body:
            digest = hashlib.sha1(body).digest()  # noqa: S324  (the draft knows no other; the HMAC protects it)
            parameters.append(("oauth_body_hash", base64.b64encode(digest).decode()))
        return parameters


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")
