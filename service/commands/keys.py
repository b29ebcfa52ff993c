"""``skipseg keys``: who may ask a server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.models.errors import UsageError
from skipseg.service.commands.options import DataFolder

if TYPE_CHECKING:
    from skipseg.service.keys.audit import AuditLog
    from skipseg.service.keys.scopes import Scope
    from skipseg.service.keys.store import KeyStore

app = typer.Typer(help="API keys: without one nobody but this machine is answered.", no_args_is_help=True)

DAYS = 365


def open_store(data: Path | None) -> KeyStore:
    """The keys under ``--data``, or where the settings say."""
    from skipseg.service.keys.store import KeyStore

    return KeyStore(_folder(data))


def open_audit(data: Path | None) -> AuditLog:
    """The audit log beside them, which can be written: nothing is done that could not be written down."""
    from skipseg.service.keys.audit import AuditLog

    audit = AuditLog(_folder(data))
    audit.open_for_good()
    return audit


@app.command()
def create(
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="read|segment|train|admin", help="What it may do; may be repeated. Default: read, segment."
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Days until it expires; 0: it does not.")] = DAYS,
    name: Annotated[str, typer.Option(help="A label for people, such as the program that will use it.")] = "",
    data: DataFolder = None,
) -> None:
    """Make a key and print it, this once: what is kept of it cannot be turned back into it."""
    scopes, audit = _scopes(scope or ["read", "segment"]), open_audit(data)
    key, token = open_store(data).create(name, scopes, days)
    _note(audit, "create", key.id)
    until = f"until {key.expires:%Y-%m-%d}" if key.expires else "until it is revoked"
    told = f"key {key.id}, for {', '.join(key.scopes)}, valid {until}; it is shown this once, so keep it now"
    print(told, file=sys.stderr)
    print(token)


@app.command("list")
def list_keys(data: DataFolder = None) -> None:
    """List keys: what they may do, until when, and when they were last used."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    now = datetime.now(UTC)
    table = Table(Column("id", no_wrap=True), "name", "scopes", "made", "expires", "last used", "", box=None)
    for key in open_store(data).keys().keys:
        dates = (_day(key.made), _day(key.expires), _minute(key.last_used))
        table.add_row(key.id, Text(key.name or "-"), " ".join(key.scopes), *dates, key.state(now))
    Console().print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The id of a key, as `list` shows it.")],
    data: DataFolder = None,
) -> None:
    """End a key for good; servers that are running refuse it from the next request on."""
    audit = open_audit(data)
    revoked = open_store(data).revoke(key)
    _note(audit, "revoke", revoked.id)
    print(f"revoked {revoked.id}")


def _folder(data: Path | None) -> Path:
    from skipseg.service.settings import load_settings

    return load_settings(data=data).data


def _note(audit: AuditLog, command: str, key: str) -> None:
    audit.append({"caller": "command line", "action": f"skipseg keys {command}", "target": key})
    audit.sync()


def _scopes(given: list[str]) -> tuple[Scope, ...]:
    from skipseg.service.keys.scopes import SCOPES

    if unknown := sorted(set(given) - set(SCOPES)):
        raise UsageError(f"--scope must be one of {', '.join(SCOPES)}; got {', '.join(unknown)}")
    return tuple(scope for scope in SCOPES if scope in given)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"
