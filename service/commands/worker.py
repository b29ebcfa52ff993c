"""``skipseg worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from skipseg.service.commands.options import DataFolder
from skipseg.service.running.priority import give_way

BEHIND = 10  # of ``nice``: the server goes first, whose answers somebody waits for


def worker(
    data: DataFolder = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Default: auto.")] = None,
    supervised: Annotated[bool, typer.Option(hidden=True, help="End with standard input.")] = False,
) -> None:
    """Work on the jobs of a server, beside the workers that it has itself; one for each device is enough."""
    if supervised:
        give_way(BEHIND)
    from skipseg.service.jobs.worker import work
    from skipseg.service.observing import logs
    from skipseg.service.settings import load_settings

    settings = load_settings(data=data, device=device)
    logs.configure(settings.log_level)
    work(settings, supervised)
