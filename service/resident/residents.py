"""Who stays in memory: so many bytes for all, and the one used longest ago leaves when another must come in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(eq=False)
class Resident(Generic[Item]):
    """Something that stays in memory, or is on its way there: then it takes no bytes yet."""

    key: str
    item: Item
    bytes: int = 0
    users: int = 0


class Residents(Generic[Item]):
    """Found by their keys, at most ``budget`` bytes together; for one thread at a time."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._staying: dict[str, Resident[Item]] = {}  # the one used longest ago first
        self._leaving: list[Resident[Item]] = []  # found no more, but used still

    def __iter__(self) -> Iterator[Resident[Item]]:
        return iter(tuple(self._staying.values()))

    def find(self, key: str) -> Resident[Item] | None:
        return self._staying.get(key)

    @property
    def used(self) -> int:
        """Bytes of all, those included that leave as soon as nobody uses them."""
        return sum(one.bytes for one in (*self, *self._leaving))

    def come(self, key: str, item: Item) -> Resident[Item]:
        """Be found from now on."""
        self._staying[key] = resident = Resident(key, item)
        return resident

    def use(self, resident: Resident[Item]) -> None:
        """Keep it in memory until ``release``."""
        resident.users += 1
        if self._staying.get(resident.key) is resident:
            self._staying[resident.key] = self._staying.pop(resident.key)

    def release(self, resident: Resident[Item]) -> None:
        """Be done with one use."""
        resident.users -= 1
        if not resident.users and resident in self._leaving:
            self._leaving.remove(resident)

    def leave(self, resident: Resident[Item]) -> None:
        """Be found no more; its bytes are free once nobody uses it."""
        if self._staying.get(resident.key) is not resident:
            return
        del self._staying[resident.key]
        if resident.users:
            self._leaving.append(resident)

    def make_room(self, count: int, instead_of: str | None = None) -> bool:
        """Let those used longest ago leave until ``count`` more bytes will fit, first those that nobody uses.

        The one called ``instead_of`` stays, but its bytes do not count: it will leave for what comes. False: those that
        must leave are used still, so ask again after a ``release``.
        """
        replaced = self.find(instead_of) if instead_of is not None else None
        count -= replaced.bytes if replaced is not None else 0
        for resident in sorted(self, key=lambda one: one.users > 0):  # the order among equals stays
            if sum(one.bytes for one in self) + count <= self.budget:
                break
            if resident.bytes and resident is not replaced:
                self.leave(resident)
        return self.used + count <= self.budget
