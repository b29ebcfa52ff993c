"""What browsers are told on every answer, and whose pages may use the server."""

import base64
import hashlib
import re

import httpx
import pytest
from keyholders import app_of
from servers import PATIENCE_S, in_thread

from skipseg.models.errors import UsageError
from skipseg.service.settings import load_settings

VIEWER = "https://viewer.example"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def ask(tmp_path, *calls: tuple[str, str, dict[str, str]], **settings: object) -> list[httpx.Response]:
    with in_thread(app_of(tmp_path, **settings)) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        return [client.request(method, path, headers=headers) for method, path, headers in calls]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/healthz", {}, 200),
        ("/v1/models", {}, 200),
        ("/metrics", {}, 200),
        ("/docs", {}, 200),
        ("/nothing", {}, 404),
        ("/v1/models/nobody", {}, 404),
        ("/healthz", {"Host": "evil.example"}, 400),
        ("/v1/models", {"Authorization": "Bearer nonsense"}, 401),
    ],
)
def test_every_answer_tells_browsers_to_be_careful(client, path: str, headers: dict[str, str], status: int) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_mask_stays_in_no_cache(client, scan) -> None:
    mask = client.post("/v1/segmentations?model=small", files={"scan": scan})
    assert (mask.status_code, mask.headers["Cache-Control"]) == (200, "no-store")


def test_the_page_of_the_documentation_may_use_its_own_style_and_nothing_else(client) -> None:
    page = client.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text


def test_pages_of_other_origins_read_nothing_unless_they_are_named(tmp_path) -> None:
    preflight = {"Origin": VIEWER, "Access-Control-Request-Method": "POST"}
    calls = [("GET", "/v1/info", {"Origin": VIEWER}), ("OPTIONS", "/v1/segmentations", preflight)]
    for answer in ask(tmp_path, *calls):
        assert "Access-Control-Allow-Origin" not in answer.headers
    allowed, before = ask(tmp_path, *calls, cors_origins=(VIEWER,))
    assert allowed.headers["Access-Control-Allow-Origin"] == VIEWER
    assert "X-Skipseg-Model" in allowed.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert (before.status_code, before.headers["Access-Control-Allow-Origin"]) == (200, VIEWER)
    assert "authorization" in before.headers["Access-Control-Allow-Headers"].lower()
    (other,) = ask(tmp_path, ("GET", "/v1/info", {"Origin": "https://evil.example"}), cors_origins=(VIEWER,))
    assert "Access-Control-Allow-Origin" not in other.headers


def test_pages_that_may_read_are_told_why_they_are_refused(tmp_path) -> None:
    wrong = {"Origin": VIEWER, "Authorization": "Bearer nonsense"}
    (answer,) = ask(tmp_path, ("GET", "/v1/info", wrong), cors_origins=(VIEWER,))
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, VIEWER)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_page_of_another_site_cannot_change_anything_where_no_key_is_needed(client, scan, origin: str) -> None:
    """A browser posts forms anywhere without asking; it only names the page they come from."""
    path = "/v1/segmentations?model=small"
    refused = client.post(path, files={"scan": scan}, headers={"Origin": origin})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    own = str(client.base_url).rstrip("/")
    assert client.post(path, files={"scan": scan}, headers={"Origin": own}).status_code == 200
    assert client.get("/v1/info", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("origin", ["*", "viewer.example", "https://viewer.example/", "https://*.example", "null"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(UsageError, match="cors_origins"):
        load_settings(cors_origins=origin)


def test_names_are_separated_by_commas(monkeypatch) -> None:
    monkeypatch.setenv("SKIPSEG_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    monkeypatch.setenv("SKIPSEG_HOSTS", "seg.example,")
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")
    assert settings.hosts == ("seg.example",)
