"""What a worker is told by its server."""

from pathlib import Path

import pytest

from skipseg.service.jobs.supervisor import environment_of
from skipseg.service.settings import Settings, load_settings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"allowed_roots": ("/data/a, b", "/data/[c]"), "webhook_secret": "s3cret, [and] more"},
        {"hosts": ("one.example", "two.example"), "cors_origins": ("https://viewer.example",)},
        {"webhook_trusted_hosts": ("10.0.0.1",), "workers": 3, "keep_results_days": 0.5, "device": "cuda:1"},
    ],
)
def test_a_worker_has_the_settings_of_its_server(tmp_path: Path, monkeypatch, given: dict[str, object]) -> None:
    settings = Settings(data=tmp_path, **given)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
