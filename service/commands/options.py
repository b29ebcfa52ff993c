"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NETWORK = "Network"

DatasetFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET", exists=True, file_okay=False, help="A dataset's folder (MSD, nnU-Net, or images/ labels/)."
    ),
]
ModelReference = Annotated[
    str, typer.Argument(metavar="MODEL", help="A bundle's folder, or NAME or NAME@VERSION from the registry.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        file_okay=False,
        help="What skipseg keeps. Default: SKIPSEG_DATA, else your data folder.",
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Choices to make instead of the planner's, as JSON or TOML.",
    ),
]
NetworkName = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NAME",
        help="unet, segresnet, swinunetr, unetr, dynunet or attentionunet. Default: unet.",
        rich_help_panel=NETWORK,
    ),
]
SkipName = Annotated[
    str | None,
    typer.Option(
        "--skip",
        metavar="KIND",
        help="How features cross the U: concat, add, attention or none. Default: concat.",
        rich_help_panel=NETWORK,
    ),
]
PrecisionName = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="MODE",
        help="exact: fp32 throughout. fast: bf16 where the hardware has it, after a self-test against fp32.",
    ),
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
