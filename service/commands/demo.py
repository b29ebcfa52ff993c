"""``skipseg demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes of training.")] = 1.0,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Keep the server running afterwards.")] = True,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the scan, its mask and the report go.")] = Path(
        "demo"
    ),
) -> None:
    """Train on phantoms, evaluate, serve, and segment one over HTTP: no network, no data of yours."""
    from skipseg.service.demo import run_demo

    run_demo(minutes, serve, out)
