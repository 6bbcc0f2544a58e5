"""OAuth 2.0 client credentials (M2M): certificates mapped to an integration, assertions, tokens (vendors.md 2.4)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from accord.sandbox.kit.simulator import Clock, Request, Response

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105  (an address, not a secret)
ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")  # RS256 is not accepted
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_LIFE = timedelta(hours=1)
_LONGEST_ASSERTION = 3600
_SKEW = 60
_HEX = "0123456789abcdef"


class TokenRefused(Exception):
    """RFC 6749 error of the token endpoint: `{error, error_description}`, HTTP 400."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class Logins:
    """The integration's client id, the certificates mapped to it, the tokens given out. Times are of the wall clock."""

    def __init__(self, *, account_id: str, wall: Clock, random: Random, role: str = "1042;17") -> None:
        self.account_id, self.wall, self.random, self.role = account_id, wall, random, role
        self.client_id = self._hex(64)
        self._public: dict[str, ECKey | RSAKey] = {}
        self._private: dict[str, tuple[str, str]] = {}  # algorithm -> certificate id, key in PEM
        self._tokens: dict[str, datetime] = {}

    def credentials(self, algorithm: str = "ES256") -> dict[str, str]:
        """The client id and a certificate for ES256 or PS256, made when first asked for, and anew after a refresh."""
        if algorithm not in self._private:
            self._map(algorithm)
        certificate_id, private_key = self._private[algorithm]
        return {
            "client_id": self.client_id,
            "certificate_id": certificate_id,
            "algorithm": algorithm,
            "private_key": private_key,
        }

    def wipe(self) -> None:
        """What a sandbox refresh does: every mapping and token is gone (vendors.md 2.4)."""
        self._public.clear()
        self._private.clear()
        self._tokens.clear()

    def expire(self) -> None:
        self._tokens.clear()

    def accepts(self, token: str) -> bool:
        until = self._tokens.get(token)
        return until is not None and self.wall.now() < until

    def token(self, request: Request, base: str) -> Response:
        """Answer a request to the token endpoint."""
        try:
            self._check(dict(parse_qsl(request.body.decode("utf-8", "replace"))), base)
        except TokenRefused as refusal:
            body = {"error": refusal.error, "error_description": str(refusal)}
            return Response(400, orjson.dumps(body), {"content-type": "application/json"})
        reply = {
            "access_token": self._grant(),
            "expires_in": str(int(TOKEN_LIFE.total_seconds())),
            "token_type": "Bearer",
        }
        return Response(200, orjson.dumps(reply), {"content-type": "application/json", "cache-control": "no-store"})

    def _check(self, form: Mapping[str, str], base: str) -> None:
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise TokenRefused("invalid_request", "client_assertion_type and client_assertion are required")
        claims = self._claims(form["client_assertion"])
        if claims.get("iss") != self.client_id:
            raise TokenRefused("invalid_client", "iss is not the client id of an integration")
        slug = self.account_id.lower().replace("_", "-")
        mine = {f"{base}{TOKEN_PATH}", f"https://{slug}.suitetalk.api.netsuite.com{TOKEN_PATH}"}
        aud = claims.get("aud")
        if not mine & set(aud if isinstance(aud, list) else [aud]):
            raise TokenRefused("invalid_grant", "aud is not the address of this token endpoint")
        scope = claims.get("scope")
        if "rest_webservices" not in (scope if isinstance(scope, list) else str(scope).replace(" ", "").split(",")):
            raise TokenRefused("invalid_scope", "scope must hold rest_webservices")
        self._check_times(claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self.wall.now().timestamp()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise TokenRefused("invalid_grant", "iat and exp are required")
        if expires - issued > _LONGEST_ASSERTION:
            raise TokenRefused("invalid_grant", "exp must be at most 60 minutes after iat")
        if expires <= now - _SKEW or issued > now + _SKEW:
            raise TokenRefused("invalid_grant", "the assertion is not valid now")

    def _claims(self, assertion: str) -> Mapping[str, Any]:
        header = _header(assertion)
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefused("invalid_client", f"the algorithm {header.get('alg')} is not accepted")
        key = self._public.get(str(header.get("kid")))
        if key is None:
            raise TokenRefused("invalid_client", "kid is not a certificate mapped to this account")
        try:
            return dict(jwt.decode(assertion, key, algorithms=[header["alg"]]).claims)
        except (JoseError, ValueError) as error:
            raise TokenRefused(
                "invalid_client", f"the assertion's signature is not valid ({type(error).__name__})"
            ) from None

    def _grant(self) -> str:
        """A token in the shape of the real one, a PS256 JWT with sub `role;entity`; its signature part is random,
        since this account recognises its own tokens by looking them up."""
        now = self.wall.now()
        until = now + TOKEN_LIFE
        claims = {"sub": self.role, "aud": [self.account_id], "iss": "https://system.netsuite.com",
                  "exp": int(until.timestamp()), "iat": int(now.timestamp()), "jti": self._hex(16)}  # fmt: skip
        parts = (orjson.dumps({"typ": "JWT", "alg": "PS256"}), orjson.dumps(claims), self.random.randbytes(96))
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        self._tokens[token] = until
        return token

    def _map(self, algorithm: str) -> None:
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
        if algorithm.startswith("ES"):
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        certificate_id = self._hex(40)
        self._private[algorithm] = (certificate_id, pem)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._public[certificate_id] = (ECKey if algorithm.startswith("ES") else RSAKey).import_key(public)

    def _hex(self, length: int) -> str:
        return "".join(self.random.choices(_HEX, k=length))


def _header(assertion: str) -> Mapping[str, Any]:
    try:
        part = assertion.split(".", maxsplit=1)[0]
        header = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise TokenRefused("invalid_request", "client_assertion is not a JWT")
    return header
