"""What docs/ tells people to type works."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from bundles import small_bundle
from servers import serving
from typer.main import get_command

from skipseg.models.registry import Registry
from skipseg.service.cli import app

DOCS = Path(__file__).parents[2] / "docs"
STRICT = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'


def test_every_curl_line_of_the_api_document_works(tmp_path: Path, scan: bytes) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    registry = Registry(tmp_path / "models")
    if "hippocampus" not in {model.name for model in registry.models()}:
        registry.add(small_bundle(tmp_path / "bundle", name="hippocampus").folder)
    (tmp_path / "case.nii.gz").write_bytes(scan)
    lines = curl_lines()
    with serving(tmp_path) as server:
        host = httpx.URL(server.url).netloc.decode()
        for line in lines:
            script = STRICT + line.replace("localhost:8000", host)
            ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
    assert len(lines) >= 8
    assert (tmp_path / "mask.nii.gz").read_bytes().startswith(b"\x1f\x8b")
    assert (tmp_path / "mask.nrrd").read_bytes().startswith(b"NRRD")


def test_the_api_document_names_every_call(client) -> None:
    text = (DOCS / "api.md").read_text()
    paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if path not in text and path.replace("{name}", "") not in text] == []


def test_the_command_line_document_names_every_command_and_option() -> None:
    text = (DOCS / "cli.md").read_text()
    for words, command in _commands(get_command(app), ()):
        assert f"skipseg {' '.join(words)}" in text
        options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
        assert [name for name in options - {"--help"} if name not in text] == []


def curl_lines() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (DOCS / "api.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


def _commands(command, words: tuple[str, ...]):
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*words, name))
    if not getattr(command, "commands", {}):
        yield words, command
