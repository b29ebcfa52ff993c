"""How far tiles need to overlap: smaller overlaps are held to the plan's, on cases the network did not learn from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skipseg.models.bundle import CARD, MANIFEST, Bundle, load_bundle, replacing
from skipseg.models.durable import settle_tree
from skipseg.models.errors import UsageError
from skipseg.models.fewer_tiles import Change, FewerTiles
from skipseg.models.inference.flight import fly_alone
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.wishes import Wishes
from skipseg.models.scans.volume import Mask, Volume
from skipseg.training.datasets.dataset import Case, Dataset
from skipseg.training.judging.paired import Comparison, Difference, compare_scores
from skipseg.training.judging.summary import Metrics
from skipseg.training.runs.evaluate import Progress, score

OVERLAPS = (0.25, 0.125, 0.0)  # those below the plan's are tried, the largest first
MARGIN = 0.001  # that the mean Dice may fall by, and that of any label
DOUBT = 0.005  # that chance may hide: the lower end of each 95 % interval lies no further below 0
FEWEST_CASES = 5  # that have fewer tiles; what fewer say is chance
SECTION = "## Fewer tiles"


@dataclass(frozen=True)
class Trial:
    """One overlap beside the plan's."""

    found: FewerTiles
    against: str  # why it is not to be taken; empty: it is proven


def prove(predictor: Predictor, dataset: Dataset, cases: Sequence[Case], progress: Progress) -> list[Trial]:
    """Try smaller overlaps, each on the cases that have fewer tiles by it, until one is not proven.

    Raises ``UsageError`` when too few of the cases have fewer tiles by any of them, or one fails; and as ``evaluate``.
    """
    overlaps = [predictor.plan.overlap, *(one for one in OVERLAPS if one < predictor.plan.overlap)]

    def scored(number: int) -> Scored:
        return _scored(predictor, overlaps[number], dataset, cases, _share(progress, number, len(overlaps)))

    planned, trials = scored(0), list[Trial]()
    for number in range(1, len(overlaps)):
        if (trial := _trial(planned, scored(number), dataset)) is not None:
            trials.append(trial)
            if trial.against:
                break
    if not trials:
        raise UsageError(
            f"a smaller overlap than the plan's {predictor.plan.overlap:g} leaves fewer tiles in less than "
            f"{FEWEST_CASES} of the {len(cases)} cases: there is nothing to gain, or too little to prove it on"
        )
    return trials


def proven(trials: Sequence[Trial]) -> FewerTiles | None:
    """The smallest overlap that is to be taken, if any is."""
    return next((trial.found for trial in reversed(trials) if not trial.against), None)


def write_with_fewer_tiles(bundle: Bundle, fewer: FewerTiles, out: Path) -> Bundle:
    """A copy of a bundle that carries the proof, in a folder that is not there yet; raises ``UsageError`` if it is."""
    if out.exists():
        raise UsageError(f"{out} is there already; choose another folder")
    manifest = bundle.manifest.model_copy(update={"fewer_tiles": fewer})
    with replacing(out) as draft:
        shutil.copytree(bundle.folder, draft, dirs_exist_ok=True)
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        card = (draft / CARD).read_text(encoding="utf-8").partition(f"\n{SECTION}\n")[0].rstrip()
        (draft / CARD).write_text(f"{card}\n\n{SECTION}\n{_told(fewer, bundle)}\n", encoding="utf-8")
        settle_tree(draft)
    return load_bundle(out)


@dataclass(frozen=True)
class Scored:
    """Every case under one overlap."""

    overlap: float
    metrics: Metrics
    tiles: dict[str, int]  # by case


class _Shown:
    """Segments with one overlap, and notes how many tiles each case has."""

    def __init__(self, predictor: Predictor, overlap: float) -> None:
        self._predictor, self._wishes, self._last = predictor, Wishes(overlap=overlap), 0
        self.tiles: dict[str, int] = {}

    def __call__(self, volume: Volume) -> Mask:
        flight = self._predictor.flight(self._predictor.prepare(volume), wishes=self._wishes)
        self._last = flight.tiles_left
        return self._predictor.finish(fly_alone(flight), volume.source)

    def keep(self, case: Case, mask: Mask) -> None:
        self.tiles[case.name] = self._last


def _scored(
    predictor: Predictor, overlap: float, dataset: Dataset, cases: Sequence[Case], progress: Progress
) -> Scored:
    shown = _Shown(predictor, overlap)
    metrics = score(shown, predictor.bundle.manifest.name, dataset, cases, progress, shown.keep)
    if metrics.failed:
        failed = metrics.failed[0]
        raise UsageError(f"{failed.case} cannot be scored: {failed.error}; leave it out with --cases")
    return Scored(overlap, metrics, shown.tiles)


def _trial(planned: Scored, smaller: Scored, dataset: Dataset) -> Trial | None:
    """What came of it; None where too few cases have fewer tiles."""
    fewer = {case for case, count in smaller.tiles.items() if count < planned.tiles[case]}
    if len(fewer) < FEWEST_CASES:
        return None
    compared = compare_scores(_of(planned, fewer), _of(smaller, fewer), {}, dataset.groups)
    found = FewerTiles(
        overlap=smaller.overlap,
        dataset=dataset.name,
        cases=len(fewer),
        tiles=sum(smaller.tiles[case] for case in fewer) / sum(planned.tiles[case] for case in fewer),
        dice=_change(compared.mean.dice),
        labels={name: _change(one.dice) for name, one in compared.labels.items() if one.dice.difference is not None},
    )
    return Trial(found, _against(found, compared))


def _of(scored: Scored, cases: set[str]) -> Metrics:
    return scored.metrics.model_copy(
        update={"cases": tuple(case for case in scored.metrics.cases if case.case in cases)}
    )


def _against(found: FewerTiles, compared: Comparison) -> str:
    if compared.mean.dice.cases < FEWEST_CASES:
        return f"only {compared.mean.dice.cases} cases have a Dice"
    for name, change in [("the mean", found.dice), *found.labels.items()]:
        if change.by < -MARGIN:
            return f"Dice of {name} fell by more than {MARGIN:g}"
        if change.low is not None and change.low < -DOUBT:
            return f"Dice of {name} may have fallen by more than {DOUBT:g}"
    return ""


def _change(one: Difference) -> Change:
    low, high = one.interval or (None, None)
    return Change(by=one.difference or 0.0, low=low, high=high)


def _share(progress: Progress, number: int, of: int) -> Progress:
    return lambda done, total: progress(number * total + done, of * total)


def _told(fewer: FewerTiles, bundle: Bundle) -> str:
    labels = "\n".join(f"| {name} | {change} |" for name, change in fewer.labels.items())
    return (
        f"With `--precision fast` {fewer} (95 % interval, paired; cases of {fewer.dataset}). The plan's overlap is "
        f"{bundle.plan.overlap:g}; `--precision exact` keeps it.\n\n| label | change of Dice |\n|---|---|\n{labels}"
    )
