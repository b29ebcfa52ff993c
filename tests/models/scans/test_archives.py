"""Zip files of strangers: what is taken, and every way of being refused."""

import io
import stat
import struct
from itertools import product
from pathlib import Path, PurePosixPath
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest
from job_calls import archive

from skipseg.models.errors import ScanCorrupt, ScanTooLarge, UsageError
from skipseg.models.scans.archives import Archive, ArchiveLimits

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


@pytest.fixture
def opened(tmp_path):
    """``Archive`` of these bytes, on disk."""

    def open_it(content: bytes, **limits: int) -> Archive:
        path = tmp_path / "content"
        path.write_bytes(content)
        return Archive(path, ArchiveLimits(**limits))

    return open_it


def changed(content: bytes, signature: bytes, offset: int, value: int, form: str = "<H") -> bytes:
    """One number of the first header that begins with a signature, written over."""
    at = content.index(signature) + offset
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


def packed(content: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method) as file:
        file.writestr("a.nii.gz", content)
    return buffer.getvalue()


def link() -> bytes:
    member = ZipInfo("a.nii.gz")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return archive({member: b"/etc/passwd"})


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
def test_a_plain_archive_is_unpacked_as_it_was(opened, tmp_path, method) -> None:
    content = bytes(range(256)) * 5000
    with opened(packed(content, method)) as found:
        assert [(member.name, member.bytes) for member in found.members] == [(PurePosixPath("a.nii.gz"), len(content))]
        found.unpack(PurePosixPath("a.nii.gz"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content


def test_a_tree_is_kept_and_what_finder_adds_is_not(opened, tmp_path) -> None:
    members = {"x/": b"", "x/y/a.nii": b"1", "x/b.nii": b"2", "ä ö.nii": b"3", "__MACOSX/._a.nii": b"4"}
    with opened(archive(members)) as found:
        found.unpack_all(tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.nii")}
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "x/y/a.nii": b"1",
        "x/b.nii": b"2",
        "ä ö.nii": b"3",
    }


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..", "a\\..\\x", "C:/x", "a/\n.nii", "x" * 201])
def test_a_name_that_leads_elsewhere_is_refused_and_not_repeated(opened, name) -> None:
    with pytest.raises(UsageError, match="name") as refusal:
        opened(archive({"fine.nii": b"", name: b"x"}))
    assert "file 2 of the archive" in str(refusal.value)
    assert name not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (link(), "a link"),
        (changed(archive({"a.nii": b"x"}), CENTRAL, 8, 1), "encrypted"),
        (packed(b"x", ZIP_BZIP2), "other than deflate"),
    ],
)
def test_what_is_no_plain_file_is_refused(opened, content, words) -> None:
    with pytest.raises(UsageError, match=words):
        opened(content)


def test_two_files_of_one_name_are_refused(opened) -> None:
    content = archive({"a.nii": b"1", "b.nii": b"2"}).replace(b"b.nii", b"a.nii")
    with pytest.raises(UsageError, match="same name"):
        opened(content)


def test_names_that_differ_only_in_how_they_are_written_are_refused(opened) -> None:
    for other in ("x//a.nii", "x/./a.nii"):
        with pytest.raises(UsageError, match="same name"):
            opened(archive({"x/a.nii": b"1", other: b"2"}))


def test_more_files_or_bytes_than_allowed_are_refused_before_any_is_unpacked(opened) -> None:
    with pytest.raises(ScanTooLarge, match="at most 2 files"):
        opened(archive({f"{number}": b"" for number in range(3)}), members=2)
    with pytest.raises(ScanTooLarge, match="claims 4,000,000,000"):
        opened(changed(archive({"a.nii": b"x"}), CENTRAL, 24, 4_000_000_000, "<I"), bytes=10**9)


def test_a_member_never_unpacks_to_more_than_it_announced(opened, tmp_path) -> None:
    bomb = packed(bytes(50_000_000), ZIP_DEFLATED)
    with opened(changed(bomb, CENTRAL, 24, 1000, "<I")) as found, pytest.raises(ScanCorrupt):
        found.unpack(PurePosixPath("a.nii.gz"), tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 1000


def test_bytes_that_do_not_match_their_checksum_are_refused(opened, tmp_path) -> None:
    for content in (packed(b"voxels" * 50, ZIP_STORED), packed(bytes(range(256)), ZIP_DEFLATED)):
        at = content.index(b"a.nii.gz") + 30
        damaged = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        (tmp_path / "out").unlink(missing_ok=True)
        with opened(damaged) as found, pytest.raises(ScanCorrupt):
            found.unpack(PurePosixPath("a.nii.gz"), tmp_path / "out")


def test_what_is_no_archive_is_refused_wherever_it_was_cut(opened) -> None:
    content = archive({"a.nii": b"x" * 100, "b.nii": b"y" * 100})
    for length in range(0, len(content), 7):
        with pytest.raises((ScanCorrupt, UsageError)):
            opened(content[:length])


def test_an_archive_that_was_written_over_anywhere_is_refused_or_read_but_never_breaks(opened, tmp_path: Path) -> None:
    content = packed(b"voxels of a scan" * 4, ZIP_DEFLATED)
    for at, flip in product(range(len(content)), (0x01, 0x55, 0x80, 0xFF)):
        out = tmp_path / f"out{at}-{flip}"
        try:
            with opened(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]) as found:
                for number, member in enumerate(found.members):
                    out.mkdir(exist_ok=True)
                    found.unpack(member.name, out / f"{number}")
        except (ScanCorrupt, ScanTooLarge, UsageError):
            continue
        for written in out.glob("*"):
            assert written.read_bytes() == b"voxels of a scan" * 4
