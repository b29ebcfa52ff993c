"""Tokens of an issuer: whose count, and for what."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from issuers import AUDIENCE, SmallIssuer, issuing
from keyholders import Guarded, bearer

from skipseg.models.errors import UsageError
from skipseg.service.settings import load_settings


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """The issuer lives in this process, where others may keep it from answering."""
    monkeypatch.setattr("skipseg.service.keys.issuer.PATIENCE_S", 30.0)


@pytest.fixture
def issuer() -> Iterator[SmallIssuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def trusting(issuer: SmallIssuer, guarded_with) -> Iterator[Guarded]:
    with guarded_with(oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as server:
        yield server


def status(server: Guarded, token: str) -> int:
    return server.client.get("/v1/info", headers=bearer(token)).status_code


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_a_token_of_the_issuer_lets_its_bearer_in(issuer, trusting, algorithm: str) -> None:
    assert status(trusting, issuer.token(algorithm)) == 200
    assert trusting.client.get("/v1/info").status_code == 401


def test_keys_count_beside_tokens(trusting) -> None:
    assert trusting.client.get("/v1/info", headers=trusting.with_key("read")).status_code == 200


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "lacks one of the claims"),
        ({"nbf": 2**33}, "not valid yet"),
        ({"aud": "others"}, "audience"),
        ({"aud": None}, "lacks"),
        ({"iss": "https://login.example"}, "another issuer"),
        ({"iss": None}, "lacks"),
        ({"sub": None}, "lacks"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(issuer, trusting, changed: dict[str, object], told: str) -> None:
    refused = trusting.client.get("/v1/info", headers=bearer(issuer.token(**changed)))
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert told in refused.json()["detail"]
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_a_token_that_somebody_else_signed_is_refused(issuer, trusting) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode(issuer.claims(), stranger, "RS256", headers={"kid": "rsa"})
    assert status(trusting, forged) == 401
    assert status(trusting, issuer.token()[:-8] + "AAAAAAAA") == 401


def test_a_token_cannot_choose_how_it_is_checked(issuer, trusting) -> None:
    """The public key is known to all, so as a shared secret it would let anybody sign; nor may nothing be signed."""
    public = issuer.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert status(trusting, signed_with_secret(issuer.claims(), public)) == 401
    assert status(trusting, jwt.encode(issuer.claims(), None, "none", headers={"kid": "rsa"})) == 401
    assert status(trusting, issuer.token("RS256", kid="ec")) == 401
    assert status(trusting, issuer.token("ES256", kid="rsa")) == 401


def signed_with_secret(claims: dict[str, object], secret: bytes) -> str:
    """HS256 by hand: libraries refuse to sign with a public key."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "rsa"}, claims)]
    text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    mac = hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize("token", ["a.b.c", "..", "[" * 8000, "e30.e30.e30", "\xe9"])
def test_what_is_no_token_is_refused(trusting, token: str) -> None:
    headers = [(b"Authorization", b"Bearer " + token.encode("latin-1"))]
    assert trusting.client.get("/v1/info", headers=headers).status_code == 401


def test_a_header_that_is_nested_without_end_is_refused(trusting) -> None:
    nested = base64.urlsafe_b64encode(b'{"a":' * 2000).decode().rstrip("=")
    assert status(trusting, f"{nested}.e30.e30") == 401


def test_a_token_without_a_scope_of_ours_may_do_nothing(issuer, trusting) -> None:
    assert status(trusting, issuer.token(scope="openid profile")) == 403
    assert status(trusting, issuer.token(scope=None)) == 403
    assert status(trusting, issuer.token(scope={"skipseg:read": True})) == 403


@pytest.mark.parametrize(
    "claim", [{"realm_access": {"roles": ["radiology"]}}, {"realm_access.roles": "staff radiology"}]
)
def test_claim_and_scopes_can_be_those_of_the_house(issuer, guarded_with, claim: dict[str, object]) -> None:
    mapping = {"radiology": ("read", "segment")}
    settings = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_scopes": mapping}
    with guarded_with(**settings, oidc_claim="realm_access.roles") as server:
        assert status(server, issuer.token(**claim)) == 200
        assert server.client.post("/v1/segmentations", headers=bearer(issuer.token(**claim))).status_code == 503
        assert status(server, issuer.token()) == 403


