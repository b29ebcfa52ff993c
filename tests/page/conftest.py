from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from browsing import Visit, chromium, visit
from bundles import small_bundle, small_plan
from playwright.sync_api import Browser
from servers import RunningServer, serving

from skipseg.models.registry import Registry


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Gone with its module: its event loop runs in the thread of the tests, where others start their own."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the model that ships with skipseg, and one for pictures whose weights are random."""
    data = tmp_path_factory.mktemp("data")
    Registry(data / "models").add(
        small_bundle(tmp_path_factory.mktemp("bundle") / "flat", small_plan(2), "flat").folder
    )
    with serving(data, threads=2) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, server: RunningServer) -> Callable[..., AbstractContextManager[Visit]]:
    """``with opened("/#/segment") as visit``: the page, open."""

    def open_(path: str = "/", **context: object) -> AbstractContextManager[Visit]:
        return visit(browser, server.url, path, **context)

    return open_


@pytest.fixture(scope="session")
def hippocampus(real_data: Callable[[str], Path]) -> Path:
    return min((real_data("hippocampus") / "imagesTr").glob("*.nii.gz"))
