"""Where a server listens, and what protects it there."""

from pathlib import Path

import httpx
import pytest
from keyholders import bearer
from servers import PATIENCE_S, registry_without_shipped, serving, skipseg

from skipseg.models.errors import UsageError
from skipseg.service.keys.binding import refuse_unguarded
from skipseg.service.keys.store import KeyStore
from skipseg.service.refusals import KeysUnreadable
from skipseg.service.settings import Settings

ELSEWHERE = "0.0.0.0"


def test_without_a_key_others_cannot_reach_it(tmp_path: Path) -> None:
    refused = skipseg("serve", "--host", ELSEWHERE, "--port", "0", "--data", tmp_path)
    assert refused.returncode == 2
    assert "skipseg keys create" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("host", [ELSEWHERE, "::", "192.0.2.1", "", "::ffff:192.0.2.1"])
def test_keys_that_let_nobody_in_do_not_count(tmp_path: Path, host: str) -> None:
    store = KeyStore(tmp_path)
    key, _ = store.create("", ("read",), days=1)
    refuse_unguarded(Settings(data=tmp_path, host="127.0.0.1"))
    store.revoke(key.id)
    refuse_unguarded(Settings(data=tmp_path, host="127.0.0.1"))
    with pytest.raises(UsageError, match=r"keys|address"):
        refuse_unguarded(Settings(data=tmp_path, host=host))


def test_a_file_of_keys_that_cannot_be_read_is_said_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(KeysUnreadable):
        refuse_unguarded(Settings(data=tmp_path))
    refused = skipseg("serve", "--port", "0", "--data", tmp_path)
    assert (refused.returncode, "keys.json" in refused.stderr) == (1, True)


def test_with_a_key_others_reach_it_and_lose_it_with_the_last_key(tmp_path: Path) -> None:
    registry_without_shipped(tmp_path)
    store = KeyStore(tmp_path)
    key, token = store.create("", ("read",), days=1)
    with serving(tmp_path, until_ready=False, host=ELSEWHERE) as server:
        assert server.url.startswith(f"http://{ELSEWHERE}:")
        url = server.url.replace(ELSEWHERE, "127.0.0.1")
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            named = {"Host": "seg.hospital.example"}
            assert client.get("/v1/info", headers=bearer(token) | named).status_code == 200
            assert client.get("/v1/info").status_code == 401
            store.revoke(key.id)
            assert client.get("/v1/info", headers=bearer(token)).status_code == 401
            (tmp_path / "keys.json").unlink()
            assert client.get("/v1/info").status_code == 401
            assert client.get("/healthz").status_code == 200


def test_an_issuer_of_tokens_protects_as_well_as_keys(tmp_path: Path) -> None:
    trusting = {"oidc_issuer": "https://login.example", "oidc_audience": "skipseg"}
    refuse_unguarded(Settings(data=tmp_path, host=ELSEWHERE, **trusting))
