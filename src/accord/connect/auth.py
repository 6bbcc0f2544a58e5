"""How a connection proves who it is: an authenticator made from its credentials. A token lives in memory only.

    StaticBearer              a key that does not change (Stripe)
    TokenGrant                a token bought from an OAuth 2 token endpoint, renewed once when the vendor refuses it:
        jwt_bearer            signed assertion, RS256 (Salesforce, vendors.md 1.2)
        client_credentials    id and secret, in the form or by Basic (Salesforce My Domain, Entra)
        client_assertion      id and signed assertion, PS256 or ES256 (NetSuite M2M, vendors.md 2.4)
    OAuth1                    every request signed, HMAC-SHA256 with realm (NetSuite TBA, on its way out)

The clock is passed in. Times in tokens are the vendor's business: a clock more than a few minutes off is refused there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from accord.connect.authenticator import Authenticator, NoAuth, Outgoing, StaticBearer
from accord.connect.failures import AccessRefused
from accord.connect.oauth1 import OAuth1
from accord.connect.token_grant import TokenGrant
from accord.connect.wire import write_form

__all__ = [
    "Authenticator",
    "NoAuth",
    "OAuth1",
    "StaticBearer",
    "TokenGrant",
    "client_assertion",
    "client_credentials",
    "jwt_bearer",
]


def jwt_bearer(
    *,
    token_url: str,
    issuer: str,
    subject: str,
    audience: str,
    private_key: str,
    life_seconds: int = 180,
    **grant: Any,
) -> TokenGrant:
    """The JWT bearer grant, RS256 only; the assertion lives about 3 minutes (vendors.md 1.2)."""

    def request(at: datetime) -> Outgoing:
        claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": _epoch(at) + life_seconds}
        assertion = _signed(claims, "RS256", private_key, {})
        grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return _form_request(token_url, {"grant_type": grant_type, "assertion": assertion})

    return TokenGrant(request, hidden=(private_key,), **grant)


def client_credentials(
    *,
    token_url: str,
    client_id: str,
    client_secret: str,
    scope: str | None = None,
    basic: bool = False,
    **grant: Any,
) -> TokenGrant:
    """The client credentials grant; the secret goes into the form, or into a Basic header (RFC 6749, 2.3.1)."""
    form = {"grant_type": "client_credentials", "scope": scope}
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    encoded = base64.b64encode(pair.encode()).decode()
    headers = {"Authorization": f"Basic {encoded}"} if basic else {}
    if not basic:
        form |= {"client_id": client_id, "client_secret": client_secret}
    return TokenGrant(lambda _: _form_request(token_url, form, headers), hidden=(client_secret, encoded), **grant)


def client_assertion(
    *, token_url: str, client_id: str, certificate_id: str, private_key: str, scope: str, algorithm: str = "PS256",
    life_seconds: int = 300, **grant: Any,
) -> TokenGrant:  # fmt: skip
    """NetSuite's M2M: an assertion signed with PS256 or ES256, aud = the token URL (vendors.md 2.4)."""

    def request(at: datetime) -> Outgoing:
        issued = _epoch(at)
        claims = {
            "iss": client_id,
            "scope": scope,
            "aud": token_url,
            "iat": issued,
            "exp": issued + life_seconds,
        }
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": _signed(claims, algorithm, private_key, {"kid": certificate_id}),
        }
        return _form_request(token_url, form)

    return TokenGrant(request, hidden=(private_key,), **grant)


@lru_cache(maxsize=16)
def _key(family: str, private_key: str) -> ECKey | RSAKey:
    """Reading an RSA key checks its primes, which takes longer than everything else about a token."""
    return (ECKey if family == "ES" else RSAKey).import_key(private_key)


def _signed(claims: dict[str, Any], algorithm: str, private_key: str, header: dict[str, str]) -> str:
    try:
        key = _key(algorithm[:2], private_key)
        return jwt.encode({"typ": "JWT", "alg": algorithm, **header}, claims, key, algorithms=[algorithm])
    except Exception as error:  # noqa: BLE001  (joserfc and cryptography each have their own for a bad key)
        kind = type(error).__name__  # the message may quote the key
        raise AccessRefused("bad_private_key", f"the private key cannot sign with {algorithm} ({kind})") from None


def _form_request(url: str, form: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Outgoing:
    standard = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return Outgoing("POST", url, {**standard, **(headers or {})}, write_form(form))


def _epoch(at: datetime) -> int:
    return int(at.timestamp())
