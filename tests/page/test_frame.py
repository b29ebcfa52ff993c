"""The frame around all views: keys, themes, prefixes, and what narrow windows and keyboards make of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import visit
from keyholders import app_of
from servers import in_thread

from skipseg.service.keys.store import KeyStore


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server that asks for keys: its URL, and a key."""
    _, token = KeyStore(tmp_path).create("", ("read", "segment"), days=1)
    with in_thread(app_of(tmp_path)) as url:
        yield url, token


def test_a_key_is_asked_for_once_and_forgotten_when_it_is_told_to_be(browser, guarded) -> None:
    url, token = guarded
    with visit(browser, url) as seen:
        page = seen.page
        page.get_by_role("textbox", name="Key").fill("skipseg_wrong")
        page.get_by_role("button", name="Use this key").click()
        page.get_by_text("does not know this key").wait_for()
        assert seen.complaints() == []
        page.get_by_role("textbox", name="Key").fill(token)
        page.keyboard.press("Enter")
        page.get_by_text("Drop a scan here").wait_for()
        page.reload()
        page.get_by_text("Drop a scan here").wait_for()
        assert page.locator("dialog").count() == 0
        assert token not in page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")
        page.get_by_role("button", name="Forget key").click()
        page.reload()
        page.get_by_role("textbox", name="Key").wait_for()


def test_who_has_no_key_is_told_what_to_do(browser, guarded) -> None:
    with visit(browser, guarded[0]) as seen:
        seen.page.get_by_role("button", name="Not now").click()
        assert "skipseg keys create" in seen.page.get_by_role("alert").first.inner_text()
        assert seen.page.get_by_role("button", name="Use another key").count() == 1


def test_it_works_behind_a_proxy_with_a_prefix(browser, tmp_path: Path) -> None:
    app = app_of(tmp_path)

    async def behind(scope, receive, send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith("/hospital/seg/"), scope["path"]
            scope = {**scope, "path": scope["path"].removeprefix("/hospital/seg")}
        await app(scope, receive, send)

    with in_thread(behind) as url, visit(browser, url, "/hospital/seg/") as seen:
        seen.page.get_by_text("Drop a scan here").wait_for()
        assert all(address.startswith(f"{url}/hospital/seg/") for address in seen.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone_or_hard_to_read(opened, scheme: str) -> None:
    with opened(viewport={"width": 360, "height": 740}, color_scheme=scheme) as visit:
        visit.page.get_by_text("Drop a scan here").wait_for()
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        assert visit.complaints() == []


def test_the_theme_that_was_chosen_outlives_a_reload(opened) -> None:
    with opened(color_scheme="light") as visit:
        colour = "getComputedStyle(document.documentElement).backgroundColor"
        light = visit.page.evaluate(colour)
        visit.page.get_by_role("button", name="Theme").click()  # auto, light, dark
        visit.page.get_by_role("button", name="Theme").click()
        dark = visit.page.evaluate(colour)
        assert dark != light
        visit.page.reload()
        assert visit.page.evaluate(colour) == dark


def test_a_keyboard_reaches_everything(opened) -> None:
    with opened() as visit:
        visit.page.get_by_text("Drop a scan here").wait_for()
        seen = []
        for _ in range(16):
            visit.page.keyboard.press("Tab")
            seen.append(visit.page.evaluate("document.activeElement.innerText || document.activeElement.tagName"))
        assert seen[0] == "Skip to the content"
        assert {"Segment", "Options", "Choose files", "Choose a DICOM folder"} <= set(seen)
        assert any("hippocampus" in each for each in seen), seen
