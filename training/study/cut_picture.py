"""One case under a trained network, and under the same with its finest skip cut."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from torch import nn

from skipseg.training.datasets.dataset import Dataset, named_cases, read_case
from skipseg.training.reports.figures import overlay_plot
from skipseg.training.reports.markup import image, section
from skipseg.training.reports.slices import pictures
from skipseg.training.study.crossing import changed, joins_of, zeroed
from skipseg.training.study.judge import Judge

MASKS = "cut.npz"


def keep_masks(judge: Judge, network: nn.Module, out: Path) -> None:
    """Write the masks of the first case kept out, with every skip and without the finest."""
    case = judge.cases[0]
    with changed(network, len(joins_of(network)) - 1, zeroed):
        cut = judge.mask(case, network)
    np.savez_compressed(out / MASKS, case=np.array(case.name), whole=judge.mask(case, network), cut=cut)


def cut_pictures(dataset: Dataset, out: Path) -> Iterator[str]:
    """A section with both, where they were kept."""
    if not (out / MASKS).is_file():
        return
    with np.load(out / MASKS) as kept:
        name, whole, cut = str(kept["case"]), kept["whole"], kept["cut"]
    (case,) = named_cases(dataset, [name])
    volume, truth = read_case(dataset, case)
    parts = [
        f'<p class="soft">{told}</p>{image(overlay_plot(pictures(volume, truth, a, b), dataset.labels), told)}'
        for told, a, b in (("with all skips", whole, cut), ("with the fine skip cut", cut, whole))
    ]
    yield section(f"{escape(name)}, concatenating network of the first seed", "".join(parts))
