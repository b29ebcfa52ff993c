"""Datasets on a server's disk: every change is whole or did not happen, and says who made it.

A change writes new files beside the old ones and then replaces ``dataset.json``; a lock keeps writers apart, also those
of other processes. Readers need none: they see the dataset before a change or after it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from secrets import token_hex

from filelock import FileLock
from pydantic import ValidationError

from skipseg.models.durable import settle, write_whole
from skipseg.models.errors import DatasetConflict, DatasetError, DatasetUnknown, UsageError
from skipseg.models.registry import NAME
from skipseg.models.scans.archives import ArchiveLimits
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.service.datasets import trail
from skipseg.service.datasets.contents import (
    CASE_NAME,
    CASE_RULE,
    THUMBNAILS,
    CaseFiles,
    Contents,
    TrailEntry,
    described,
    entry,
)
from skipseg.service.datasets.examining import Looked, Sent, copied, image_names, look_at
from skipseg.service.datasets.freezing import choose, frozen_set, refuse_if_frozen
from skipseg.service.datasets.importing import import_zip
from skipseg.training.datasets.description import Description, Group

FILE = "dataset.json"
INCOMING, LOCKS = ".incoming", ".locks"
ABANDONED_S = 24 * 3600.0  # what is still incoming after a day belongs to nobody


class DatasetStore:
    """The datasets under one folder, which is made on the first change."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def all(self) -> list[Contents]:
        """Every dataset, by name."""
        return [self.get(path.parent.name) for path in sorted(self.root.glob(f"[!.]*/{FILE}"))]

    def get(self, name: str) -> Contents:
        """Raises ``DatasetUnknown``."""
        try:
            if NAME.fullmatch(name):
                return Contents.model_validate_json((self.root / name / FILE).read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError):
            raise DatasetError("the dataset's table of cases is damaged or unreadable on the server's disk") from None
        raise DatasetUnknown("there is no such dataset; GET /v1/datasets lists those there are")

    def trail(self, name: str) -> list[TrailEntry]:
        """Every change, the oldest first; raises ``DatasetUnknown``."""
        return trail.read(self.root / name, self.get(name).kept.last)

    def folder(self, name: str) -> Path:
        """Where ``training.datasets.dataset.open_dataset`` finds it."""
        return self.root / name

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A folder for files on their way in, gone afterwards."""
        incoming = self.root / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        for left in incoming.iterdir():
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
        folder = incoming / token_hex(16)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def create(self, name: str, about: Description, who: str) -> Contents:
        """A dataset without cases; ``about`` is what its ``dataset.json`` would say.

        Raises ``UsageError``, ``DatasetError``, ``DatasetConflict``.
        """
        labels, channels = about.named_labels(), about.channel_names
        if labels is None or not labels.foreground or not channels:
            raise UsageError("a dataset needs at least one channel and one label above 0")
        with self.draft() as draft:
            made = described(name, about, channels, labels, entry(1, who, "created"))
            return self._publish(name, draft, made)

    def add_zip(self, name: str, archive: Path, limits: ArchiveLimits, who: str) -> Contents:
        """A dataset from a zip of any layout; raises ``DatasetDefects`` and as ``create`` and ``Archive`` do."""
        self._check_free(name)
        with self.draft() as draft:
            return self._publish(name, draft / "dataset", import_zip(name, archive, draft, limits, who))

    def put_case(
        self, name: str, case: str, images: Sequence[Path], label: Path, who: str, limits: Limits = DEFAULT_LIMITS
    ) -> tuple[CaseFiles, bool]:
        """Add or replace a case, and tell whether it is new; without images it keeps those that it has.

        Raises ``ScanError`` and ``DatasetError`` when the files do not go together, ``DatasetConflict`` when the image
        is another case's already, or the case's image may not change because it is frozen.
        """
        if not CASE_NAME.fullmatch(case):
            raise UsageError(f"a case's name is {CASE_RULE}")
        seen = self.get(name)
        looked = look_at(Sent(tuple(images) or self._images(seen, case), label), seen, limits)
        with self._changing(name) as contents:
            before = contents.kept.cases.get(case)
            if not images and (before is None or before.images != looked.files.images):
                raise DatasetConflict("the case was changed at the same time; look at it, and send it again")
            if before == looked.files:
                return looked.files, False
            _refuse_twins(contents, case, looked.files)
            refuse_if_frozen(contents, case, looked.files)
            what = "case replaced" if before else "case added"
            new = entry(contents.revision + 1, who, what, case=case, before=before, after=looked.files)
            table = {**contents.dataset, case: self._keep(name, case, looked)}
            cases = {**contents.kept.cases, case: looked.files}
            self._write(name, contents.changed(new, table, cases=cases))
        return looked.files, before is None

    def remove_case(self, name: str, case: str, who: str) -> None:
        """Take a case out and delete its files, former labels as well; the trail keeps their checksums.

        Raises ``DatasetUnknown``, and ``DatasetConflict`` for a case of the frozen set.
        """
        with self._changing(name) as contents:
            before = contents.files_of(case)
            refuse_if_frozen(contents, case, None)
            new = entry(contents.revision + 1, who, "case removed", case=case, before=before)
            table = {other: group for other, group in contents.dataset.items() if other != case}
            cases = {other: files for other, files in contents.kept.cases.items() if other != case}
            self._write(name, contents.changed(new, table, cases=cases))
            self._sweep(name, table)

    def freeze(
        self, name: str, who: str, cases: Sequence[str] | None = None, learned: frozenset[str] = frozenset()
    ) -> Contents:
        """Fix which cases models are validated on: those named, else drawn from those whose image is not ``learned``.

        Raises ``DatasetUnknown``, and ``DatasetError`` when no case would be left to train or to validate on.
        """
        with self._changing(name) as contents:
            return self._freeze(name, contents, who, cases, learned)

    def frozen(self, name: str, who: str, learned: frozenset[str] = frozenset()) -> Contents:
        """The dataset with its frozen set, which is drawn now if there is none; raises as ``freeze``."""
        with self._changing(name) as contents:
            return contents if contents.kept.frozen else self._freeze(name, contents, who, None, learned)

    def snapshot(self, name: str, contents: Contents, into: Path, without: Mapping[str, str] | None = None) -> None:
        """What ``contents`` say as a dataset of its own at ``into``, whole or not at all, whatever changes later.

        Cases of ``without`` are left out. Raises ``DatasetConflict`` when a case was deleted meanwhile.
        """
        draft = into.with_name(f".{into.name}.writing")
        shutil.rmtree(draft, ignore_errors=True)
        table = {case: group for case, group in contents.dataset.items() if case not in (without or {})}
        for group in table.values():
            for file in (*group.images, group.label or ""):
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                if not (self.root / name / file).is_file():
                    raise DatasetConflict("a case was deleted while the dataset was read; start again")
                copied(self.root / name / file, draft / file)
        groups = {case: group for case, group in contents.groups.items() if case in table}
        text = contents.model_copy(update={"dataset": table, "groups": groups}).text()
        write_whole(draft / FILE, text.encode())
        os.rename(draft, into)

    def _freeze(
        self, name: str, contents: Contents, who: str, cases: Sequence[str] | None, learned: frozenset[str]
    ) -> Contents:
        chosen = choose(self.folder(name), contents, cases, learned)
        new = entry(contents.revision + 1, who, "frozen", frozen=chosen)
        changed = contents.changed(new, frozen=frozen_set(chosen, new))
        self._write(name, changed)
        return changed

    @contextmanager
    def _changing(self, name: str) -> Iterator[Contents]:
        """The contents while nobody else changes them, the trail mended if a crash left it behind."""
        self.get(name)
        with self._lock(name):
            contents = self.get(name)
            trail.append(self.root / name, contents.kept.last)
            yield contents

    def _lock(self, name: str) -> FileLock:
        locks = self.root / LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / name)

    def _check_free(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise UsageError("a dataset's name is lower-case letters, digits, - and _, at most 63")
        if (self.root / name).exists():
            raise DatasetConflict("there is a dataset of this name already; choose another, or PUT cases into that one")

    def _publish(self, name: str, draft: Path, made: Contents) -> Contents:
        """Make a draft the dataset of that name, in one step."""
        self._check_free(name)
        write_whole(draft / FILE, made.text().encode())
        trail.append(draft, made.kept.last)
        try:
            os.rename(draft, self.root / name)
        except OSError as error:
            if error.errno not in (EEXIST, ENOTEMPTY):
                raise
            self._check_free(name)
        return made

    def _images(self, contents: Contents, case: str) -> tuple[Path, ...]:
        group = contents.dataset.get(case)
        if group is None:
            raise UsageError("the form has no file part called 'image', and there is no such case yet to keep that of")
        return tuple(self.root / contents.name / file for file in group.images)

    def _keep(self, name: str, case: str, looked: Looked) -> Group:
        """Put a case's files in their place; they are found there only once the table says so."""
        images = [f"imagesTr/{looked.files.image[:32]}/{file}" for file in image_names(case, looked.suffixes[:-1])]
        label = f"labelsTr/{looked.files.label[:32]}/{case}{looked.suffixes[-1]}"
        for path, file in zip((*looked.sent.images, looked.sent.label), (*images, label), strict=True):
            place(path, self.root / name / file)
        return Group(images=images, label=label)

    def _write(self, name: str, contents: Contents) -> None:
        write_whole(self.root / name / FILE, contents.text().encode())
        trail.append(self.root / name, contents.kept.last)

    def _sweep(self, name: str, table: Mapping[str, Group]) -> None:
        """Delete the files of cases that the table does not have; also those that a crash left."""
        for part, ending in (("imagesTr", r"_\d{4}"), ("labelsTr", ""), (THUMBNAILS, "")):
            for path in (self.root / name / part).glob("*/*"):
                stem = path.name.partition(".")[0]
                if re.sub(f"{ending}$", "", stem) not in table:
                    path.unlink(missing_ok=True)


def place(path: Path, to: Path) -> None:
    """Have a file's bytes at ``to``, on disk; what is there already has the same."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.is_file():
        return
    draft = to.with_name(f".{token_hex(8)}")
    copied(path, draft)
    settle(draft)
    os.replace(draft, to)


def _refuse_twins(contents: Contents, case: str, files: CaseFiles) -> None:
    """One image under two names could be trained on and validated on."""
    for other, known in contents.kept.cases.items():
        if other != case and set(known.voxels) & set(files.voxels):
            raise DatasetConflict(
                f"the case {other} has the same image already; PUT the label there, as one image under two names could "
                "be trained on and validated on"
            )
