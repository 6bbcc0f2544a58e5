"""Token-based authentication (OAuth 1.0a, HMAC-SHA256): signed over all the client says (vendors.md 0.12, 2.4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from random import Random
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from accord.sandbox.kit.simulator import Clock, Request

WINDOW_SECONDS = 300  # how far oauth_timestamp may be off; NetSuite documents five minutes
_PARAMETER = re.compile(r'\s*([A-Za-z_]+)="([^"]*)"\s*(?:,|$)')
_HEX = "0123456789abcdef"


class TokenSignatures:
    """The consumer and token of one integration, and the nonces it has used. Times are of the wall clock."""

    def __init__(self, *, account_id: str, wall: Clock, random: Random) -> None:
        self.realm, self.wall, self.random = account_id.upper().replace("-", "_"), wall, random
        self._nonces: dict[str, float] = {}
        self.renew()

    def renew(self) -> None:
        """A new consumer and token; the ones before are not known any more."""
        self.consumer_key, self.consumer_secret = self._secret(), self._secret()
        self.token, self.token_secret = self._secret(), self._secret()

    def _secret(self) -> str:
        return "".join(self.random.choices(_HEX, k=64))

    def credentials(self) -> dict[str, str]:
        return {
            "consumer_key": self.consumer_key,
            "consumer_secret": self.consumer_secret,
            "token_id": self.token,
            "token_secret": self.token_secret,
        }

    def problem(self, request: Request, authorization: str) -> str | None:
        """Why the signature is refused, as a code of RFC 5849's problem reporting; None when it is good."""
        given = {name: unquote(value) for name, value in _PARAMETER.findall(authorization.partition(" ")[2])}
        if given.get("realm") != self.realm:
            return "realm_rejected"
        if given.get("oauth_consumer_key") != self.consumer_key:
            return "consumer_key_unknown"
        if given.get("oauth_token") != self.token:
            return "token_rejected"
        if given.get("oauth_signature_method") != "HMAC-SHA256":
            return "signature_method_rejected"
        if given.get("oauth_version", "1.0") != "1.0":
            return "version_rejected"
        return self._time_problem(given) or self._signature_problem(request, given) or self._nonce_problem(given)

    def _time_problem(self, given: dict[str, str]) -> str | None:
        stamp = given.get("oauth_timestamp", "")
        if not stamp.isdigit() or abs(self.wall.now().timestamp() - int(stamp)) > WINDOW_SECONDS:
            return "timestamp_refused"
        return None

    def _nonce_problem(self, given: dict[str, str]) -> str | None:
        nonce, now = given.get("oauth_nonce", ""), self.wall.now().timestamp()
        if not nonce or nonce in self._nonces:
            return "nonce_used"
        self._nonces[nonce] = now
        if len(self._nonces) > 4096:
            self._nonces = {each: at for each, at in self._nonces.items() if now - at <= 2 * WINDOW_SECONDS}
        return None

    def _signature_problem(self, request: Request, given: dict[str, str]) -> str | None:
        body_hash = given.get("oauth_body_hash")
        if body_hash is not None and body_hash not in _hashes(request.body):
            return "body_hash_invalid"
        key = f"{_escaped(self.consumer_secret)}&{_escaped(self.token_secret)}".encode()
        digest = hmac.new(key, base_string(request, given).encode(), hashlib.sha256).digest()
        right = hmac.compare_digest(base64.b64encode(digest).decode(), given.get("oauth_signature", ""))
        return None if right else "signature_invalid"


def base_string(request: Request, given: dict[str, str]) -> str:
    """Method, address without query, and all parameters sorted (RFC 5849, 3.4.1)."""
    pairs = [(name, value) for name, value in given.items() if name not in ("realm", "oauth_signature")]
    pairs += request.query
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs += parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    sorted_pairs = sorted((_escaped(name), _escaped(value)) for name, value in pairs)
    parameters = "&".join(f"{name}={value}" for name, value in sorted_pairs)
    path = urlsplit(request.raw_target).path if request.raw_target else quote(request.path, safe="/:!-._~")
    host = request.host.lower().removesuffix(":443")
    return "&".join(_escaped(part) for part in (request.method.upper(), f"https://{host}{path}", parameters))


def _hashes(body: bytes) -> tuple[str, ...]:
    return tuple(base64.b64encode(make(body).digest()).decode() for make in (hashlib.sha1, hashlib.sha256))


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")
