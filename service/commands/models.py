"""``skipseg models``: the registry."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.options import DataFolder, ModelReference

if TYPE_CHECKING:
    from skipseg.models.registry import Registry

app = typer.Typer(help="The registry: named models with versions.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]
Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="One version of a model, such as liver@2.")]


def open_registry(data: Path | None) -> Registry:
    """The registry under ``--data``, or where the settings say."""
    from skipseg.models.registry import Registry
    from skipseg.service.settings import load_settings

    return Registry(load_settings(data=data).registry)


@app.command("list")
def list_models(data: DataFolder = None) -> None:
    """List names, versions, and which version is live."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "live", "versions", "", box=None)
    for model in open_registry(data).models():
        versions = " ".join(map(str, model.versions))
        table.add_row(model.name, str(model.live or "-"), versions, "ships with skipseg" if model.shipped else "")
    Console().print(table)


@app.command()
def add(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", exists=True, file_okay=False, help="A bundle's folder.")],
    name: Annotated[str | None, typer.Option(help="Register it under another name than its own.")] = None,
    data: DataFolder = None,
) -> None:
    """Copy a bundle, or a MONAI bundle that is understood, in as the next version; the first one is live at once."""
    from skipseg.models.imports.monai_bundle import as_bundle

    with TemporaryDirectory() as aside:
        print(f"added {open_registry(data).add(as_bundle(bundle, Path(aside) / 'imported'), name).reference}")


@app.command()
def show(model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")], data: DataFolder = None) -> None:
    """Show a model's card."""
    from skipseg.models.bundle import CARD

    version = open_registry(data).resolve(model)
    version.open()
    print(f"{version.reference}\n\n{(version.folder / CARD).read_text(encoding='utf-8')}")


@app.command()
def promote(model: Version, data: DataFolder = None) -> None:
    """Make a version the live one."""
    registry = open_registry(data)
    name, version = _split(model)
    registry.promote(name, version)
    print(f"{name}@{version} is live")


@app.command()
def rollback(name: Name, data: DataFolder = None) -> None:
    """Make the version live that was live before."""
    print(f"{name}@{open_registry(data).rollback(name)} is live")


@app.command()
def remove(model: Version, data: DataFolder = None) -> None:
    """Delete a version that is not live."""
    registry = open_registry(data)
    name, version = _split(model)
    registry.remove(name, version)
    print(f"removed {name}@{version}")


@app.command()
def export(
    model: ModelReference,
    format: Annotated[str, typer.Option("--format", help="monai-bundle, onnx, or bundle (a copy).")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="The folder to write, which is not there yet.")],
    data: DataFolder = None,
) -> None:
    """Write a model as others read it, held to the original before it is kept."""
    from skipseg.models.exports.export import WRITERS, export
    from skipseg.models.registry import open_model

    chosen = next((known for known in WRITERS if known == format), None)
    if chosen is None:
        raise typer.BadParameter(f"expected one of {', '.join(WRITERS)}; got {format!r}", param_hint="--format")
    export(open_model(model, open_registry(data)), chosen, out)
    print(f"wrote {out}")


def _split(reference: str) -> tuple[str, int]:
    name, _, version = reference.partition("@")
    if not (version.isdecimal() and version.isascii() and len(version) < 10):
        raise typer.BadParameter(f"expected NAME@VERSION, such as liver@2; got {reference!r}")
    return name, int(version)
