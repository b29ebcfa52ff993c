"""``skipseg bench``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DeviceName, PrecisionName
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.service.bench.subject import Subject

app = typer.Typer(no_args_is_help=True, help="Measure speed, beside the plain way of doing it in the same run.")

OWN_NETWORK = "dynunet"

Quick = Annotated[bool, typer.Option("--quick", help="Small sizes, to see that it works; its figures tell nothing.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", dir_okay=False, help="Write everything there, raw readings too."),
]


@app.command()
def inference(
    scan: Annotated[str | None, typer.Option(help="Voxels of the made-up scan. Default: 256x256x128.")] = None,
    tile: Annotated[
        str | None, typer.Option(help="Voxels of a tile. Default: 128x128x64, or as the model's plan says.")
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(help="Of neighbouring tiles. Default: 0.5, or as the model's plan says.")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, max=256, help="Of the untrained network. Default: 3.")] = None,
    network: Annotated[
        str, typer.Option(metavar="dynunet|MODEL", help="An untrained DynUNet (32 to 320 features), or a model.")
    ] = OWN_NETWORK,
    rounds: Annotated[int | None, typer.Option(min=1, help="Scans of each way, in turn. Default: 3.")] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Score the masks of each way on this dataset; needs a model."),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with the names of the cases to score, one a line."),
    ] = None,
    quick: Quick = False,
    device: DeviceName = "auto",
    json_file: JsonFile = None,
    data: DataFolder = None,
) -> None:
    """One scan from network input to labels: MONAI's inferer in fp32 and bf16, and ours, exact and fast."""
    from skipseg.models.precision import choose_device
    from skipseg.service.bench.inference import InferenceWish, measure_inference
    from skipseg.service.bench.inference_table import print_inference
    from skipseg.service.bench.readings import shape_of
    from skipseg.service.bench.sizes import inference_size

    usual = inference_size(quick)
    with _scratch() as folder:
        subject = _subject(folder, network, tile, overlap, classes, quick, data)
        wish = InferenceWish(
            subject=subject,
            scan=shape_of(scan, "--scan") if scan else usual.scan,
            device=str(choose_device(device)),
            rounds=rounds or usual.rounds,
            peak_side=usual.peak_side,
            dataset=dataset,
            cases=_cases(subject, network, dataset, cases),
        )
        with bar("measuring") as progress:
            found = measure_inference(wish, progress)
    _write(json_file, found.as_json())
    print_inference(found)


@app.command()
def serving(
    large: Annotated[
        int | None, typer.Option(min=16, max=1024, help="Voxels of a large scan along each axis. Default: 256.")
    ] = None,
    precision: PrecisionName = "fast",
    quick: Quick = False,
    device: DeviceName = "auto",
    json_file: JsonFile = None,
) -> None:
    """Our server and a plain one of FastAPI and MONAI's inferer, asked for small and large scans at the same time."""
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.service.bench.servers import Servers
    from skipseg.service.bench.serving import measure_serving
    from skipseg.service.bench.serving_table import print_serving
    from skipseg.service.bench.sizes import serving_size
    from skipseg.service.bench.subject import dynunet, untrained

    usual = serving_size(quick)
    size = replace(usual, large=large or usual.large)
    with _scratch() as folder:
        subject = untrained(folder / "bundle", dynunet(size.widths, 3), size.tile, size.overlap)
        servers = Servers(subject, folder, str(choose_device(device)), mode_of(precision))
        with bar("measuring") as progress:
            found = measure_serving(servers, size, progress)
    _write(json_file, found.as_json())
    print_serving(found)


@app.command()
def batch(
    scans: Annotated[int | None, typer.Option(min=1, help="Made-up scans. Default: 208.")] = None,
    folder: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder of scans, instead of made-up ones.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundle's folder, or NAME or NAME@VERSION from the registry.")
    ] = "hippocampus",
    rounds: Annotated[int | None, typer.Option(min=1, help="Of all scans in each way, in turn. Default: 3.")] = None,
    precision: PrecisionName = "fast",
    quick: Quick = False,
    device: DeviceName = "auto",
    json_file: JsonFile = None,
    data: DataFolder = None,
) -> None:
    """A folder of scans as `skipseg segment` takes it, and one scan after the other with MONAI's inferer."""
    from skipseg.models.errors import UsageError
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.models.registry import open_model
    from skipseg.service.bench.batch import BatchWish, measure_batch
    from skipseg.service.bench.batch_table import print_batch
    from skipseg.service.bench.sizes import batch_size
    from skipseg.service.bench.subject import Subject
    from skipseg.training.phantoms import write_phantom_dataset

    if folder is not None and scans is not None:
        raise UsageError("--scans says how many to make up; --folder names those that are there; give one of them")
    usual, on, mode = batch_size(quick), str(choose_device(device)), mode_of(precision)
    subject = Subject(open_model(model, open_registry(data)).folder)
    with _scratch() as made:
        if folder is None:
            print(f"making up {scans or usual.scans} scans", file=sys.stderr)
            write_phantom_dataset(made, scans or usual.scans, seed=0)
        wish = BatchWish(subject, model, folder or made / "imagesTr", on, mode, rounds or usual.rounds)
        with bar("measuring") as progress:
            found = measure_batch(wish, made / "masks", progress)
    _write(json_file, found.as_json())
    print_batch(found)


def _subject(
    folder: Path,
    network: str,
    tile: str | None,
    overlap: float | None,
    classes: int | None,
    quick: bool,
    data: Path | None,
) -> Subject:
    """The network to run: an untrained one in ``folder``, or a model."""
    from skipseg.models.errors import UsageError
    from skipseg.models.registry import open_model
    from skipseg.service.bench.readings import shape_of
    from skipseg.service.bench.sizes import inference_size
    from skipseg.service.bench.subject import Subject, dynunet, untrained

    usual, given = inference_size(quick), shape_of(tile, "--tile") if tile else None
    if network == OWN_NETWORK:
        recipe = dynunet(usual.widths, classes or 3)
        return untrained(folder / "bundle", recipe, given or usual.tile, 0.5 if overlap is None else overlap)
    if classes is not None:
        raise UsageError(f"--classes is for the untrained network; {network} has its own")
    return Subject(open_model(network, open_registry(data)).folder, given, overlap)


def _cases(subject: Subject, network: str, dataset: Path | None, names: Path | None) -> tuple[str, ...]:
    """Names of the cases to score; none without a dataset."""
    from skipseg.models.errors import UsageError
    from skipseg.service.commands.evaluate import choose_cases
    from skipseg.training.datasets.dataset import open_dataset

    if dataset is None:
        if names is not None:
            raise UsageError("--cases needs --dataset")
        return ()
    if network == OWN_NETWORK:
        raise UsageError("--dataset needs a trained model: name it with --network")
    bundle = subject.open()
    return tuple(case.name for case in choose_cases(open_dataset(dataset), [bundle.manifest.training], names))


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="skipseg-bench-") as folder:
        yield Path(folder)


def _write(file: Path | None, found: Mapping[str, Any]) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
