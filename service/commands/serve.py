"""``skipseg serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from skipseg.service.commands.options import DataFolder


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one. Default: 8000.")] = None,
    data: DataFolder = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Default: auto.")] = None,
) -> None:
    """Serve the live models of the registry over HTTP; what is not given comes from SKIPSEG_* (docs/settings.md)."""
    from skipseg.service.keys.binding import refuse_unguarded
    from skipseg.service.settings import load_settings

    settings = load_settings(host=host, port=port, data=data, device=device)
    refuse_unguarded(settings)  # said at once, before torch is imported

    from skipseg.service.running.server import serve as run

    run(settings)