def test_the_issuer_is_asked_when_a_token_comes_and_not_for_each(issuer, trusting) -> None:
    assert issuer.asked == []
    for _ in range(5):
        assert status(trusting, issuer.token()) == 200
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_made_up_key_ids_do_not_make_the_server_call_the_issuer_for_each(issuer, trusting, monkeypatch) -> None:
    monkeypatch.setattr("skipseg.service.keys.issuer.BETWEEN_S", 3600.0)
    for number in range(20):
        assert status(trusting, issuer.token(kid=f"made up {number}")) == 401
    assert len(issuer.asked) == 2


def test_a_new_key_of_the_issuer_is_fetched(issuer, trusting, monkeypatch) -> None:
    monkeypatch.setattr("skipseg.service.keys.issuer.BETWEEN_S", 0.0)
    assert status(trusting, issuer.token()) == 200
    issuer.rsa_key = rsa.generate_private_key(65537, 2048)
    issuer.publish()
    issuer.answers["/keys"]["keys"][0]["kid"] = "next"
    assert status(trusting, issuer.token(kid="next")) == 200
    assert status(trusting, issuer.token(kid="rsa")) == 401


@pytest.mark.parametrize(
    "answers",
    [
        {"/.well-known/openid-configuration": None},
        {"/.well-known/openid-configuration": {"issuer": "https://login.example", "jwks_uri": "https://login.example"}},
        {"/keys": ["no object"]},
        {"/keys": {"keys": "no list"}},
        {"/keys": "/elsewhere"},
    ],
)
def test_an_issuer_that_does_not_tell_its_keys_lets_nobody_in(issuer, trusting, answers: dict[str, object]) -> None:
    keys = issuer.answers["/keys"]
    issuer.answers |= {"/elsewhere": keys} | answers
    refused = trusting.client.get("/v1/info", headers=bearer(issuer.token()))
    assert (refused.status_code, refused.json()["code"]) == (503, "issuer_unreachable")
    assert trusting.client.get("/v1/info", headers=trusting.with_key("read")).status_code == 200


def test_keys_that_were_fetched_count_while_the_issuer_is_away(guarded_with, monkeypatch) -> None:
    with ExitStack() as stack:
        issuer = stack.enter_context(issuing())
        server = stack.enter_context(guarded_with(oidc_issuer=issuer.url, oidc_audience=AUDIENCE))
        assert status(server, issuer.token()) == 200
        issuer.answers.clear()
        monkeypatch.setattr("skipseg.service.keys.issuer.FRESH_S", 0.0)
        monkeypatch.setattr("skipseg.service.keys.issuer.BETWEEN_S", 0.0)
        assert status(server, issuer.token()) == 200
        monkeypatch.setattr("skipseg.service.keys.issuer.KEPT_S", 0.0)
        assert status(server, issuer.token()) == 503


def test_the_audit_knows_a_bearer_again_without_naming_them(issuer, trusting) -> None:
    for token in (issuer.token(), issuer.token(exp=int(time.time()) + 60), issuer.token(sub="john")):
        trusting.client.post("/v1/segmentations", headers=bearer(token))
    callers = [line["caller"] for line in trusting.audit()]
    assert callers[0] == callers[1] != callers[2]
    assert all(caller.startswith("oidc:") for caller in callers)
    assert "jane" not in (trusting.data / "audit.jsonl").read_text()


def test_what_a_claim_stands_for_can_be_set_in_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("SKIPSEG_OIDC_SCOPES", '{"radiology": ["read", "segment"]}')
    assert load_settings().oidc_scopes == {"radiology": ("read", "segment")}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"oidc_issuer": "http://login.example", "oidc_audience": "x"}, "https"),
        ({"oidc_issuer": "file:///etc/keys", "oidc_audience": "x"}, "https"),
        ({"oidc_issuer": "https://login.example"}, "SKIPSEG_OIDC_AUDIENCE"),
        ({"oidc_scopes": {"radiology": ["write"]}}, "oidc_scopes"),
    ],
)
def test_settings_that_would_trust_too_much_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_settings(**wrong)
