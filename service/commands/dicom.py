"""``skipseg dicom``."""

from __future__ import annotations

import typer

from skipseg.service.commands import listen
from skipseg.service.commands.deidentify import deidentify

app = typer.Typer(help="DICOM files without their patients, and series that others send.", no_args_is_help=True)
app.command()(deidentify)
app.command()(listen.listen)
app.add_typer(listen.rules, name="rules")
