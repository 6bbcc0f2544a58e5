"""OAuth 2 at `/services/oauth2/`: JWT bearer, client credentials, refresh token; sessions that expire or are revoked.

Tokens live by the wall clock, so that shifting the business clock logs nobody out. Shapes: vendors.md 1.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from random import Random
from string import ascii_letters, digits
from typing import Any
from urllib.parse import parse_qsl, unquote

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from accord.sandbox.kit.simulator import Clock, Request
from accord.sandbox.salesforce.call import Reply
from accord.sandbox.salesforce.refusals import Refused, invalid_session
from accord.sandbox.salesforce.schema import Row

LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")
SESSION_SECONDS = 7200.0  # an org setting, 2 hours unless changed (vendors.md 1.2)
_LONGEST_ASSERTION = timedelta(minutes=5)  # exp further ahead is taken as a mistake
_SKEW = timedelta(minutes=3)


class TokenRefused(Exception):
    """The token endpoint refuses: `{error, error_description}`."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class _Session:
    user_id: str
    until: datetime


@cache
def _a_key() -> str:
    """One for the whole process: making it takes a tenth of a second, and a simulation makes a vendor for each seed."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Tokens:
    """One connected app, one integration user it runs as, and the sessions it opened."""

    def __init__(self, wall: Clock, random: Random, org_id: str, user: Row) -> None:
        self._wall = wall
        self._random = random
        self.org_id = org_id
        self.user = user
        self.session_seconds = SESSION_SECONDS
        self.consumer_key = f"3MVG9{self._noise(80)}"
        self.consumer_secret = self._noise(64, "0123456789ABCDEF")
        self.refresh_token = f"5Aep861{self._noise(72)}"
        self.approved = True
        self._sessions: dict[str, _Session] = {}

    @property
    def private_key(self) -> str:
        """The key the app signs its assertions with (PEM); its public half is registered with the app."""
        return _a_key()

    def session(self, headers: Mapping[str, str]) -> str:
        """The user a request runs as. Raises Refused INVALID_SESSION_ID."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            raise invalid_session()
        session = self._sessions.get(token.strip())
        if session is None or session.until <= self._wall.now():
            raise invalid_session()
        return session.user_id

    def open(self, user_id: str | None = None) -> str:
        """A new access token."""
        token = f"{self.org_id[:15]}!{self._noise(96, ascii_letters + digits + '._')}"
        until = self._wall.now() + timedelta(seconds=self.session_seconds)
        self._sessions[token] = _Session(user_id or self.user["Id"], until)
        return token

    def revoke(self) -> int:
        """Forget every access token."""
        count = len(self._sessions)
        self._sessions.clear()
        return count

    def answer(self, request: Request, base_url: str) -> Reply:
        """`token`, `revoke`, `userinfo`."""
        action = request.path.removeprefix("/services/oauth2/")
        if action == "userinfo":
            return self._userinfo(request, base_url)
        if request.method != "POST" or action not in ("token", "revoke"):
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        form |= {name: value for name, value in request.query if name not in form}
        if action == "revoke":
            self._sessions.pop(form.get("token", ""), None)
            return Reply(200)
        try:
            self._grant(form, request, base_url)
        except TokenRefused as refused:
            return Reply(refused.status, {"error": refused.error, "error_description": refused.description})
        return Reply(200, self._granted(base_url, form.get("grant_type", "")))

    def _grant(self, form: dict[str, str], request: Request, base_url: str) -> None:
        match form.get("grant_type"):
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                self._check_assertion(form.get("assertion", ""), base_url)
            case "client_credentials":
                if request.host.split(":")[0] in LOGIN_HOSTS:
                    raise TokenRefused("invalid_grant", "request not supported on this domain")
                self._check_client(form, request.headers)
            case "refresh_token":
                self._check_client(form, request.headers, secret_needed=False)
                if form.get("refresh_token") != self.refresh_token:
                    raise TokenRefused("invalid_grant", "expired access/refresh token")
            case None | "":
                raise TokenRefused("invalid_request", "must specify grant_type")
            case _:
                raise TokenRefused("unsupported_grant_type", "grant type not supported")
        if not self.approved:
            raise TokenRefused("invalid_grant", "user hasn't approved this consumer")

    @cached_property
    def _key(self) -> RSAKey:
        return RSAKey.import_key(self.private_key)

    def _check_assertion(self, assertion: str, base_url: str) -> None:
        """RS256 only; iss the consumer key, sub the user, aud the login host, exp a few minutes ahead."""
        try:
            claims = jwt.decode(assertion, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError, TypeError):
            raise TokenRefused("invalid_grant", "invalid assertion") from None
        if claims.get("iss") != self.consumer_key:
            raise TokenRefused("invalid_client_id", "client identifier invalid")
        if claims.get("aud") not in (*(f"https://{host}" for host in LOGIN_HOSTS), base_url):
            raise TokenRefused("invalid_grant", "audience is invalid")
        expires = _seconds(claims.get("exp"))
        now = self._wall.now().timestamp()
        latest = now + (_LONGEST_ASSERTION + _SKEW).total_seconds()
        if expires is None or not now <= expires <= latest:
            raise TokenRefused("invalid_grant", "expired authorization code")
        if claims.get("sub") != self.user["Username"]:
            raise TokenRefused("invalid_grant", "user hasn't approved this consumer")

    def _check_client(self, form: Mapping[str, str], headers: Mapping[str, str], *, secret_needed: bool = True) -> None:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if not client_id:
            client_id, secret = _basic(headers.get("authorization", ""))
        if client_id != self.consumer_key:
            raise TokenRefused("invalid_client_id", "client identifier invalid")
        if (secret or secret_needed) and secret != self.consumer_secret:
            raise TokenRefused("invalid_client", "invalid client credentials")

    def _granted(self, base_url: str, grant_type: str) -> dict[str, Any]:
        scope = "api" if grant_type == "client_credentials" else "api refresh_token"
        return {
            "access_token": self.open(),
            "signature": base64.b64encode(self._noise(32).encode()).decode(),
            "scope": scope,
            "instance_url": base_url,
            "id": f"https://login.salesforce.com/id/{self.org_id}/{self.user['Id']}",
            "token_type": "Bearer",
            "issued_at": str(int(self._wall.now().timestamp() * 1000)),
        }

    def _userinfo(self, request: Request, base_url: str) -> Reply:
        self.session(request.headers)
        user = self.user
        return Reply(200, {
            "sub": f"https://login.salesforce.com/id/{self.org_id}/{user['Id']}",
            "user_id": user["Id"],
            "organization_id": self.org_id,
            "preferred_username": user["Username"],
            "name": user["Name"],
            "email": user["Email"],
            "active": user["IsActive"],
            "urls": {"rest": f"{base_url}/services/data/v{{version}}/", "custom_domain": base_url},
        })  # fmt: skip

    def _noise(self, length: int, letters: str = ascii_letters + digits) -> str:
        return "".join(self._random.choices(letters, k=length))


def _seconds(value: Any) -> float | None:
    """Epoch seconds; simple-salesforce sends them as text and is understood."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(name), unquote(secret)
