"""Fails unless a test report covers the whole fast suite: ``python .ci/whole_suite.py build/tests.xml``.

Three ways of passing by not testing are caught: a test file of which nothing ran, tests that were collected but are
not in the report, and, where the scans in ``../shared/data`` are there, any test that was skipped.
"""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAST = ["-m", "not slow"]


def collected(*options: str) -> list[str]:
    """Node ids pytest finds, such as ``tests/test_wheel.py::test_…``."""
    pytest = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=--import-mode=importlib"]
    listing = subprocess.run([*pytest, *options], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line for line in listing.splitlines() if line.startswith("tests/") and "::" in line]


def missing_files(nodes: list[str]) -> list[str]:
    """Test files in the tree that pytest finds nothing in."""
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    return [f"{name}: no test found" for name in sorted(files - {node.partition("::")[0] for node in nodes})]


def unwanted_skips(cases: list[ET.Element]) -> list[str]:
    if not (ROOT.parent / "shared" / "data").is_dir():
        return []
    skipped = [case for case in cases if case.find("skipped") is not None]
    return [f"{case.get('file')}::{case.get('name')}: skipped although the scans are there" for case in skipped]


def main(report: str) -> int:
    cases = list(ET.parse(report).getroot().iter("testcase"))
    fast = collected(*FAST)
    wrong = missing_files(collected()) + unwanted_skips(cases)
    if len(cases) != len(fast):
        wrong.append(f"the suite has {len(fast)} fast tests, the report {len(cases)}")
    files = {case.get("file") for case in cases}
    print("\n".join(wrong) or f"the whole fast suite ran: {len(cases)} tests in {len(files)} files")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
