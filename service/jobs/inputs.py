"""The scans of a job: what they are called, and where their bytes are.

    inputs.json    in the job's folder: the only place that knows their names

A scan in a zip stays there until it is its turn.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict

from skipseg.models.durable import write_whole
from skipseg.models.errors import JobConflict, ScanTooLarge, UsageError
from skipseg.models.scans.archives import Archive
from skipseg.models.scans.dicom.choice import AS_STORED, SeriesChoice
from skipseg.models.scans.dicom.found import contents_of
from skipseg.models.scans.dicom.parts import parts_in
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.reader import is_scan_name, scan_stem
from skipseg.service.commands.cases import CHANNEL, ScanFiles, collect
from skipseg.service.commands.series import scans_in
from skipseg.service.dicom.nodes import Nodes, web_node_named
from skipseg.service.jobs.orders import Inputs, WebSeries
from skipseg.service.store.uploads import Upload, UploadStore

INPUTS = "inputs.json"


class Item(BaseModel):
    """One scan: the name of its mask without suffix, and its files, channels in order."""

    model_config = ConfigDict(frozen=True)

    name: str
    files: tuple[str, ...]  # paths; members where ``archive`` is given
    archive: str | None = None
    is_dicom: bool = False  # the files are the slices of a series, or of a study
    web: WebSeries | None = None  # with its node: what is fetched when it is the item's turn


class ItemList(BaseModel):
    """What ``inputs.json`` holds."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Item, ...]
    uploads: tuple[str, ...] = ()  # that must not expire before the job has ended

    def write(self, folder: Path) -> None:
        write_whole(folder / INPUTS, self.model_dump_json().encode())

    @classmethod
    def read(cls, folder: Path) -> ItemList:
        """Raises ``JobConflict`` for a job that has no scans."""
        try:
            return cls.model_validate_json((folder / INPUTS).read_bytes())
        except FileNotFoundError:
            raise JobConflict("this job has no scans: a training tells what became of it in the job itself") from None


class Finder:
    """Finds the scans that an order names; ``roots`` are the folders that may be read, ``most`` bounds their count."""

    def __init__(self, uploads: UploadStore, roots: Sequence[Path], most: int, nodes: Nodes) -> None:
        self.uploads, self.roots, self.most = uploads, [root.resolve() for root in roots], most
        self.nodes = nodes

    def find(self, inputs: Inputs, channels: int, choice: SeriesChoice = AS_STORED) -> ItemList:
        """Raises ``UsageError``, ``UploadUnknown``, and what ``Archive`` raises."""
        if inputs.upload is not None:
            found = self._of_upload(self.uploads.get(inputs.upload), channels, choice)
        elif inputs.uploads is not None:
            found = self._of_uploads([self.uploads.get(id) for id in inputs.uploads], channels)
        elif inputs.dicomweb is not None:
            found = self._of_node(inputs.dicomweb, channels)
        else:
            paths = (inputs.folder,) if inputs.folder is not None else inputs.files or ()
            found = ItemList(items=tuple(self._on_disk([self._allowed(path) for path in paths], channels, choice)))
        if len(found.items) > self.most:
            raise ScanTooLarge(f"a job may have at most {self.most:,} scans; these are {len(found.items):,}")
        return found

    def _of_upload(self, upload: Upload, channels: int, choice: SeriesChoice) -> ItemList:
        content = self.uploads.content(upload)
        if upload.kind == "file":
            return self._of_uploads([upload], channels)
        with Archive(content) as archive:
            names = [member.name for member in archive.members if is_scan_name(member.name.name)]
            slices = list(_slices(archive, str(content), channels, choice))
        if not (names or slices):
            raise UsageError("the archive holds no file that is called like a scan, such as case.nii.gz, and no DICOM")
        items = (*_grouped(names, str(content), channels), *slices)
        if len({item.name for item in items}) < len(items):
            raise UsageError("two scans of the archive would write the same mask; put them into two folders")
        return ItemList(items=items, uploads=(upload.id,))

    def _of_uploads(self, uploads: Sequence[Upload], channels: int) -> ItemList:
        if any(upload.kind == "zip" for upload in uploads):
            raise UsageError("of several uploads each must be one scan; give a zip alone, as `upload`")
        if channels > 1:
            raise UsageError(
                f"this model needs {channels} channels a scan: upload a zip with case_0000, case_0001, ..."
            )
        contents = {str(self.uploads.content(upload)): _stem(upload.name) for upload in uploads}
        names = _told_apart(list(contents.values()))
        items = tuple(Item(name=name, files=(path,)) for path, name in zip(contents, names, strict=True))
        return ItemList(items=items, uploads=tuple(upload.id for upload in uploads))

    def _of_node(self, series: WebSeries, channels: int) -> ItemList:
        node, _ = web_node_named(self.nodes, series.node)
        if channels > 1:
            raise UsageError(f"a series is one channel, and this model needs {channels}: upload a zip with all of them")
        asked = series.model_copy(update={"node": node})
        return ItemList(items=(Item(name=series.series or series.study, files=(), web=asked),))

    def _on_disk(self, paths: Sequence[Path], channels: int, choice: SeriesChoice) -> Iterator[Item]:
        try:
            scans = collect(paths, channels, Path(os.devnull), choice)
        except UsageError:  # its words hold paths
            raise UsageError(
                "there is no file that is called like a scan, or two scans would write the same mask: name a folder "
                "that holds scans, and put scans of the same name into folders of their own"
            ) from None
        for scan in scans:
            files = tuple(str(self._allowed(str(file))) for file in scan.files)
            yield Item(name=scan.name.as_posix(), files=files, is_dicom=scan.is_dicom)

    def _allowed(self, path: str) -> Path:
        """A path with its links followed; no message tells what lies outside the roots."""
        found = _resolved(path)
        if found is None or not any(found.is_relative_to(root) for root in self.roots):
            raise UsageError(
                "folders and files of the server may only be named under SKIPSEG_ALLOWED_ROOTS, and one of these is "
                f"not; there are {len(self.roots)} such roots"
            )
        if not os.path.exists(found):  # Path.exists raises for names that are too long
            raise UsageError("there is no such file or folder under the allowed roots")
        return found


