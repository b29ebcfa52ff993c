"""CONTRIBUTING.md tells how to add a kind of skip: what it shows works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TRY = """
import torch
from skipseg.models.networks.recipes import UNetRecipe, build
recipe = UNetRecipe(dimensions=2, channels=1, classes=2, widths=(4, 6), strides=((1, 1), (2, 2)),
                    kernels=((3, 3), (3, 3)), blocks=(1, 1), skip="maximum")
print(tuple(build(recipe).eval()(torch.zeros(1, 1, 8, 8)).shape), "maximum" in str(build(recipe)).lower())
"""


def test_a_newcomers_skip_is_one_short_file_and_one_line(tmp_path):
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## A kind of skip")[1].split("\n## ")[0]
    file, line = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(file.splitlines()) <= 30
    assert len(line.splitlines()) == 1
    package = tmp_path / "skipseg"
    package.mkdir()
    shutil.copy(ROOT / "service" / "entry" / "__init__.py", package)
    shutil.copytree(ROOT / "models", package / "models", ignore=shutil.ignore_patterns("__pycache__", "shipped"))
    skips = package / "models" / "networks" / "skips"
    (skips / "maximum.py").write_text(file)
    with (skips / "__init__.py").open("a") as registry:
        registry.write(line)
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "(1, 2, 8, 8) True", done.stderr
