"""``skipseg study``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from skipseg.service.commands.options import DatasetFolder, DeviceName
from skipseg.service.commands.progress import bar


def study(
    dataset: DatasetFolder,
    out: Annotated[
        Path,
        typer.Option(file_okay=False, help="Folder for study.json and report.html; what is there is gone on with."),
    ],
    minutes: Annotated[float, typer.Option(help="Wall-clock minutes of the whole study.")] = 60.0,
    device: DeviceName = "auto",
    seed: Annotated[int, typer.Option(help="First of the seeds.")] = 0,
) -> None:
    """Measure what skip connections do on a dataset: a grid of networks, and a verdict on every claim."""
    from skipseg.training.study.study import study as run

    try:
        with bar("studying") as progress:
            found = run(dataset, out, minutes, device, seed, progress, _tell)
    except KeyboardInterrupt:
        print(f"skipseg: interrupted; the same command goes on where {out} was left", file=sys.stderr)
        raise typer.Exit(1) from None
    counted = Counter(claim.verdict for claim in found.claims)
    verdicts = ", ".join(f"{counted[verdict]} {verdict}" for verdict in ("confirmed", "refuted", "undecided"))
    print(f"{len(found.runs)} runs; claims: {verdicts}; see {out / 'report.html'}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
