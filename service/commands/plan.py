"""``skipseg plan``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from skipseg.service.commands.options import DatasetFolder, DeviceName, NetworkName, PlanFile, SkipName
from skipseg.service.commands.progress import bar

UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


def plan(
    dataset: DatasetFolder,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the choices as JSON: a file for --plan, to be edited.")
    ] = None,
    device: DeviceName = "auto",
    memory: Annotated[
        str | None, typer.Option(help="Plan for this much memory, such as 24GB. Default: what is free.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Plan for a run of this long. Default: 60.")] = None,
    choices: PlanFile = None,
    network: NetworkName = None,
    skip: SkipName = None,
) -> None:
    """Show what training would do, why, and what it would cost, without training."""
    from skipseg.models.precision import choose_device
    from skipseg.training.datasets.dataset import open_dataset
    from skipseg.training.datasets.split import split_cases
    from skipseg.training.planning.choices import choices_of
    from skipseg.training.planning.overrides import read_overrides
    from skipseg.training.planning.planner import explain
    from skipseg.training.runs.setup import DEFAULT_MINUTES, TrainOptions, plan_for

    TrainOptions(minutes=minutes).check()
    count = None if memory is None else byte_count(memory)
    chosen, opened, time = choose_device(device), open_dataset(dataset), minutes or DEFAULT_MINUTES
    given = read_overrides(choices, network=network, skip=skip)
    with bar("measuring") as progress:
        planned = plan_for(opened, split_cases(opened), time, chosen, count, progress, overrides=given)
    print(f"{opened.name}: {time:g} minutes on {chosen.type}\n{explain(planned)}")
    if out is not None:
        out.write_text(choices_of(planned) + "\n", encoding="utf-8")


def byte_count(text: str) -> int:
    """``24GB`` as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB|MiB|GiB)", text)
    if match is None:
        raise typer.BadParameter(f"expected a size such as 24GB or 16GiB; got {text!r}", param_hint="--memory")
    return int(float(match[1]) * UNITS[match[2]])
