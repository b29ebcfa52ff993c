"""The view Models: a version is promoted and rolled back."""

from pathlib import Path

from browsing import visit
from bundles import small_bundle, small_plan
from servers import registry_without_shipped, serving


def test_a_version_is_promoted_and_rolled_back_in_the_page(browser, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    registry = registry_without_shipped(data)
    for seed in (0, 1):
        registry.add(small_bundle(tmp_path / str(seed), small_plan(), "small", seed=seed).folder)
    with serving(data, threads=1, workers=0) as server, visit(browser, server.url, "/#/models") as seen:
        page = seen.page
        page.get_by_text("There is no dataset with cases yet").wait_for()
        assert seen.complaints() == []
        page.get_by_role("link", name="small", exact=True).click()
        for button, live in (("Promote version 2", 2), ("Roll back", 1)):
            page.get_by_role("button", name=button).click()
            page.get_by_role("dialog").get_by_role("button", name=button.removesuffix(" version 2")).click()
            page.get_by_text(f"Version {live} of small is live.").wait_for()
            assert page.locator(f"tr[data-version='{live}']").get_by_text("live", exact=True).count() == 1
            assert server.get("/v1/models/small").json()["live"] == live
        page.get_by_role("button", name="Roll back").click()
        page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
        assert page.get_by_role("alert").inner_text() != ""
        assert page.locator("tr[data-version='1']").get_by_text("live", exact=True).count() == 1
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert seen.complaints() == []
