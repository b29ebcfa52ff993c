"""``skipseg segment --server URL``: scans go out, masks come back. Read ``segment_there`` first."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import typer

from skipseg.client import Client, ClientError, Item, Job, Problem
from skipseg.models.durable import write_whole
from skipseg.models.errors import UsageError
from skipseg.models.inference.wishes import Wishes
from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.masks import format_of
from skipseg.models.scans.streams import GZIP_MAGIC
from skipseg.service.commands.cases import ScanFiles, collect, refuse_overwriting
from skipseg.service.commands.progress import bar
from skipseg.service.commands.results import RESULTS
from skipseg.service.commands.written import is_one_file, possible_files

WRONGLY_PUT = ("usage", "validation")  # codes of problems that the command's user made


@dataclass(frozen=True)
class Wanted:
    """What the command line says, but for the scans."""

    model: str
    out: Path
    format: str | None
    tta: bool
    overlap: float | None
    roi: str | None
    job: str | None
    choice: SeriesChoice


def segment_there(url: str, scans: Sequence[Path], wanted: Wanted) -> None:
    """Have a server segment scans: into a file by one request, into a folder by a job that outlives this command.

    Raises ``UsageError``, ``ScanUnusable`` and ``OSError``; ends with exit code 1 or 2 when the server refuses.
    """
    with _told(), Client(url) as client:
        channels = _channels(client, wanted.model)
        found = collect(scans, channels, wanted.out, wanted.choice)
        if is_one_file(wanted.out, wanted.format, len(found)):
            refuse_overwriting(found, [wanted.out])
            _one(client, found[0], channels, wanted)
        else:
            _refuse_for_jobs(wanted)
            refuse_overwriting(found, possible_files(found, wanted.out, wanted.format, Wishes()))
            _many(client, found, wanted)


def refuse_what_servers_decide(
    server: str | None, resume: bool | None, wishes: Wishes, device: str, precision: str, data: Path | None
) -> None:
    """Raise ``UsageError`` for options that mean nothing to a server, rather than leave them out."""
    if server is None:
        raise UsageError("--job needs --server URL: the server that the job was given to")
    here = {
        "--resume": resume is not None,
        "--probabilities": wishes.probabilities is not None,
        "--uncertainty": wishes.uncertainty,
        "--device": device != "auto",
        "--precision": precision != "fast",
        "--data": data is not None,
    }
    if given := [name for name, is_given in here.items() if is_given]:
        raise UsageError(f"{', '.join(given)} cannot be had with --server; leave it out, or segment without a server")


def _refuse_for_jobs(wanted: Wanted) -> None:
    if wanted.roi is not None:
        raise UsageError("--roi with --server is for one scan and an --out with the suffix of a mask")
    if (wanted.out / RESULTS).exists():
        raise UsageError(f"{wanted.out / RESULTS} is there already, of another run; choose another --out")


def _channels(client: Client, model: str) -> int:
    if os.sep in model:
        raise UsageError(f"with --server MODEL is NAME or NAME@VERSION of the server's registry; got {model}")
    described = client.model(model.partition("@")[0])
    if described.input is None:
        raise UsageError(f"the server cannot read its model {described.name}; see its log")
    return len(described.input.channels)


def _one(client: Client, scan: ScanFiles, channels: int, wanted: Wanted) -> None:
    if wanted.job is not None:
        raise UsageError("--job is for a folder as --out; one scan into one file is no job")
    scan.check_channels(channels)
    format = wanted.format or format_of(wanted.out)
    mask = client.segment(
        _slices(scan) if scan.is_dicom else scan.files,
        wanted.model,
        format,
        tta=wanted.tta,
        overlap=wanted.overlap,
        roi=wanted.roi,
        series=wanted.choice.series,
        geometry=wanted.choice.geometry,
    )
    for note in mask.notes:
        print(f"{scan.name}: {note}", file=sys.stderr)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(wanted.out, _packed_as_called(mask.content, wanted.out))


def _packed_as_called(mask: bytes, out: Path) -> bytes:
    """A server compresses a NIfTI mask as its scan was; here the name decides."""
    packed = mask.startswith(GZIP_MAGIC)
    if out.name.lower().endswith(".nii") and packed:
        return gzip.decompress(mask)
    return gzip.compress(mask, mtime=0) if out.name.lower().endswith(".gz") and not packed else mask


def _many(client: Client, scans: Sequence[ScanFiles], wanted: Wanted) -> None:
    job = _submitted(client, scans, wanted) if wanted.job is None else _again(client, scans, wanted, wanted.job)
    ended = _waited_for(client, job)
    items = list(client.jobs.items(ended))
    _refuse_what_changed(items, scans)
    client.jobs.download(ended, wanted.out)
    _report(ended, items, wanted.out)


def _submitted(client: Client, scans: Sequence[ScanFiles], wanted: Wanted) -> Job:
    files = {name: file for scan in scans for name, file in _members(scan).items()}
    if len(files) < sum(len(scan.files) for scan in scans):
        raise UsageError("two scans have the same name; segment them into two folders")
    upload, key = client.upload_scans(files), uuid4().hex
    options = {"format": wanted.format, "tta": wanted.tta, "overlap": wanted.overlap}
    options |= {"series": wanted.choice.series, "geometry": wanted.choice.geometry}
    try:
        return client.jobs.submit({"upload": upload.id}, wanted.model, key=key, **options)
    except KeyboardInterrupt:  # the order may be there already: sent again under its key it is the same job
        _tell_how_to_come_back(client.jobs.submit({"upload": upload.id}, wanted.model, key=key, **options))
        raise typer.Exit(1) from None


def _members(scan: ScanFiles) -> dict[str, Path]:
    """What a scan's files are called in an archive; of slices nothing is told but their order."""
    if scan.is_dicom:
        return {(scan.name / name).as_posix(): file for name, file in _slices(scan).items()}
    return {(scan.name.parent / file.name).as_posix(): file for file in scan.files}


