"""Uploads that are kept: whole or not at all, and under no name of a patient."""

import hashlib
from pathlib import Path

import pytest
from job_calls import archive

from skipseg.models.errors import UploadUnknown
from skipseg.service.store.uploads import CONTENT, Upload, UploadStore


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads")


def kept(store: UploadStore, content: bytes, name: str = "scan.nii.gz") -> Upload:
    draft = store.draft()
    (draft / CONTENT).write_bytes(content)
    return store.keep(draft, name, hashlib.sha256(content).hexdigest())


def test_an_upload_is_there_for_whoever_opens_the_folder_next(store) -> None:
    upload = kept(store, b"voxels")
    again = UploadStore(store.root)
    assert again.get(upload.id) == upload
    assert again.content(upload).read_bytes() == b"voxels"
    assert (upload.kind, upload.bytes) == ("file", 6)


def test_a_zip_is_known_by_its_content(store) -> None:
    assert kept(store, archive({"a.nii": b"x"}), "scan.nii.gz").kind == "zip"
    assert kept(store, b"no zip", "scans.zip").kind == "file"


def test_what_is_not_yet_whole_is_no_upload(store) -> None:
    draft = store.draft()
    (draft / CONTENT).write_bytes(b"half of it")
    assert store.all() == []
    with pytest.raises(UploadUnknown):
        store.get(draft.name.removeprefix("."))
    store.drop(draft)
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("name", ["../../Doe.nii.gz", "C:\\Users\\Doe.nii.gz", "/home/x/Doe.nii.gz"])
def test_folders_of_the_sender_are_forgotten_and_the_name_is_no_path(store, name) -> None:
    upload = kept(store, b"voxels", name)
    assert upload.name == "Doe.nii.gz"
    assert [path for path in store.root.rglob("*") if "Doe" in path.name] == []


@pytest.mark.parametrize("id", ["", ".", "..", "../uploads", "x" * 32, "0" * 32, "0" * 31, "A" * 32])
def test_what_is_no_upload_is_unknown(store, id) -> None:
    kept(store, b"voxels")
    with pytest.raises(UploadUnknown, match="POST the file"):
        store.get(id)


def test_a_damaged_description_is_no_upload_and_hides_no_other(store) -> None:
    good, bad = kept(store, b"1"), kept(store, b"2")
    (store.root / bad.id / "upload.json").write_text("{")
    assert store.all() == [good]
    with pytest.raises(UploadUnknown):
        store.get(bad.id)


def test_uploads_are_listed_oldest_first_and_removed_whole(store) -> None:
    first, second = kept(store, b"1"), kept(store, b"2")
    assert store.all() == [first, second]
    store.remove(first)
    assert store.all() == [second]
    assert not (store.root / first.id).exists()
