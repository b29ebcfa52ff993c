"""``skipseg dataset``."""

from __future__ import annotations

from typing import Annotated

import typer

from skipseg.service.commands.options import DatasetFolder
from skipseg.service.commands.progress import bar

app = typer.Typer(help="Look at a dataset before training on it.", no_args_is_help=True)


@app.command()
def check(
    dataset: DatasetFolder, json: Annotated[bool, typer.Option("--json", help="Write the defects as JSON.")] = False
) -> None:
    """List every defect with its file and its mend; exit 1 if there are any."""
    from skipseg.training.datasets.check import check_dataset, defects_json, render_defects

    with bar("checking") as progress:
        defects = check_dataset(dataset, progress)
    print(defects_json(defects) if json else render_defects(defects))
    raise typer.Exit(1 if defects else 0)


@app.command()
def describe(dataset: DatasetFolder) -> None:
    """Show what was measured on a dataset: shapes, spacings, intensities, label sizes."""
    from skipseg.training.datasets.dataset import open_dataset
    from skipseg.training.planning.described import describe
    from skipseg.training.planning.fingerprint import measure

    with bar("measuring") as progress:
        fingerprint = measure(open_dataset(dataset), progress)
    print(describe(fingerprint))
