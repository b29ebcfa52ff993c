"""The command ``skipseg``: every room tied together.

Exit codes: 0 done; 1 something failed, and is named; 2 the command was used wrongly.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from skipseg import __version__
from skipseg.models.allocator import keep_freed_memory
from skipseg.models.errors import SkipsegError
from skipseg.service.commands import (
    bench,
    compare,
    dataset,
    demo,
    dicom,
    evaluate,
    keys,
    models,
    plan,
    segment,
    serve,
    study,
    train,
    tune,
    worker,
)

app = typer.Typer(
    name="skipseg",
    help="Train U-Nets on biomedical scans and serve their masks. Not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.add_typer(dataset.app, name="dataset")
app.add_typer(dicom.app, name="dicom")
app.command()(plan.plan)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(study.study)
app.command()(segment.segment)
app.command()(serve.serve)
app.command()(worker.worker)
models.app.command()(tune.tune)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """The console script."""
    keep_freed_memory()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: a file's name may be no text
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int | str | None:
    """Run one command and give its exit code; a user's mistake is one line on standard error, never a traceback."""
    try:
        app(list(arguments), prog_name="skipseg")
    except SystemExit as end:
        return end.code
    except SkipsegError as error:
        return _told(str(error), _exit_code(error))
    except OSError as error:
        return _told(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    return 0


def _told(message: str, code: int) -> int:
    print(f"skipseg: {message}", file=sys.stderr)
    return code


def _exit_code(error: SkipsegError) -> int:
    from skipseg.service.problems import answer_for  # FastAPI is slow to import, and needed here in this case alone

    return answer_for(error).exit_code


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"skipseg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
