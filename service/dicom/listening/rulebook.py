"""The rules in force: read again when their file changes, and checked against the registry."""

from __future__ import annotations

import logging
from pathlib import Path

from skipseg.models.errors import SkipsegError, UsageError
from skipseg.models.registry import Registry
from skipseg.service.dicom.listening.rules import Rules
from skipseg.service.dicom.nodes import Nodes, node_named
from skipseg.service.observing.logs import NAME

log = logging.getLogger(NAME)


class Rulebook:
    """``rules`` are always good ones: a file that was spoilt is told of, and the rules before it stay in force.

    Raises ``UsageError`` for a file that is not good to begin with.
    """

    def __init__(self, path: Path, registry: Registry, nodes: Nodes) -> None:
        self._path, self._registry, self._nodes = path, registry, nodes
        self._read_at = self._changed()
        self.rules = checked(Rules.read(path), registry, nodes)

    def read_again(self) -> bool:
        """Whether other rules are in force from now on."""
        if (changed := self._changed()) == self._read_at:
            return False
        self._read_at = changed
        try:
            self.rules = checked(Rules.read(self._path), self._registry, self._nodes)
        except SkipsegError as error:
            log.error("rules not taken", extra={"fields": {"reason": str(error)}})
            return False
        log.info("rules taken", extra={"fields": {"rules": len(self.rules.rules)}})
        return True

    def _changed(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size


def checked(rules: Rules, registry: Registry, nodes: Nodes) -> Rules:
    """The rules, if all can be fulfilled; raises ``UsageError`` for one that names what is not there."""
    for rule in rules.rules:
        if rule.model is None:
            continue
        try:
            rule.order("0" * 32)
            if rule.send_to is not None:
                node_named(nodes, rule.send_to)
            channels = registry.resolve(rule.model).open().plan.channels
        except SkipsegError as error:
            raise UsageError(f"the rule {rule.name!r} cannot be followed: {error}") from None
        if len(channels) != 1:
            raise UsageError(
                f"the rule {rule.name!r} cannot be followed: a series is one channel, and {rule.model} needs "
                f"{len(channels)}"
            )
    return rules
