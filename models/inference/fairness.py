"""Whose turn it is: the rule by which scans in flight share a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skipseg.models.inference.flight import Flight

GUARANTEE = 10  # of so many turns one goes to the scan that was served longest ago
RANKS = {"interactive": 0, "batch": 1}

Seconds = Callable[[Flight], float]


def in_turn(flights: Sequence[Flight], turn: int, seconds_left: Seconds) -> list[Flight]:
    """Scans in the order in which they may use the device next.

    People before batch jobs; among them the shortest remaining work first, which gives the lowest mean time to an
    answer (Schrage 1968) and lets a small scan overtake large ones. So that nobody starves, every tenth turn goes to
    whoever was served longest ago.
    """
    ordered = sorted(flights, key=lambda flight: (RANKS[flight.priority], seconds_left(flight), flight.asked))
    if turn % GUARANTEE == 0:
        oldest = min(ordered, key=lambda flight: (flight.served, flight.asked))
        ordered = [oldest, *(flight for flight in ordered if flight is not oldest)]
    return ordered
