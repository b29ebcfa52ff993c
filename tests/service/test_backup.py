"""What docs/backup.md tells people to type brings everything back."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bundles import small_bundle
from job_calls import archive, ended, finished, items_of, submit, upload
from servers import registry_without_shipped, serving

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"


def test_a_data_folder_that_was_lost_is_restored_with_its_jobs_and_models(tmp_path, make_scan) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("there is no sqlite3 on this machine")
    data = tmp_path / "data"
    data.mkdir()
    back_up, restore = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    registry_without_shipped(data).add(small_bundle(tmp_path / "bundle").folder)
    scans = archive({"mr/a.nii.gz": make_scan(), "b.nii.gz": b"broken"})
    with serving(data, device="cpu") as server, server.client() as api:
        job = finished(api, {"upload": upload(api, scans)})
        items = items_of(api, job)
        before = [api.get(items["mr/a"]["mask"]).content, items, api.get("/v1/models").json()]
        assert type_in(back_up, data).endswith("ok\n")
    with serving(data, until_ready=False, device="cpu", workers=0) as server, server.client() as api:
        later = submit(api, {"upload": upload(api, scans)})
        shutil.rmtree(tmp_path / "backup")
        type_in(back_up, data)
    shutil.move(data, tmp_path / "lost")
    type_in(restore, data)
    with serving(data, device="cpu") as server, server.client() as api:
        assert api.get(f"/v1/jobs/{job['id']}").json() == job
        assert [api.get(items["mr/a"]["mask"]).content, items_of(api, job), api.get("/v1/models").json()] == before
        assert ended(api, later["id"])["progress"] == {"done": 1, "failed": 1, "total": 2}


def type_in(script: str, data: Path) -> str:
    environment = {**os.environ, "SKIPSEG_DATA": str(data)}
    run = subprocess.run(
        ["bash", "-ec", script], cwd=data.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
