"""The page and its files, as a browser fetches them."""

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from keyholders import app_of
from servers import PATIENCE_S, in_thread

from skipseg.service.keys.store import KeyStore
from skipseg.service.page_files import FOLDER, page_files

VENDOR = FOLDER / "vendor"


def test_the_page_answers_at_the_root_and_lets_nothing_of_others_in(client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert not re.search(r"https?://|<style|<script>| on\w+=| style=", answer.text)


def test_every_file_that_the_page_names_is_there_and_relative(client) -> None:
    named = re.findall(r'(?:href|src)="((?!#)[^"]+)"', client.get("/").text)
    for path, file in page_files().items():
        if path.endswith(".js") and "vendor" not in path:
            source = gzip.decompress(file.packed).decode()
            named += [str(httpx.URL(f"http://x{path}").join(each).path) for each in imported(source)]
    assert len(named) > 30
    assert all(not name.startswith(("http:", "https:", "//")) for name in named)
    missing = [name for name in sorted(set(named)) if client.get(f"/{name.lstrip('/')}").status_code != 200]
    assert missing == []


def imported(source: str) -> list[str]:
    """The modules that a script names in its statements, and in ``import("...")``; words in strings are none."""
    found = re.findall(
        r'^(?:import|export)\b(?:[^;"()=]*\bfrom)? *"([^"]+)";|\bimport\("([^"]+)"\)', source, re.MULTILINE
    )
    return [always or on_demand for always, on_demand in found]


@pytest.mark.parametrize("path", ["/", "/page/js/main.js", "/page/vendor/niivue-0.69.0/niivue.umd.js"])
def test_a_file_travels_packed_and_only_once(client, path: str) -> None:
    packed = client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.8"})
    plain = client.get(path, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content  # httpx unpacks
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = client.get(path, headers={"If-None-Match": packed.headers["ETag"], "Accept-Encoding": "gzip"})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(path, headers={"Accept-Encoding": "gzip"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == packed.headers["ETag"]


def test_what_is_older_than_the_server_is_asked_about_and_what_never_changes_is_kept(client) -> None:
    assert client.get("/page/js/main.js").headers["Cache-Control"] == "no-cache"
    assert "immutable" in client.get("/page/vendor/niivue-0.69.0/niivue.umd.js").headers["Cache-Control"]


@pytest.mark.parametrize(
    "path", ["/page/js/", "/page/README.md", "/page/../settings.py", "/page/%2e%2e/settings.py", "/page"]
)
def test_nothing_but_the_files_of_the_page_is_told(client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_is_open_where_everything_else_needs_a_key(tmp_path) -> None:
    KeyStore(tmp_path).create("", ("read",), days=1)
    with in_thread(app_of(tmp_path)) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        assert {client.get(path).status_code for path in page_files()} == {200}
        assert client.get("/v1/info").status_code == 401
        assert client.post("/").status_code == 401


def test_the_page_weighs_less_than_1_2_megabytes() -> None:
    assert sum(len(file.packed) for file in page_files().values()) < 1_200_000


def test_what_others_wrote_is_what_its_table_says() -> None:
    rows = re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.MULTILINE)
    told = {VENDOR / name: checksum for name, checksum in rows}
    kept = {path: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() for path in VENDOR.rglob("*.gz")}
    assert kept == told
    assert {path.parent for path in kept} == {path.parent for path in VENDOR.rglob("LICENCES.txt")}


def test_the_licence_that_it_tells_is_that_of_skipseg(client) -> None:
    assert client.get("/page/licence.txt").content == (Path(__file__).parents[2] / "LICENSE").read_bytes()


def test_every_script_of_ours_is_short_enough_to_read() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in Path(FOLDER / "js").rglob("*.js")}
    assert max(lines.values()) <= 300, lines
