"""What the registry says now; its files are read again only when they changed."""

from __future__ import annotations

from skipseg.models.registry import NAME, ModelVersion, Registry

Mark = tuple[int, int, int]


class Lookup:
    """Answers as ``Registry.resolve`` does, mostly at the price of asking the disk about two files."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._known: dict[str, tuple[Mark | None, ModelVersion]] = {}

    def resolve(self, reference: str) -> ModelVersion:
        """The version that ``name`` or ``name@2`` stands for; raises what ``Registry.resolve`` raises."""
        mark = self._mark(reference.partition("@")[0])
        if reference in self._known:
            known, version = self._known[reference]
            if known == mark and version.folder.is_dir():
                return version
        version = self.registry.resolve(reference)
        if reference in (version.name, version.reference):  # and not one of the many ways to write a number
            self._known[reference] = mark, version
        return version

    def _mark(self, name: str) -> Mark | None:
        """By which a pointer file is known again: every change puts a new file in its place."""
        if not NAME.fullmatch(name):
            return None
        try:
            told = (self.registry.root / name / "live.json").stat()
        except OSError:
            return None
        return told.st_ino, told.st_mtime_ns, told.st_size
