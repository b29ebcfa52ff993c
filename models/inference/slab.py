"""Scores on their way out of the accumulator: row by row, so that nobody ever holds all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Slab:
    """Blended scores (classes, X, Y, Z) of the rows ``start`` to ``stop`` on one axis of the network's grid."""

    scores: Tensor
    along: int  # 0 to 2
    start: int
    stop: int
    of: int  # rows of the whole grid

    @property
    def is_last(self) -> bool:
        return self.stop == self.of

    def rows(self, start: int, stop: int) -> Tensor:
        """The scores of some of its rows."""
        return self.scores.narrow(self.along + 1, start - self.start, stop - start)


class Sink(Protocol):
    """Makes something of scores while they come: labels, probabilities, how sure the network was.

    ``keeps`` is the first row that it must see again with what follows; it is asked after each ``take``.
    """

    @property
    def keeps(self) -> int: ...

    def margin(self, along: int) -> int:
        """How many rows before the last one it was shown it may keep, when rows come along an axis."""
        ...

    def take(self, slab: Slab) -> Iterator[None]:
        """Look at rows, none of them for the last time before ``keeps`` says so; each step is a short piece of work."""
        ...
