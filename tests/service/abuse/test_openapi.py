"""What the OpenAPI document says is what the server does, whatever is asked of it (schemathesis)."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parents[1]

# Of a file the document can only say that it is one: random bytes are valid by it, and refused.
NOT_CHECKED = "positive_data_acceptance"


# The events of a job come as long as it runs; the tests of jobs read them.
# An export to ONNX takes seconds, and more beside other work: how long is none of what is checked.
PATIENT = ("--request-timeout", "120", "--max-response-time", "120")
ALWAYS = ("--checks", "all", "--seed", "1", *PATIENT, "--exclude-path", "/v1/jobs/{id}/events")


def schemathesis(abused, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{abused.server.url}/openapi.json", *ALWAYS]
    return subprocess.run(
        [*command, "-H", f"Authorization: Bearer {abused.key}", "--continue-on-failure", "--no-color", *options],
        cwd=folder,  # it leaves its findings where it runs
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def test_requests_made_from_the_document_are_answered_as_it_says(abused, tmp_path: Path) -> None:
    ran = schemathesis(abused, tmp_path, "--exclude-checks", NOT_CHECKED, "-n", "25")
    assert ran.returncode == 0, ran.stdout[:20000] + ran.stderr[-2000:]


def test_real_scans_with_any_parameters_are_answered_as_it_says(abused, tmp_path: Path) -> None:
    """What was made to be invalid may have become valid by it, so that it cannot be told which must be refused."""
    left_out = f"{NOT_CHECKED},negative_data_rejection"
    hooks = {"SCHEMATHESIS_HOOKS": str(HERE / "real_scans.py"), "PYTHONPATH": str(TESTS)}
    only = ("--include-path", "/v1/segmentations")
    ran = schemathesis(abused, tmp_path, "--exclude-checks", left_out, "-n", "100", *only, **hooks)
    assert ran.returncode == 0, ran.stdout[:20000] + ran.stderr[-2000:]
    assert {200, 422} <= {line.get("status") for line in abused.server.lines()}
