"""What a person sees while a dataset becomes a bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from skipseg.training.fitting.fit import Fitted, Moment


class Display:
    """A bar in a terminal; elsewhere (logs, CI) a line at every tenth. Everything goes to stderr."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(file=sys.stderr, quiet=quiet, soft_wrap=True)
        self._tenth = -1
        self._bar: tuple[Progress, TaskID] | None = None

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, highlight=False)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how many of ``total`` are done; the function given is called after each."""
        if not self.console.is_terminal or self.console.quiet:
            self.say(f"{what} {total} cases")
            yield lambda: None
            return
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Show a bar while moments come in."""
        self._tenth = -1
        if not self.console.is_terminal or self.console.quiet:
            yield
            return
        columns = (
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.percentage:.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
        )
        with Progress(*columns, console=self.console) as progress:
            self._bar = progress, progress.add_task("training", total=1.0, told="")
            try:
                yield
            finally:
                self._bar = None

    def fitted(self, fitted: Fitted) -> None:
        """Tell how a fit ended, and whether data came as fast as the device took it."""
        share = fitted.waited / max(fitted.seconds, 1e-9)
        why = "asked to stop after " if fitted.interrupted else ""
        self.say(f"{why}{fitted.steps} steps; {fitted.waited:.1f} s ({share:.1%} of the time) without data")

    def moment(self, moment: Moment) -> None:
        """Take notice of a moment of the fit."""
        left = moment.seconds * (1 - moment.progress) / max(moment.progress, 1e-3)
        dice = "" if moment.dice is None else f"  Dice {moment.dice:.3f}"
        told = f"step {moment.step}  loss {moment.loss:.3f}{dice}  {_clock(left)} left"
        if self._bar:
            self._bar[0].update(self._bar[1], completed=moment.progress, told=told)
        elif int(moment.progress * 10) > self._tenth:
            self._tenth = int(moment.progress * 10)
            self.say(f"training {moment.progress:4.0%}  {told}")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
