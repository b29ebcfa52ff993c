"""Which cases belong together (scans of one person, slices of one block), so that no split parts them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

from skipseg.models.errors import DatasetError, UsageError
from skipseg.training.datasets.dataset import Case, Dataset

COLUMNS = ("case", "group")
Unit = tuple[Case, ...]  # cases that stay together


def with_groups(dataset: Dataset, file: Path | None) -> Dataset:
    """The dataset with the groups of a CSV file in place of its own; as it is without a file."""
    return (
        dataset if file is None else replace(dataset, groups=read_groups(file, {case.name for case in dataset.cases}))
    )


def read_groups(file: Path, cases: Collection[str]) -> dict[str, str]:
    """Group by case, from a table with the columns ``case`` and ``group``; other columns are left alone.

    Raises ``UsageError`` naming the line when a row is incomplete, names no case of ``cases``, or a case comes twice.
    """
    table = csv.reader(StringIO(_text(file), newline=""))
    header = [name.strip().lower() for name in next(table, [])]
    if any(header.count(name) != 1 for name in COLUMNS):
        raise UsageError(f"{file.name} must begin with a line that names the columns case and group; got {header}")
    places = [header.index(name) for name in COLUMNS]
    groups: dict[str, str] = {}
    try:
        for row in table:
            if any(cell.strip() for cell in row):
                case, group = _pair(row, places, f"{file.name}, line {table.line_num}")
                _check_case(case, cases, groups, f"{file.name}, line {table.line_num}")
                groups[case] = group
    except csv.Error as error:
        raise UsageError(f"{file.name}, line {table.line_num}: {error}") from None
    return groups


def units(cases: Sequence[Case], groups: Mapping[str, str]) -> list[Unit]:
    """Cases that stay together, in the order of their first; a case without a group is alone."""
    found: dict[tuple[bool, str], list[Case]] = {}
    for case in cases:
        grouped = case.name in groups
        found.setdefault((grouped, groups[case.name] if grouped else case.name), []).append(case)
    return [tuple(unit) for unit in found.values()]


def check_apart(training: Sequence[Case], kept_out: Sequence[Case], groups: Mapping[str, str]) -> None:
    """Raise ``DatasetError`` when cases of one group are on both sides of a split that somebody named."""
    learned = {groups[case.name]: case.name for case in training if case.name in groups}
    for case in kept_out:
        if (group := groups.get(case.name)) in learned:
            raise DatasetError(
                f"group {group} is on both sides: {case.name} is kept out, {learned[group]} is trained on; keep out "
                "all cases of a group or none"
            )


def _pair(row: Sequence[str], places: Sequence[int], where: str) -> tuple[str, str]:
    cells = [row[place].strip() if place < len(row) else "" for place in places]
    for name, cell in zip(COLUMNS, cells, strict=True):
        if not cell:
            raise UsageError(f"{where}: there is no {name}; every row needs a case and its group")
    return cells[0], cells[1]


def _check_case(case: str, cases: Collection[str], seen: Mapping[str, str], where: str) -> None:
    if case not in cases:
        raise UsageError(f"{where}: the dataset has no case {case}; its first case is {min(cases)}")
    if case in seen:
        raise UsageError(f"{where}: {case} comes twice; a case belongs to one group")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{file.name} cannot be read; expected a CSV file with the columns case and group") from None
