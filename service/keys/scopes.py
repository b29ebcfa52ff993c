"""What a caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "segment", "train", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Caller:
    """Who asks, under the name that the audit log has for them; it holds no secret and no person's name."""

    id: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Does what they have reach so far? ``admin`` includes everything; nothing else includes anything."""
        return scope in self.scopes or "admin" in self.scopes


ANONYMOUS = Caller("anonymous", frozenset({"admin"}))  # on loopback, while no key was ever made
VISITOR = Caller("visitor", frozenset({"read"}))  # of the few paths that are open to everybody
