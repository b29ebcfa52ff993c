"""What docs/client.md shows runs."""

import re
import subprocess
import sys
from pathlib import Path

from servers import environment, serving

PAGE = Path(__file__).parents[3] / "docs" / "client.md"


def test_the_python_of_the_page_runs_from_its_first_line_to_its_last(tmp_path, scan, make_scan) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "study" / "mr").mkdir(parents=True)
    (tmp_path / "case.nii.gz").write_bytes(scan)
    for name in ("a", "mr/b"):
        (tmp_path / "study" / f"{name}.nii.gz").write_bytes(make_scan())
    (tmp_path / "data").mkdir()
    with serving(tmp_path / "data", device="cpu") as server:
        program = "\n".join(blocks).replace("http://localhost:8000", server.url)
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(blocks) == 3
    assert "hippocampus@1" in done.stdout
    assert "2 of 2" in done.stdout
    assert "model_unknown there is no model" in done.stdout
    for name in ("mask.nii.gz", "masks/a.nii.gz", "masks/mr/b.nii.gz", "masks/results.csv"):
        assert (tmp_path / name).is_file()
