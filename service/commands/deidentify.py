"""``skipseg dicom deidentify``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.training.deidentify.folder import Outcome

FACES = (
    "skipseg: {} of the files written may be of a head, whose face can be recognised in 3D; faces are not removed "
    "here, see docs/deidentification.md"
)


def deidentify(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="DICOM files, nested in any way.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", file_okay=False, help="Where the new files go.")],
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            metavar="KEYFILE",
            dir_okay=False,
            help="Keep what stands for what in this file, which leads back to the patients; a later run goes on with "
            "it. Default: nobody can find back.",
        ),
    ] = None,
) -> None:
    """Write DICOM files anew without their patients (PS3.15, basic profile); exit 1 if some are refused."""
    from skipseg.models.errors import UsageError
    from skipseg.training.deidentify import keyfile
    from skipseg.training.deidentify.folder import deidentify_folder
    from skipseg.training.deidentify.pseudonyms import Pseudonyms

    if mapping and any(mapping.resolve().is_relative_to(one.resolve()) for one in (out, folder)):
        raise UsageError("the file of --mapping leads back to the patients; keep it outside of FOLDER and --out")
    kept = keyfile.going_on(mapping) if mapping else nullcontext(Pseudonyms())
    with kept as pseudonyms, bar("de-identifying") as progress:
        outcome = deidentify_folder(folder, out, pseudonyms, progress)
    _tell(outcome, out)
    raise typer.Exit(1 if outcome.refused else 0)


def _tell(outcome: Outcome, out: Path) -> None:
    print(f"{outcome.written} of {outcome.files} files written below {out}")
    if outcome.twice:
        print(f"{outcome.twice} were there already")
    if outcome.others:
        print(f"{outcome.others} are no DICOM, or a DICOMDIR, and were left out")
    for objection, numbers in outcome.refused.items():
        typer.echo(f"skipseg: {len(numbers)} refused, as they {objection.value}: {_ranges(numbers)}", err=True)
    if outcome.refused:
        typer.echo("skipseg: files are counted as `find FOLDER -type f | LC_ALL=C sort` lists them", err=True)
    if outcome.faces:
        typer.echo(FACES.format(outcome.faces), err=True)


def _ranges(numbers: list[int]) -> str:
    """``3-5, 9`` for 3, 4, 5 and 9."""
    runs = list[list[int]]()
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
