"""How a connection logs in: JWT bearer, client credentials, refresh token, or a session somebody opened elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.answer import Answer
from accord.connect.auth import Authenticator, StaticBearer, TokenGrant, client_credentials, jwt_bearer
from accord.connect.authenticator import Outgoing
from accord.connect.connector import Credential
from accord.connect.wire import write_form
from accord.errors import UsageError

CREDENTIALS = (
    Credential("client_id", "Consumer key of the External Client App", secret=False, required=False),
    Credential("username", "User the JWT bearer flow logs in as", secret=False, required=False),
    Credential("private_key", "Private key of the app's certificate (PEM), for JWT bearer", required=False),
    Credential("client_secret", "Consumer secret, for client credentials on the My Domain host", required=False),
    Credential("refresh_token", "Refresh token of a user who connected the app", required=False),
    Credential("session_id", "An access token got elsewhere; it ends with its session", required=False),
    Credential("audience", "Login host the JWT is for", secret=False, required=False,
               help="https://login.salesforce.com (the default), or https://test.salesforce.com for a sandbox."),
    Credential("organization_id", "Id of the org, 00D...", secret=False, required=False,
               help="Outbound messages of any other org are refused; without it all of them are."),
    Credential("push_secret", "Secret last part of the address outbound messages are sent to", required=False),
)  # fmt: skip

# 401s that a new token does not cure: the app is not attached to the org, the session may not use the REST API
# (vendors.md 1.2, jsforce).
_NOT_THE_TOKEN = ("app must be installed", "app not attached", "not valid for use with the rest api")


class NoWayIn(UsageError):
    """A Salesforce connection needs client_id, and private_key with username, or client_secret, or refresh_token."""


def auth(given: Mapping[str, Any]) -> Authenticator:
    """The strongest way the credentials allow; `grant` in the settings names another one. Raises NoWayIn."""
    wanted = given.get("grant")
    for name, needs in _WAYS.items():
        if wanted in (None, name) and all(given.get(each) for each in needs):
            return _authenticator(name, given)
    raise NoWayIn(NoWayIn.__doc__)


_WAYS = {
    "jwt_bearer": ("client_id", "username", "private_key"),
    "client_credentials": ("client_id", "client_secret"),
    "refresh_token": ("client_id", "refresh_token"),
    "session": ("session_id",),
}


def _authenticator(way: str, given: Mapping[str, Any]) -> Authenticator:
    if way == "session":
        return StaticBearer(str(given["session_id"]))
    token_url = str(given.get("token_url") or f"{str(given['base_url']).rstrip('/')}/services/oauth2/token")
    grant: dict[str, Any] = {"about_token": about_token, "base_url_member": "instance_url"}
    if way == "jwt_bearer":
        return jwt_bearer(
            token_url=token_url,
            issuer=str(given["client_id"]),
            subject=str(given["username"]),
            audience=str(given.get("audience") or "https://login.salesforce.com"),
            private_key=str(given["private_key"]),
            **grant,
        )
    if way == "client_credentials":
        return client_credentials(
            token_url=token_url, client_id=str(given["client_id"]), client_secret=str(given["client_secret"]), **grant
        )
    return _refreshing(token_url, given, grant)


def _refreshing(token_url: str, given: Mapping[str, Any], grant: Mapping[str, Any]) -> TokenGrant:
    form = {"grant_type": "refresh_token", "client_id": given["client_id"], "refresh_token": given["refresh_token"]}
    form["client_secret"] = given.get("client_secret")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    hidden = tuple(str(given[name]) for name in ("refresh_token", "client_secret") if given.get(name))
    return TokenGrant(lambda _: Outgoing("POST", token_url, headers, write_form(form)), hidden=hidden, **grant)


def about_token(answer: Answer) -> bool:
    """Whether a 401 is one that a new token cures."""
    words = answer.text().lower()
    return not any(each in words for each in _NOT_THE_TOKEN)
