"""``skipseg keys``."""

import json

import pytest
from servers import skipseg

from skipseg.service.keys.store import KeyStore


def test_a_key_is_printed_once_and_alone(tmp_path) -> None:
    made = skipseg("keys", "create", "--name", "viewer", "--days", "3", "--data", tmp_path)
    (key,) = KeyStore(tmp_path).keys().keys
    assert made.returncode == 0
    assert key.is_of(made.stdout.removesuffix("\n"))
    assert (key.name, key.scopes, (key.expires - key.made).days) == ("viewer", ("read", "segment"), 3)
    assert made.stdout.strip() not in made.stderr
    assert skipseg("keys", "revoke", key.id, "--data", tmp_path).returncode == 0
    noted = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["action"], line["target"]) for line in noted] == [
        ("skipseg keys create", key.id),
        ("skipseg keys revoke", key.id),
    ]
    assert f"{key.expires:%Y-%m-%d}" in made.stderr


def test_keys_are_listed_and_revoked_by_id(tmp_path) -> None:
    store = KeyStore(tmp_path)
    kept, _ = store.create("[/kept]", ("admin",), days=0)
    gone, token = store.create("gone", ("read", "train"), days=1)
    assert skipseg("keys", "revoke", gone.id, data=tmp_path).stdout == f"revoked {gone.id}\n"
    lines = skipseg("keys", "list", data=tmp_path).stdout.splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert ("admin" in rows[kept.id], rows[kept.id].split()[-1]) == (True, "valid")
    assert "[/kept]" in rows[kept.id]
    assert ("read train" in rows[gone.id], rows[gone.id].split()[-1]) == (True, "revoked")
    assert token not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("create", "--scope", "write"), 2, "read, segment, train, admin"),
        (("create", "--days", "-1"), 2, "days"),
        (("revoke", "0123456789ab"), 1, "keys list"),
        (("list", "--data", __file__), 2, "is a file"),
    ],
)
def test_a_mistake_is_told_in_a_line(tmp_path, arguments: tuple[str, ...], code: int, told: str) -> None:
    ended = skipseg("keys", *arguments, data=tmp_path)
    assert ended.returncode == code
    assert told in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "keys.json").exists()
