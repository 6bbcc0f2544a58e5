"""Logging in: what is signed is what the vendor's own rules say, by other libraries' word."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote

import pytest
from authlib.oauth1.rfc5849.signature import generate_signature_base_string
from authlib.oauth1.rfc5849.wrapper import OAuth1Request
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from accord.connect.answer import Answer
from accord.connect.auth import OAuth1, StaticBearer, TokenGrant, client_assertion, client_credentials, jwt_bearer
from accord.connect.authenticator import Outgoing
from accord.connect.failures import AccessRefused, AnswerLost, NotSent
from accord.connect.wire import write_json

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SIGNED_AT = datetime.fromtimestamp(1795000000, UTC)

# Authorization headers made by oauthlib 4.0.1 with these secrets, nonce and timestamp: an implementation not ours.
BY_OAUTHLIB = [
    (
        "GET",
        "https://1.suitetalk.api.netsuite.com/services/rest/record/v1/customer/eid%3ACUS-1?limit=2&q=name%20IS%20%22%C3%A9%22",
        None,
        None,
        'oauth_signature="FcjDKF6Sc6mPMco75Xn2TMOoPiTe%2FJFKOYrYiaqHl5w%3D"',
    ),
    (
        "POST",
        "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/query/v1/suiteql?limit=1000&offset=0",
        '{"q":"SELECT id FROM job WHERE name = \'Müller & Söhne\'"}',
        "application/json",
        (
            'oauth_body_hash="K3QEc7T4wwgnDKH7Mgph6U%2B%2BJlQ%3D", '
            'oauth_signature="tWEQCuTzwkzFy%2BFS3gQoVhiQ6ja3LkHxLzuvhDA%2FB2g%3D"'
        ),
    ),
    (
        "PUT",
        "https://localhost:8443/services/rest/record/v1/customer/eid:CUS-1",
        '{"companyName":"A"}',
        "application/json",
        (
            'oauth_body_hash="3L8PLPP0AI4tTMty9soZQXJgpSM%3D", '
            'oauth_signature="SK25h9qy%2FcUB1tPUz0ZqH%2FhqMMC%2FgW8rxZtR4GMosW0%3D"'
        ),
    ),
    (
        "POST",
        "https://localhost:8443/x?b=2&a=1&a=0&empty=",
        "c=3&d=%2F+",
        "application/x-www-form-urlencoded",
        'oauth_signature="UbM5R0Px4%2FlJ9xIFNUUOeY0H7%2BtQ25i1NPIXlfaT2Lk%3D"',
    ),
]


def tba() -> OAuth1:
    return OAuth1(
        consumer_key="ck-123",
        consumer_secret="cs & secret",
        token="tk-456",
        token_secret="ts/secret",
        realm="1234567_SB1",
        nonce=lambda: "abcdef0123456789",
    )


@pytest.mark.parametrize(("method", "url", "body", "kind", "expected"), BY_OAUTHLIB)
def test_a_request_is_signed_as_oauthlib_signs_it(
    method: str, url: str, body: str | None, kind: str | None, expected: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    request = Outgoing(method, url, headers, body.encode() if body else None)
    signed = tba().sign(request, lambda: SIGNED_AT)["Authorization"]
    assert signed == (
        'OAuth realm="1234567_SB1", oauth_nonce="abcdef0123456789", oauth_timestamp="1795000000", '
        'oauth_version="1.0", oauth_signature_method="HMAC-SHA256", oauth_consumer_key="ck-123", '
        f'oauth_token="tk-456", {expected}'
    )


def test_the_base_string_is_the_one_authlib_checks() -> None:
    """authlib's server side, reading our header, rebuilds what we signed."""
    url = "https://localhost:8443/services/rest/query/v1/suiteql?limit=5&limit=6"
    request = Outgoing("POST", url, {"Content-Type": "application/json"}, write_json({"q": "SELECT 1"}))
    read = OAuth1Request("POST", url, body=None, headers=tba().sign(request, lambda: SIGNED_AT))
    text = generate_signature_base_string(read)
    digest = hmac.new(b"cs%20%26%20secret&ts%2Fsecret", text.encode(), hashlib.sha256).digest()
    assert unquote(read.oauth_params["oauth_signature"]) == base64.b64encode(digest).decode()


