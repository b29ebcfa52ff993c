"""``skipseg dicom``."""

from __future__ import annotations

import typer

from skipseg.service.commands import listen

app = typer.Typer(help="DICOM: series that others send.", no_args_is_help=True)
app.command()(listen.listen)
app.add_typer(listen.rules, name="rules")
