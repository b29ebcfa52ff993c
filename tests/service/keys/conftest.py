from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from keyholders import Guarded, app_of
from servers import in_thread

from skipseg.service.keys.store import KeyStore


@pytest.fixture
def guarded_with(tmp_path: Path) -> Callable[..., AbstractContextManager[Guarded]]:
    """``guarded_with(requests_per_minute=3)``: a server with these settings."""

    @contextmanager
    def started(**settings: object) -> Iterator[Guarded]:
        with in_thread(app_of(tmp_path, **settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield Guarded(tmp_path, client, KeyStore(tmp_path))

    return started


@pytest.fixture
def guarded(guarded_with: Callable[..., AbstractContextManager[Guarded]]) -> Iterator[Guarded]:
    with guarded_with() as server:
        yield server
