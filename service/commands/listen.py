"""``skipseg dicom listen`` and ``skipseg dicom rules``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skipseg.models.errors import UsageError
from skipseg.service.commands.options import DataFolder

rules = typer.Typer(help="Rules: which series that came in go to which model.", no_args_is_help=True)


def listen(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one. Default: 11112.")] = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File of rules. Default: SKIPSEG_DICOM_RULES.")
    ] = None,
    data: DataFolder = None,
) -> None:
    """Take in series that others send by C-STORE, and order jobs for them by rules; docs/pacs.md tells how."""
    from skipseg.service.settings import load_settings

    settings = load_settings(dicom_host=host, dicom_port=port, dicom_rules=rules, data=data)

    from skipseg.service.dicom.listening.run import listen as run

    run(settings)


@rules.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of rules, TOML or JSON.")],
    series: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", exists=True, file_okay=False, help="A series: which rule would take it?"),
    ] = None,
    sender: Annotated[str, typer.Option("--from", metavar="AE", help="The AE title that would send it.")] = "",
    data: DataFolder = None,
) -> None:
    """Check a file of rules against the registry; with --series, say which rule takes that series (exit 1: none)."""
    from skipseg.models.registry import Registry
    from skipseg.service.dicom.listening.rulebook import checked
    from skipseg.service.dicom.listening.rules import Rules
    from skipseg.service.settings import load_settings

    settings = load_settings(data=data)
    found = checked(Rules.read(file), Registry(settings.registry), settings.dicom_nodes)
    print(f"{len(found.rules)} rules, each of which can be followed", file=sys.stderr)
    if series is not None:
        _say_which(found, series, sender)


def _say_which(rules, folder: Path, sender: str) -> None:  # type: ignore[no-untyped-def]
    from skipseg.service.dicom.listening.rules import PatternTooSlow

    try:
        rule = rules.rule_for(_series_in(folder, sender))
    except PatternTooSlow:
        raise UsageError(
            "a pattern takes too long on this series' description; write it without nested repeats"
        ) from None
    if rule is None:
        print("no rule takes this series")
        raise typer.Exit(1)
    done = "ignored" if rule.ignore else f"to {rule.model}, results to {rule.send_to or 'nobody'}"
    print(f"{rule.name}: {done}")


def _series_in(folder: Path, sender: str):  # type: ignore[no-untyped-def]
    from skipseg.models.errors import ScanCorrupt
    from skipseg.service.dicom.listening.header import read_header
    from skipseg.service.dicom.listening.rules import Series

    headers = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            headers.append(read_header(path))
        except ScanCorrupt:
            continue
    if len({header.series for header in headers}) != 1:
        count = len({header.series for header in headers})
        raise UsageError(f"the folder must hold the instances of one series; it holds {count} series")
    return Series(headers[0], sender, len({header.instance for header in headers}))
