"""``skipseg segment``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DeviceName, ModelReference
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.models.inference.predictor import Predictor
    from skipseg.service.commands.cases import ScanFiles


def segment(
    model: ModelReference,
    scans: Annotated[list[Path], typer.Argument(metavar="SCAN...", help="Scans, or folders of scans.")],
    out: Annotated[Path, typer.Option(help="A folder; or a file, when there is one scan.")],
    format: Annotated[
        str | None, typer.Option(help="nifti, nrrd, mha, png, tiff or json. Default: that of --out, else of the scan.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Skip scans that an earlier run into --out has done.")] = False,
    device: DeviceName = "auto",
    data: DataFolder = None,
) -> None:
    """Write the mask of each scan, on the scan's own grid; exit 1 if any failed, each named."""
    from skipseg.models.errors import UsageError
    from skipseg.models.inference.predictor import Predictor
    from skipseg.models.registry import open_model
    from skipseg.models.scans.masks import MASK_FORMATS
    from skipseg.service.commands.cases import collect

    if format is not None and format not in MASK_FORMATS:
        raise UsageError(f"masks are written as {', '.join(MASK_FORMATS)}; got --format {format}")
    bundle = open_model(model, open_registry(data))
    found = collect(scans, len(bundle.plan.channels), out)
    as_file = mask_format_of(out)
    if as_file and len(found) > 1:
        raise UsageError(f"--out {out} is one file, but there are {len(found)} scans; name a folder")
    if as_file and format not in (None, as_file):
        raise UsageError(
            f"--out {out} is called like a {as_file} file, but --format says {format}; name one of them alone"
        )
    predictor = Predictor(bundle, device)
    if as_file:
        _one(found[0], predictor, out)
    else:
        _many(found, predictor, f"{bundle.manifest.name} {bundle.manifest.weights_sha256[:12]}", out, format, resume)


def mask_format_of(out: Path) -> str | None:
    """The format of a file called ``out``, or None when that is no mask's name, and so a folder's."""
    from skipseg.models.scans.reader import FORMATS

    if out.is_dir():
        return None
    named = (name for name, form in FORMATS.items() if out.name.lower().endswith(form.suffixes))
    return "json" if out.suffix.lower() == ".json" else next(named, None)


def _one(scan: ScanFiles, predictor: Predictor, out: Path) -> None:
    from skipseg.models.scans.masks import write_mask
    from skipseg.models.scans.reader import read_channels

    scan.check_channels(len(predictor.plan.channels))
    mask = predictor.segment(read_channels(scan.files))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_mask(mask, out)


def _many(
    scans: list[ScanFiles], predictor: Predictor, model: str, out: Path, format: str | None, resume: bool
) -> None:
    from skipseg.service.commands.batch import RESULTS, Batch

    with bar("segmenting") as progress:
        results = Batch(predictor, model, out, format).run(scans, resume, progress)
    failed = [result for result in results if result.state == "failed"]
    for result in failed:
        print(f"{result.scan}: {result.problem}", file=sys.stderr)
    print(f"{len(results) - len(failed)} of {len(results)} scans segmented; see {out / RESULTS}")
    raise typer.Exit(1 if failed else 0)
