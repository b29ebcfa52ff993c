"""Keys on file: nothing in it lets anybody in, and nothing of it gets lost."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skipseg.models.errors import UsageError
from skipseg.service.keys.audit import AuditLog
from skipseg.service.keys.key import make_key
from skipseg.service.keys.store import KeyStore
from skipseg.service.refusals import KeysUnreadable, KeyUnknown

MAKE_KEYS = """
import sys
from pathlib import Path
from skipseg.service.keys.store import KeyStore
for number in range(10):
    KeyStore(Path(sys.argv[1])).create(sys.argv[2], ("read",), days=0)
"""


def test_the_file_holds_no_secret_and_is_its_owners_alone(tmp_path: Path) -> None:
    key, token = KeyStore(tmp_path).create("viewer", ("read",), days=1)
    text = (tmp_path / "keys.json").read_text()
    assert key.id in text
    assert token.rpartition("_")[2] not in text
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_a_token_is_recognised_and_no_other(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key, token = store.create("", ("read",), days=1)
    other, _ = store.create("", ("read",), days=1)
    assert key.is_of(token)
    assert not other.is_of(token)
    assert not key.is_of(token[:-1] + ("0" if token[-1] != "0" else "1"))


def test_a_key_ends_with_its_days_or_never() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    (day, _), (forever, _) = make_key("", ("read",), 1, now), make_key("", ("read",), 0, now)
    assert (day.state(now + timedelta(hours=23)), day.state(now + timedelta(hours=24))) == ("valid", "expired")
    assert forever.state(now + timedelta(days=100_000)) == "valid"


@pytest.mark.parametrize(("name", "days"), [("two\nlines", 1), ("x" * 65, 1), ("", -1), ("", 4000)])
def test_a_key_that_makes_no_sense_is_refused(tmp_path: Path, name: str, days: int) -> None:
    with pytest.raises(UsageError, match=r"name|days"):
        KeyStore(tmp_path).create(name, ("read",), days)
    assert not (tmp_path / "keys.json").exists()


def test_processes_that_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE_KEYS, str(tmp_path)]
    makers = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [maker.wait(timeout=120) for maker in makers] == [0, 0]
    names = [key.name for key in KeyStore(tmp_path).keys().keys]
    assert sorted(names) == ["one"] * 10 + ["two"] * 10


def test_what_another_process_changed_is_seen(tmp_path: Path) -> None:
    here, there = KeyStore(tmp_path), KeyStore(tmp_path)
    assert not here.any_valid()
    key, _ = there.create("", ("read",), days=1)
    assert here.any_valid()
    there.revoke(key.id)
    assert not here.any_valid()
    assert [key.state(datetime.now(UTC)) for key in here.keys().keys] == ["revoked"]


def test_the_last_use_is_kept_to_the_minute_and_never_goes_back(tmp_path: Path) -> None:
    store, used = KeyStore(tmp_path), datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    key, _ = store.create("", ("read",), days=0)
    store.note_use(key.id, used)
    store.note_use(key.id, used - timedelta(hours=1))
    (kept,) = store.keys().keys
    assert kept.last_used == datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "{", '{"keys": [{"id": "x"}]}', '{"schema_version": 2, "keys": []}'])
def test_a_damaged_file_is_an_error_and_not_the_lack_of_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    store = KeyStore(tmp_path)
    with pytest.raises(KeysUnreadable, match="damaged"):
        store.keys()
    with pytest.raises(KeysUnreadable):
        store.create("", ("read",), days=1)
    assert (tmp_path / "keys.json").read_text() == text


def test_a_key_that_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    with pytest.raises(KeyUnknown, match="keys list"):
        KeyStore(tmp_path).revoke("0123456789ab")


def test_a_key_belongs_to_the_user_that_serves_even_when_root_makes_it(tmp_path: Path) -> None:
    owner = 10001 if hasattr(os, "geteuid") and os.geteuid() == 0 else tmp_path.stat().st_uid
    if owner == 10001:
        os.chown(tmp_path, owner, owner)
    AuditLog(tmp_path).open_for_good()
    KeyStore(tmp_path).create("", ("read",), days=1)
    assert {file.name: file.stat().st_uid for file in tmp_path.iterdir()}["keys.json"] == owner
    assert {file.stat().st_uid for file in tmp_path.iterdir()} == {owner}
