"""Whose turn it is: the rule by which scans in flight share a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skipseg.models.inference.flight import Flight

GUARANTEE = 10  # of so many turns one goes to a scan that starves, if there is one
STARVING_S = 30.0  # since it was asked for

RANKS = {"interactive": 0, "batch": 1}

Seconds = Callable[[Flight], float]


def in_turn(flights: Sequence[Flight], turn: int, now: float, seconds_left: Seconds) -> list[Flight]:
    """Scans in the order in which they may use the device next; ``now`` as ``Flight.asked`` counts.

    People before batch jobs; among them the shortest remaining work first, which gives the lowest mean time to an
    answer (Schrage 1968) and lets a small scan overtake large ones. So that none waits for ever, every tenth turn goes
    to the one that was asked for first, if that was half a minute ago and one that came later is about to pass it.
    """
    ordered = sorted(flights, key=lambda flight: (RANKS[flight.priority], seconds_left(flight), flight.asked))
    longest = min(ordered, key=lambda flight: flight.asked)
    if turn % GUARANTEE == 0 and now - longest.asked > STARVING_S:
        ordered = [longest, *(flight for flight in ordered if flight is not longest)]
    return ordered
