"""What a route asks of its caller: ``APIRouter(..., dependencies=[needs("segment")])``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope as RequestScope

from skipseg.service.keys.scopes import Caller, Scope
from skipseg.service.problems import documented
from skipseg.service.refusals import Forbidden

BEARER = HTTPBearer(
    scheme_name="key",
    bearerFormat="skipseg_ID_SECRET, or a JWT",
    description="A key that `skipseg keys create` printed, or a token of the issuer that the server trusts.",
    auto_error=False,
)


def needs(*scopes: Scope) -> Any:
    """A dependency: the ``Caller``, who has one of these. Others are answered 403; who has no key never gets here."""

    async def permitted(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> Caller:
        caller = caller_of(request.scope)
        check_scope(caller, *scopes)
        return caller

    return Security(permitted, scopes=list(scopes))


def check_scope(caller: Caller, *scopes: Scope) -> None:
    """Raise ``Forbidden`` unless a caller has one of these scopes."""
    if not any(caller.may(scope) for scope in scopes):
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise Forbidden(f"this needs a key with the scope {' or '.join(scopes)}; the key that came has: {has}")


def caller_of(scope: RequestScope) -> Caller:
    """Whom the guard let in with this request."""
    caller = scope["state"]["caller"]
    assert isinstance(caller, Caller)
    return caller


def declare_refusals(document: dict[str, Any]) -> None:
    """Write what every guarded call may answer into an OpenAPI document."""
    refusals = {str(status): answer for status, answer in documented(401, 403, 429, 503).items()}
    for calls in document["paths"].values():
        for call in calls.values():
            if "security" in call:
                call["responses"] = {**refusals, **call["responses"]}