def _slices(scan: ScanFiles) -> dict[str, Path]:
    return {f"{number:06}.dcm": file for number, file in enumerate(scan.files)}


def _again(client: Client, scans: Sequence[ScanFiles], wanted: Wanted, id: str) -> Job:
    """The job of an earlier command, which must have been the same."""
    job = client.jobs.get(id)
    names = {item.name for item in client.jobs.items(job)}
    if wanted.model not in (job.model, str(job.model).partition("@")[0]):
        raise UsageError(f"this job is one of {job.model}, not of {wanted.model}")
    if names != {scan.name.as_posix() for scan in scans}:
        raise UsageError("this job has other scans; give --job to the same command that began it")
    return job


def _waited_for(client: Client, job: Job) -> Job:
    try:
        with bar("segmenting") as progress:
            return client.jobs.wait(
                job, lambda now: progress(now.progress.done + now.progress.failed, now.progress.total)
            )
    except (KeyboardInterrupt, ClientError) as end:
        _tell_how_to_come_back(job)
        if isinstance(end, ClientError):
            raise
        raise typer.Exit(1) from None


def _tell_how_to_come_back(job: Job) -> None:
    words = f"the server has the job {job.id} and goes on; the same command with --job {job.id} fetches its masks"
    print(f"skipseg: {words}", file=sys.stderr)


def _refuse_what_changed(items: Sequence[Item], scans: Sequence[ScanFiles]) -> None:
    """The mask of what a file held before would lie beside what it holds now."""
    sent = {item.name: item.sha256 for item in items if item.state == "done"}
    here = [scan for scan in scans if scan.name.as_posix() in sent]
    if changed := [scan.name for scan in here if scan.sha256() != sent[scan.name.as_posix()]]:
        words = f"{len(changed)} scans changed since they were sent, such as {changed[0]}"
        raise UsageError(f"{words}; no mask was written: segment them again")


def _report(job: Job, items: Sequence[Item], out: Path) -> None:
    for item in items:
        if item.state != "done":
            print(f"{item.name}: {item.problem or item.state}", file=sys.stderr)
    print(f"{job.progress.done} of {job.progress.total} scans segmented by {job.model}; see {out / RESULTS}")
    raise typer.Exit(0 if job.progress.done == job.progress.total else 1)


@contextmanager
def _told() -> Iterator[None]:
    """What a server says, in one line and an exit code."""
    try:
        yield
    except ClientError as error:
        print(f"skipseg: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, Problem) and error.code in WRONGLY_PUT else 1) from None
