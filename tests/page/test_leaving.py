"""A page that is left while something would be lost asks first, and only then."""

from pathlib import Path

from browsing import drop
from playwright.sync_api import Page


class Asked:
    """Reloads, and whether the browser asked before them; every time it is told to stay."""

    def __init__(self, page: Page) -> None:
        self.page, self.kinds, self.loads = page, [], 0
        page.on("dialog", self._stay)
        page.on("load", self._loaded)

    def _stay(self, dialog) -> None:
        self.kinds.append(dialog.type)
        dialog.dismiss()

    def _loaded(self, _: Page) -> None:
        self.loads += 1

    def on_reload(self) -> bool:
        """Whether it asked; otherwise the page is there anew."""
        kinds, loads = len(self.kinds), self.loads
        self.page.evaluate("setTimeout(() => location.reload(), 200)")  # not before this call is answered
        while len(self.kinds) == kinds and self.loads == loads:
            self.page.wait_for_timeout(50)
        return self.kinds[kinds:] == ["beforeunload"]


def test_scans_that_were_chosen_and_not_sent_are_not_lost_by_a_reload(opened, hippocampus: Path) -> None:
    with opened("/#/jobs") as visit:
        page, asked = visit.page, Asked(visit.page)
        drop(page, *sorted(hippocampus.parent.glob("[!.]*.nii.gz"))[:2])
        page.locator(".file-name").get_by_text("2 scans").wait_for()
        page.get_by_text("Options", exact=True).click()
        assert asked.on_reload()
        page.get_by_role("button", name="Choose others").click()
        assert not asked.on_reload()


def test_a_scan_that_is_being_segmented_is_not_lost_by_a_reload(opened, hippocampus: Path) -> None:
    with opened() as visit:
        page, asked = visit.page, Asked(visit.page)
        page.route("**/v1/segmentations?*", lambda route: None)  # never arrives
        drop(page, hippocampus)
        page.get_by_role("button", name="Segment", exact=True).click()
        page.get_by_role("button", name="Cancel").wait_for()
        assert asked.on_reload()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("The server has put it down").wait_for()
        assert not asked.on_reload()
