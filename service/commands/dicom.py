"""``skipseg dicom``."""

from __future__ import annotations

import typer

from skipseg.service.commands.deidentify import deidentify

app = typer.Typer(help="DICOM files: without their patients.", no_args_is_help=True)
app.command()(deidentify)
