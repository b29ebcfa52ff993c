"""A server that asks for keys, and those who have one."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI
from servers import registry_without_shipped

from skipseg.service.app import create_app
from skipseg.service.keys.store import KeyStore
from skipseg.service.settings import Settings


@dataclass(frozen=True)
class Guarded:
    """A server in this process without a model, and its keys."""

    data: Path
    client: httpx.Client
    store: KeyStore

    def with_key(self, *scopes: str) -> dict[str, str]:
        """The header of a new key; without scopes, one for everything."""
        _, token = self.store.create("", scopes or ("admin",), days=1)
        return bearer(token)

    def audit(self) -> list[dict]:
        return [json.loads(line) for line in (self.data / "audit.jsonl").read_text().splitlines()]


def app_of(data: Path, **settings: object) -> FastAPI:
    """An app without a model, to which a test may add routes."""
    registry_without_shipped(data)
    return create_app(Settings(data=data, device="cpu", **settings))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