def test_two_requests_are_never_signed_alike() -> None:
    auth = OAuth1(consumer_key="a", consumer_secret="b", token="c", token_secret="d", realm="R")
    request = Outgoing("GET", "https://x/y", {})
    assert auth.sign(request, lambda: NOW) != auth.sign(request, lambda: NOW)


class Endpoint:
    """A token endpoint that keeps what it was asked and answers what it is told."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[Outgoing] = []
        self.answers = list(answers)

    async def __call__(self, request: Outgoing) -> Answer:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def form(self) -> dict[str, str]:
        assert self.asked[-1].body is not None
        return {name: values[0] for name, values in parse_qs(self.asked[-1].body.decode()).items()}


def selling(token: str = "tok", **reply: object) -> Answer:
    return Answer(200, {}, write_json({"access_token": token, "token_type": "Bearer", **reply}))


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def test_salesforce_gets_an_rs256_assertion_of_three_minutes() -> None:
    """vendors.md 1.2: iss, sub, aud, exp about three minutes ahead."""
    endpoint = Endpoint(selling())
    auth = jwt_bearer(
        token_url="https://login/services/oauth2/token",
        issuer="consumer",
        subject="user@firm",
        audience="https://login.salesforce.com",
        private_key=pem(RSA_KEY),
    )
    await auth.prepare(endpoint, lambda: NOW)
    read = jwt.decode(endpoint.form["assertion"], RSAKey.import_key(public_pem(RSA_KEY)), algorithms=["RS256"])
    assert read.header["alg"] == "RS256"
    assert read.claims == {
        "iss": "consumer",
        "sub": "user@firm",
        "aud": "https://login.salesforce.com",
        "exp": int(NOW.timestamp()) + 180,
    }
    assert endpoint.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert auth.sign(Outgoing("GET", "", {}), lambda: NOW) == {"Authorization": "Bearer tok"}


@pytest.mark.parametrize(("algorithm", "key"), [("PS256", RSA_KEY), ("ES256", EC_KEY)])
async def test_netsuite_gets_a_client_assertion(
    algorithm: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    """vendors.md 2.4: kid = certificate id, aud = the token URL, exp within the hour."""
    endpoint = Endpoint(selling())
    url = "https://1.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
    auth = client_assertion(
        token_url=url, client_id="cid", certificate_id="cert-1", private_key=pem(key), scope="rest_webservices",
        algorithm=algorithm,
    )  # fmt: skip
    await auth.prepare(endpoint, lambda: NOW)
    public = (ECKey if algorithm == "ES256" else RSAKey).import_key(public_pem(key))
    read = jwt.decode(endpoint.form["client_assertion"], public, algorithms=[algorithm])
    assert (read.header["kid"], read.header["typ"], read.header["alg"]) == ("cert-1", "JWT", algorithm)
    assert (read.claims["aud"], read.claims["iss"], read.claims["scope"]) == (url, "cid", "rest_webservices")
    assert 0 < read.claims["exp"] - read.claims["iat"] <= 3600


async def test_client_credentials_go_into_the_form_or_a_basic_header() -> None:
    endpoint = Endpoint(selling())
    for basic in (False, True):
        auth = client_credentials(token_url="u", client_id="a:b", client_secret="c/d", scope="s", basic=basic)
        await auth.prepare(endpoint, lambda: NOW)
    in_form, in_header = endpoint.asked
    assert b"client_secret=c%2Fd" in (in_form.body or b"")
    assert b"secret" not in (in_header.body or b"")
    assert base64.b64decode(in_header.headers["Authorization"].removeprefix("Basic ")) == b"a%3Ab:c%2Fd"


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    endpoint = Endpoint(selling("one", expires_in=3600), selling("two", expires_in=3600))
    auth = client_credentials(token_url="u", client_id="a", client_secret="b")
    for minutes in (0, 30, 58):
        await auth.prepare(endpoint, lambda minutes=minutes: NOW + timedelta(minutes=minutes))
    assert len(endpoint.asked) == 1
    await auth.prepare(endpoint, lambda: NOW + timedelta(minutes=59, seconds=1))
    assert len(endpoint.asked) == 2
    assert "two" in str(auth.sign(Outgoing("GET", "", {}), lambda: NOW))


async def test_a_token_of_a_short_life_is_used_for_half_of_it() -> None:
    endpoint = Endpoint(selling(expires_in=20))
    auth = client_credentials(token_url="u", client_id="a", client_secret="b")
    for seconds in (0, 9, 11):
        await auth.prepare(endpoint, lambda seconds=seconds: NOW + timedelta(seconds=seconds))
    assert len(endpoint.asked) == 2


async def test_a_token_refused_at_once_is_not_bought_again_and_again() -> None:
    endpoint = Endpoint(selling())
    auth = client_credentials(token_url="u", client_id="a", client_secret="b")
    await auth.prepare(endpoint, lambda: NOW)
    refused = Answer(401)
    assert await auth.renew(auth.ticket(), refused, endpoint, lambda: NOW)
    assert not await auth.renew(auth.ticket(), refused, endpoint, lambda: NOW + timedelta(seconds=5))
    assert await auth.renew(auth.ticket(), refused, endpoint, lambda: NOW + timedelta(seconds=60))
    assert len(endpoint.asked) == 3


async def test_a_renewed_token_that_worked_may_expire_at_once_again() -> None:
    endpoint = Endpoint(selling())
    auth = client_credentials(token_url="u", client_id="a", client_secret="b")
    await auth.prepare(endpoint, lambda: NOW)
    assert await auth.renew(auth.ticket(), Answer(401), endpoint, lambda: NOW)
    auth.worked(auth.ticket())
    assert await auth.renew(auth.ticket(), Answer(401), endpoint, lambda: NOW)


async def test_a_key_that_cannot_sign_is_said_without_quoting_it() -> None:
    auth = jwt_bearer(token_url="u", issuer="i", subject="s", audience="a", private_key="not a key at all")
    with pytest.raises(AccessRefused) as failed:
        await auth.prepare(Endpoint(selling()), lambda: NOW)
    assert "not a key" not in str(failed.value)
    with pytest.raises(AccessRefused, match="PS256"):
        await client_assertion(
            token_url="u", client_id="c", certificate_id="k", private_key=pem(EC_KEY), scope="s"
        ).prepare(Endpoint(selling()), lambda: NOW)


async def test_no_answer_about_a_token_means_nothing_was_sent() -> None:
    async def lost(_: Outgoing) -> Answer:
        raise AnswerLost("reset")

    with pytest.raises(NotSent) as failed:
        await client_credentials(token_url="u", client_id="a", client_secret="b").prepare(lost, lambda: NOW)
    assert failed.value.outage


def test_representations_hold_no_secret() -> None:
    secret = "hush-hush-hush"
    grant = client_credentials(token_url="u", client_id="a", client_secret=secret)
    shown = f"{StaticBearer(secret)!r} {grant!r} {tba()!r} {Outgoing('GET', 'u', {'Authorization': secret})!r}"
    assert secret not in shown
    assert secret in grant.secrets()


def test_signing_before_there_is_a_token_is_not_sent() -> None:
    with pytest.raises(NotSent):
        TokenGrant(lambda _: Outgoing("POST", "u", {})).sign(Outgoing("GET", "", {}), lambda: NOW)


@pytest.mark.parametrize("life", [10**18, -(10**18), 10**15])
async def test_a_token_whose_life_is_beyond_every_calendar_is_used_all_the_same(life: int) -> None:
    auth = client_credentials(token_url="https://login", client_id="cid", client_secret="secret-1")
    await auth.prepare(Endpoint(selling(expires_in=life)), lambda: NOW)
    assert auth.sign(Outgoing("GET", "", {}), lambda: NOW) == {"Authorization": "Bearer tok"}


@pytest.mark.parametrize("token", ["tok\r\nX-Evil: 1", " ", "t\u00f6k"])
async def test_a_token_that_is_no_header_is_refused(token: str) -> None:
    auth = client_credentials(token_url="https://login", client_id="cid", client_secret="secret-1")
    with pytest.raises(AccessRefused, match="without an access_token"):
        await auth.prepare(Endpoint(selling(token)), lambda: NOW)


@pytest.mark.parametrize("address", ["http://org.example", ["https://org.example"], {"a": 1}, "file:///etc/passwd"])
async def test_the_host_a_token_reply_names_is_https_or_nothing(address: object) -> None:
    auth = client_credentials(
        token_url="https://login", client_id="cid", client_secret="secret-1", base_url_member="instance_url"
    )
    with pytest.raises(AccessRefused, match="instance_url"):
        await auth.prepare(Endpoint(selling(instance_url=address)), lambda: NOW)
    assert auth.address() is None
