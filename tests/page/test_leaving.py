"""A page that is left while something would be lost asks first, and only then."""

from pathlib import Path

from browsing import drop
from playwright.sync_api import Page


class Asked:
    """Reloads, and whether the browser asked before them; every time it is told to stay."""

    def __init__(self, page: Page) -> None:
        self.page, self.kinds = page, []
        page.on("dialog", self._stay)

    def _stay(self, dialog) -> None:
        self.kinds.append(dialog.type)
        dialog.dismiss()

    def on_reload(self) -> bool:
        """Whether it asked; otherwise the page is there anew."""
        before = len(self.kinds)
        self.page.evaluate("globalThis.isOld = true; setTimeout(() => location.reload())")
        for _ in range(400):
            self.page.wait_for_timeout(50)
            if len(self.kinds) > before:
                return self.kinds[-1] == "beforeunload"
            if not self.page.evaluate("globalThis.isOld ?? false"):
                return False
        raise AssertionError("the page neither asked nor left")


def test_scans_that_were_chosen_and_not_sent_are_not_lost_by_a_reload(opened, hippocampus: Path) -> None:
    with opened("/#/jobs") as visit:
        page, asked = visit.page, Asked(visit.page)
        drop(page, *sorted(hippocampus.parent.glob("[!.]*.nii.gz"))[:2])
        page.get_by_text("2 scans").wait_for()
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
