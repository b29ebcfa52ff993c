"""Bearer tokens of an OpenID Connect issuer (RFC 9068, RFC 7519): verified here, never sent anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt

from skipseg.service.keys.issuer import Issuer, Jwk
from skipseg.service.keys.scopes import Caller, Scope
from skipseg.service.refusals import Unauthorized

# Signatures by a private key alone. With a shared secret (HS256) whoever can check a token could make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # of keys, by the algorithm's first letters
REQUIRED = ("exp", "iss", "aud", "sub")
LEEWAY_S = 30  # between two clocks

REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired; get a new one",
    jwt.ImmatureSignatureError: "it is not valid yet; compare the clocks of issuer and server",
    jwt.InvalidAudienceError: "it is meant for another audience than SKIPSEG_OIDC_AUDIENCE",
    jwt.InvalidIssuerError: "it comes from another issuer than SKIPSEG_OIDC_ISSUER",
    jwt.MissingRequiredClaimError: f"it lacks one of the claims {', '.join(REQUIRED)}",
    jwt.InvalidSignatureError: "its signature is not the issuer's",
    jwt.InvalidAlgorithmError: f"it is not signed with one of {', '.join(ALGORITHMS)}",
}


class Tokens:
    """Makes callers of tokens: ``claim`` holds values, and ``scopes`` says what each of them allows."""

    def __init__(self, issuer: Issuer, audience: str, claim: str, scopes: Mapping[str, tuple[Scope, ...]]) -> None:
        self._issuer, self._audience, self._claim, self._scopes = issuer, audience, claim, scopes

    async def caller(self, token: str) -> Caller:
        """Whose token this is; raises ``Unauthorized`` and ``IssuerUnreachable``."""
        try:
            header = jwt.get_unverified_header(token)
            claims = self._verified(token, await self._key(header))
        except (jwt.PyJWTError, ValueError, RecursionError) as error:  # a token is anybody's text until it is verified
            raise Unauthorized(f"the token is refused: {_reason(error)}") from None
        granted = frozenset(scope for value in self._values(claims) for scope in self._scopes.get(value, ()))
        return Caller(_name(claims), granted)

    async def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        found = await self._issuer.keys(header.get("kid"))
        fitting = [key for key in found if _fits(key, algorithm)]
        if len(fitting) != 1:
            raise jwt.InvalidSignatureError
        return jwt.PyJWK(dict(fitting[0]), algorithm)

    def _verified(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=self._audience,
            issuer=self._issuer.url,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
        )

    def _values(self, claims: Mapping[str, Any]) -> list[str]:
        """What the claim holds: words in a text, or a list. Dots lead into claims inside claims."""
        value = claims[self._claim] if self._claim in claims else _inside(claims, self._claim.split("."))
        words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        return [word for word in words if isinstance(word, str)]


def _fits(key: Jwk, algorithm: str) -> bool:
    return key.get("kty") == KINDS[algorithm[:2]] and key.get("alg", algorithm) == algorithm


def _inside(claims: Any, path: list[str]) -> Any:
    for name in path:
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims


def _name(claims: Mapping[str, Any]) -> str:
    """Not the subject itself, which may be a person's address; the same person has the same name every time."""
    whole = f"{claims['iss']} {claims['sub']}"
    return f"oidc:{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def _reason(error: Exception) -> str:
    return next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), "it is no token of that issuer")
