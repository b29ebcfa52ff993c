"""What ``skipseg segment`` may be asked beside a mask, as its help shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skipseg.models.inference.wishes import Wishes
    from skipseg.service.commands.cases import ScanFiles

HOW, MORE = "How scans are shown to the network", "Beside each mask"
THERE, DICOM = "On a server", "Of DICOM"

Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Show mirrored views as well, along the axes that training mirrored, and answer with their mean.",
        rich_help_panel=HOW,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        help="Share of a tile that its neighbour covers again. Default: the plan's, or what the model proves.",
        rich_help_panel=HOW,
    ),
]
RoiText = Annotated[
    str | None,
    typer.Option(
        "--roi",
        metavar="X0:X1,Y0:Y1,Z0:Z1",
        help="Segment this box alone, in voxels of the scan, X1 not included; all else is background.",
        rich_help_panel=HOW,
    ),
]
AsFloats = Annotated[
    bool,
    typer.Option("--probabilities", help="NAME.probabilities.nii.gz: of every class.", rich_help_panel=MORE),
]
StoredAs = Annotated[
    str | None,
    typer.Option(
        "--probabilities-as",
        metavar="float16|uint8",
        help="The same, stored so; uint8 in steps of 1/255. Default: float16.",
        rich_help_panel=MORE,
    ),
]
Uncertain = Annotated[
    bool,
    typer.Option(
        "--uncertainty", help="NAME.uncertainty.nii.gz: entropy, 0 certain to 1 a guess.", rich_help_panel=MORE
    ),
]
SeriesUid = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="UID",
        help="Of DICOM this series alone; for several channels one for each, with commas between.",
        rich_help_panel=DICOM,
    ),
]
GeometryName = Annotated[
    str,
    typer.Option(
        "--geometry",
        metavar="strict|resample",
        help="resample: interpolate DICOM slices that lie on no regular grid onto one, rather than refuse them.",
        rich_help_panel=DICOM,
    ),
]

ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Have this server do it; MODEL is of its registry, SKIPSEG_API_KEY the key.",
        rich_help_panel=THERE,
    ),
]
JobId = Annotated[
    str | None,
    typer.Option(
        "--job",
        metavar="ID",
        help="Wait for a job that the same command has begun, and fetch its masks.",
        rich_help_panel=THERE,
    ),
]


def wishes_of(
    tta: bool, overlap: float | None, roi: str | None, probabilities: str | None, uncertainty: bool
) -> Wishes:
    """What the options say; raises ``UsageError``."""
    from skipseg.models.inference.wishes import Wishes, stored_as
    from skipseg.models.scans.roi import Roi

    box = None if roi is None else Roi.parse(roi)
    return Wishes(overlap, tta, box, None if probabilities is None else stored_as(probabilities), uncertainty)


def refuse_two_in_one(scans: Iterable[ScanFiles], wishes: Wishes) -> None:
    """Raise ``UsageError`` when a map of one scan would be called like the mask of another."""
    from skipseg.models.errors import UsageError

    masks = {scan.name for scan in scans}
    for mask in masks:
        for name in wishes.maps:
            if mask.with_name(f"{mask.name}.{name}") in masks:
                raise UsageError(f"the {name} of {mask} would be written over a mask; segment them into two folders")
