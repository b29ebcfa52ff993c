"""A disk that is nearly full takes no more uploads, and everything else goes on."""

import shutil
from pathlib import Path

import pytest
from bundles import small_bundle
from servers import registry_without_shipped, serving

from skipseg.service.middleware.disk import check_disk
from skipseg.service.refusals import DiskFull

MORE_THAN_THERE_IS = 1 << 60


def test_an_upload_is_refused_while_the_disk_is_short_and_nothing_else_is(tmp_path: Path, scan: bytes) -> None:
    registry_without_shipped(tmp_path).add(small_bundle(tmp_path / "bundle").folder)
    with serving(tmp_path, min_free_bytes=MORE_THAN_THERE_IS) as server, server.client() as client:
        full = client.post("/v1/segmentations", files={"scan": scan})
        assert full.headers["Content-Type"] == "application/problem+json"
        assert (full.status_code, full.json()["code"]) == (507, "disk_full")
        assert "SKIPSEG_MIN_FREE_BYTES" in full.json()["detail"]
        assert server.line_of(full)["code"] == "disk_full"
        assert client.post("/v1/segmentations", content=iter([b"no length"])).status_code == 507
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/segmentations", json={}).json()["code"] == "usage"


def test_what_is_coming_counts_beside_what_must_stay_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_disk([tmp_path / "not" / "there" / "yet"], least=0, coming=free // 2)
    with pytest.raises(DiskFull, match="are coming"):
        check_disk([tmp_path], least=free // 2, coming=free)
