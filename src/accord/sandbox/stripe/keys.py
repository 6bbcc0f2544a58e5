"""API keys: who is calling and what the key may do."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.refusals import Refused

_LEVELS = {"none": 0, "read": 1, "write": 2}


class ApiKeys:
    """One secret key with every permission, one restricted key with the permissions given to it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.secret = account.new_id("sk_test", 40)
        self.restricted = account.new_id("rk_test", 40)
        self._expired: set[str] = set()
        self._permissions: Mapping[str, str] | None = None

    def restrict(self, permissions: Mapping[str, str]) -> None:
        self._permissions = dict(permissions)

    def expire(self) -> None:
        """Roll the secret key: the one known so far is refused from now on."""
        self._expired.add(self.secret)
        self.secret = self._account.new_id("sk_test", 40)

    def check(self, headers: Mapping[str, str], method: str, resource: str) -> None:
        """Raises Refused: 401 for no or a wrong key, 403 when the restricted key lacks the permission."""
        key = _key_of(headers.get("authorization", ""))
        if key is None:
            raise Refused(
                401,
                "You did not provide an API key. You need to provide your API key in the Authorization "
                "header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                headers={"www-authenticate": 'Bearer realm="Stripe"'},
            )
        if key in self._expired:
            raise Refused(401, f"Expired API Key provided: {_masked(key)}", code="api_key_expired")
        if key not in (self.secret, self.restricted):
            raise Refused(401, f"Invalid API Key provided: {_masked(key)}")
        if key == self.restricted and self._permissions is not None:
            needed = "read" if method == "GET" else "write"
            if _LEVELS.get(self._permissions.get(resource, "none"), 0) < _LEVELS[needed]:
                raise Refused(
                    403,
                    f"The provided key '{_masked(key)}' does not have the required permissions for this "
                    "endpoint. "
                    f"Having the '{resource}_{needed}' permission would allow this request to continue.",
                    code="insufficient_permissions",
                )


def _key_of(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest, validate=True).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _masked(key: str) -> str:
    return f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