@contextmanager
def files_of(item: Item, scratch: Path, limits: Limits, choice: SeriesChoice = AS_STORED) -> Iterator[ScanFiles]:
    """The files of an item on disk, unpacked while the block runs if they lie in an archive.

    Raises ``ScanTooLarge`` before anything is unpacked, and what ``Archive`` raises.
    """
    name = PurePath(item.name)
    if item.web is not None:
        yield ScanFiles(name, tuple(sorted(fetched(scratch, item.web).iterdir())), True, choice)
        return
    if item.archive is None:
        yield ScanFiles(name, tuple(map(Path, item.files)), item.is_dicom, choice)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder, Archive(Path(item.archive)) as archive:
        sizes = {member.name: member.bytes for member in archive.members}
        found = [sizes.get(PurePosixPath(file), 0) for file in item.files]
        limits.check_bytes(sum(found) if item.is_dicom else max(found))
        unpacked = [Path(folder) / _nameless(file, number) for number, file in enumerate(item.files)]
        for file, to in zip(item.files, unpacked, strict=True):
            archive.unpack(PurePosixPath(file), to)
        yield ScanFiles(name, tuple(unpacked), item.is_dicom, choice)


def fetched(scratch: Path, series: WebSeries) -> Path:
    """The folder that a series is fetched into, and which is there once all of it is."""
    return scratch / hashlib.sha256(series.model_dump_json().encode()).hexdigest()[:32]


def content_key(sha256: str, model: str, options: str) -> str:
    """What stands for the same content, segmented by the same version in the same way."""
    return hashlib.sha256(f"{sha256}\n{model}\n{options}".encode()).hexdigest()


def _grouped(names: Sequence[PurePosixPath], archive: str, channels: int) -> Iterator[Item]:
    """Members of an archive as scans; channels by nnU-Net's names, as ``collect`` does on disk."""
    found: dict[str, list[PurePosixPath]] = {}
    for name in names:
        stem = scan_stem(Path(name))
        match = CHANNEL.fullmatch(stem) if channels > 1 else None
        found.setdefault(str(name.parent / (match["case"] if match else stem)), []).append(name)
    for scan, files in found.items():
        ordered = sorted(files)
        numbers = ScanFiles(PurePath(scan), tuple(map(Path, ordered))).channel_numbers if channels > 1 else []
        if len(files) > 1 and len(set(numbers)) < len(files):
            raise UsageError("two scans of the archive would write the same mask; put them into two folders")
        yield Item(name=scan, files=tuple(map(str, ordered)), archive=archive)


def _slices(archive: Archive, content: str, channels: int, choice: SeriesChoice) -> Iterator[Item]:
    """The scans that the DICOM members of an archive are, as ``series_of`` finds them on disk."""
    members = [member.name for member in archive.members]
    parts = [part for part in parts_in(archive) if not is_scan_name(members[part.number].name)]
    contents = contents_of(parts, keep_damaged=True)
    for name, numbers in scans_in(contents, members, channels, choice):
        files = tuple(str(members[number]) for number in numbers)
        yield Item(name=name.as_posix(), files=files, archive=content, is_dicom=True)


def _resolved(path: str) -> Path | None:
    """A path with its links followed; None for a name that no file can have, and links that go round in a circle."""
    try:
        return Path(path).resolve()
    except (OSError, ValueError, RuntimeError):
        return None


def _stem(name: str) -> str:
    return scan_stem(Path(name)) or "scan"


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names of uploads, with a number where two are alike."""
    told = dict[str, None]()
    for name in names:
        numbered = (f"{name}-{number}" for number in count(2))
        told[name if name not in told else next(other for other in numbered if other not in told)] = None
    return list(told)


def _nameless(member: str, number: int) -> str:
    """A file name that tells the channel and the kind of file, and nobody's name."""
    path = Path(member)
    if not is_scan_name(path.name):  # a slice of DICOM, whose name may be anything
        return f"{number:06}.dcm"
    stem, suffix = scan_stem(path), path.name.removeprefix(scan_stem(path))
    match = CHANNEL.fullmatch(stem)
    return f"scan_{match['channel']}{suffix}" if match else f"scan-{number}{suffix}"
