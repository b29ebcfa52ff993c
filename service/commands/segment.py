"""``skipseg segment``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DeviceName, ModelReference, PrecisionName
from skipseg.service.commands.progress import bar
from skipseg.service.commands.segment_options import (
    AsFloats,
    GeometryName,
    JobId,
    Overlap,
    RoiText,
    SeriesUid,
    ServerUrl,
    StoredAs,
    Tta,
    Uncertain,
    refuse_two_in_one,
    wishes_of,
)

if TYPE_CHECKING:
    from skipseg.models.inference.predictor import Predictor
    from skipseg.models.inference.wishes import Wishes
    from skipseg.service.commands.batch import Batch
    from skipseg.service.commands.cases import ScanFiles


def segment(
    model: ModelReference,
    scans: Annotated[list[Path], typer.Argument(metavar="SCAN...", help="Scans, or folders of scans or of DICOM.")],
    out: Annotated[Path, typer.Option(help="A folder; or a file, when there is one scan.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="nifti, nrrd, mha, png, tiff or json; of a DICOM scan dicom-seg, dicom-seg-labelmap, dicom-sr or "
            "rtstruct too. Default: that of --out, else of the scan."
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume", help="Whether scans that an earlier run into --out has done are left. Default: yes."
        ),
    ] = None,
    tta: Tta = False,
    overlap: Overlap = None,
    roi: RoiText = None,
    probabilities: AsFloats = False,
    probabilities_as: StoredAs = None,
    uncertainty: Uncertain = False,
    series: SeriesUid = None,
    geometry: GeometryName = "strict",
    device: DeviceName = "auto",
    precision: PrecisionName = "fast",
    data: DataFolder = None,
    server: ServerUrl = None,
    job: JobId = None,
) -> None:
    """Write the mask of each scan, on the scan's own grid; exit 1 if any failed, each named."""
    from skipseg.models.errors import UsageError
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.models.registry import open_model
    from skipseg.models.scans.dicom.choice import SeriesChoice
    from skipseg.models.scans.masks import MASK_FORMATS
    from skipseg.models.series_rules import with_rules
    from skipseg.service.commands.batch import Batch
    from skipseg.service.commands.cases import collect, refuse_overwriting
    from skipseg.service.commands.written import files_of_one, is_one_file, possible_files

    if format is not None and format not in MASK_FORMATS:
        raise UsageError(f"masks are written as {', '.join(MASK_FORMATS)}; got --format {format}")
    wishes = wishes_of(tta, overlap, roi, probabilities_as or ("float16" if probabilities else None), uncertainty)
    choice = SeriesChoice(series, geometry)  # type: ignore[arg-type]  # which it checks
    if server is not None or job is not None:
        from skipseg.service.commands.remote import Wanted, refuse_what_servers_decide, segment_there

        refuse_what_servers_decide(server, resume, wishes, device, precision, data)
        return segment_there(server or "", scans, Wanted(model, out, format, tta, overlap, roi, job, choice))
    bundle = open_model(model, open_registry(data))
    wishes.way_for(bundle.plan)  # what the model cannot do is said before anything is read
    found = collect(scans, len(bundle.plan.channels), out, with_rules(choice, bundle.plan))
    as_file = is_one_file(out, format, len(found))
    refuse_overwriting(found, files_of_one(out, wishes) if as_file else possible_files(found, out, format, wishes))
    predictor = load_predictor(bundle, choose_device(device), mode_of(precision))
    if as_file:
        _one(found[0], predictor, out, format, wishes)
    else:
        refuse_two_in_one(found, wishes)
        fewer = "" if predictor.overlap is None else f" overlap={predictor.overlap}"
        plan = sha256(f"{bundle.plan.model_dump_json()}{fewer}".encode()).hexdigest()
        told = f"{bundle.manifest.name} {bundle.manifest.weights_sha256[:12]} {plan[:6]} {precision} {wishes}".strip()
        told += " resample" if geometry == "resample" else ""
        _many(found, Batch(predictor, told, out, format, wishes), resume is not False)
    return None


def _one(scan: ScanFiles, predictor: Predictor, out: Path, format: str | None, wishes: Wishes) -> None:
    from skipseg.models.inference.flight import fly_alone
    from skipseg.models.memory import memory_permitting
    from skipseg.models.scans.maps import write_maps
    from skipseg.models.scans.masks import without_suffix, write_mask

    scan.check_channels(len(predictor.plan.channels))
    with memory_permitting():
        volume = scan.read()
        flight = fly_alone(predictor.flight(predictor.prepare(volume, wishes=wishes), wishes=wishes))
        mask = predictor.finish(flight, volume.source)
    out.parent.mkdir(parents=True, exist_ok=True)
    for note in write_mask(mask, out, format):
        print(f"{scan.name}: {note}", file=sys.stderr)
    write_maps(predictor.maps(flight, volume.source), without_suffix(out))


def _many(scans: list[ScanFiles], batch: Batch, resume: bool) -> None:
    from skipseg.service.commands.results import RESULTS

    try:
        with bar("segmenting") as progress, _sigterm_as_ctrl_c():
            outcome = batch.run(scans, resume, progress)
    except KeyboardInterrupt:
        print(f"skipseg: interrupted; the same command goes on where {batch.out} was left", file=sys.stderr)
        raise typer.Exit(1) from None
    failed = [row for row in outcome.rows if row.state == "failed"]
    for row in failed:
        print(f"{row.scan}: {row.problem}", file=sys.stderr)
    pace = f"; {outcome.pace}" if outcome.made else ""
    print(f"{len(outcome.rows) - len(failed)} of {len(outcome.rows)} scans segmented{pace}; see {batch.out / RESULTS}")
    raise typer.Exit(1 if failed else 0)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Whoever ends a run with SIGTERM wants it to end in order, with no scan suspected."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
