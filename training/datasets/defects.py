"""What can be wrong with a dataset, each with the file it is in and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

Severity = Literal["error", "warning"]


class Defect(BaseModel):
    """One thing that is wrong; ``code`` is stable and meant for programs."""

    model_config = ConfigDict(frozen=True)

    code: str
    file: str  # relative to the dataset's folder; "." is the dataset itself
    problem: str
    mend: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.mend}"


# Files nobody asked for: training can leave them alone, a check names them.
STRAYS = frozenset({"image_without_label", "label_without_image", "not_listed"})


def errors(defects: Iterable[Defect]) -> list[Defect]:
    """The defects that make a dataset unusable as it is."""
    return [defect for defect in defects if defect.severity == "error"]


def render_defects(defects: Sequence[Defect]) -> str:
    """The defects as text, errors first, those of one kind together; the last line counts them."""
    if not defects:
        return "No defect found."
    ordered = sorted(defects, key=lambda defect: (defect.severity, defect.code, defect.file))
    blocks = [_block(list(group)) for _, group in groupby(ordered, key=lambda d: (d.severity, d.code))]
    wrong = len(errors(defects))
    return "\n\n".join([*blocks, f"{_count(wrong, 'error')}, {_count(len(defects) - wrong, 'warning')}"])


def defects_json(defects: Sequence[Defect]) -> str:
    """The defects as a JSON array."""
    return TypeAdapter(list[Defect]).dump_json(list(defects), indent=1).decode()


def _block(group: list[Defect]) -> str:
    lines = [f"{group[0].severity}: {group[0].code.replace('_', ' ')} ({len(group)})"]
    for defect in group:
        lines += [f"  {defect.file}", f"      {defect.problem}"]
        if defect.mend != group[0].mend:
            lines.append(f"      mend: {defect.mend}")
    lines.insert(1, f"  mend: {group[0].mend}")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
