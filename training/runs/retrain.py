"""A training that goes on from a bundle: what it takes from there, and which data it may be judged on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn

from skipseg.models.bundle import WEIGHTS, BaseRecord, Bundle, ReplayRecord, TrainingRecord, load_bundle
from skipseg.models.errors import PlanError, UsageError
from skipseg.models.labels import Labels
from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan
from skipseg.models.trust import Ranges
from skipseg.training.datasets.dataset import Case, Dataset, checksum, image_checksum, open_dataset
from skipseg.training.datasets.groups import units
from skipseg.training.datasets.split import Split, split_cases
from skipseg.training.fitting.fit import FitSettings
from skipseg.training.fitting.inherit import classes_in, freeze_encoder, inherit, names, united
from skipseg.training.judging.ranges import widened
from skipseg.training.runs.progress import Display
from skipseg.training.runs.setup import SETUP, TrainOptions

PACE = FitSettings(warm_up_steps=10)  # the rate of a fresh network; docs/retraining.md has what was measured
KEPT_BASE, WISHES, SCORES = "base", "retraining.json", "before.json"  # among the files on the way, to be resumed


class Wishes(BaseModel):
    """What was asked of a retraining, kept for a run that is resumed."""

    model_config = ConfigDict(frozen=True)

    base: BaseRecord
    freeze_encoder: bool
    replays: tuple[str, ...] = ()  # the datasets' checksums


@dataclass(frozen=True)
class Replay:
    """Another dataset whose cases are mixed in, so that what was learned from it is not lost."""

    dataset: Dataset
    sha256: str
    training: tuple[Case, ...]
    kept_out: tuple[Case, ...]  # the base's validation cases: neither the base nor the new model learns from them

    def record(self) -> ReplayRecord:
        """What the bundle will say of it."""
        return ReplayRecord(
            dataset=self.dataset.name,
            dataset_sha256=self.sha256,
            cases=tuple(case.name for case in self.training),
            images_sha256=tuple(image_checksum(case) for case in self.training),
        )


@dataclass(frozen=True)
class Retraining:
    """What a training takes over from a bundle."""

    base: Bundle
    record: BaseRecord
    labels: Labels  # of the new model
    replays: tuple[Replay, ...]
    freeze_encoder: bool

    @property
    def plan(self) -> Plan:
        """The base's plan, for the new labels."""
        recipe = {**self.base.plan.network.model_dump(), "classes": len(self.labels)}
        called = self._called()
        rules = {called[name]: rule for name, rule in self.base.plan.cleanup.items() if name in called}
        return Plan.model_validate({**self.base.plan.model_dump(), "network": recipe, "cleanup": rules})

    def apart_from(self, split: Split) -> Retraining:
        """The same, but that no replayed case shows an image that is kept out."""
        images = {image_checksum(case) for case in split.validation}
        replays = tuple(
            replace(one, training=tuple(case for case in one.training if image_checksum(case) not in images))
            for one in self.replays
        )
        return replace(self, replays=replays)

    def ranges(self, measured: Ranges | None) -> Ranges | None:
        """Of all that the new model learned from: what was measured now, and what the base remembers."""
        return measured and widened(measured, self.base.manifest.training.ranges, self._called())

    def start(self, plan: Plan, display: Display) -> nn.Module:
        """The network of the new plan with all that the base has learned; a new label's rows are fresh."""
        network = build(plan.network)
        inherit(network, plan.network, weights_of(self.base), classes_in(self.labels, self.base.labels))
        if self.freeze_encoder:
            learning, all_ = freeze_encoder(network)
            display.say(f"the contracting path and the bottom stay as they are: {learning:,} of {all_:,} weights learn")
        return network

    def _called(self) -> dict[str, str]:
        """What each of the base's labels that the new model has is called there."""
        known = zip(self.base.labels.all, classes_in(self.base.labels, self.labels), strict=True)
        return {label.name: self.labels.all[place].name for label, place in known if place is not None}


def open_retraining(
    dataset: Dataset, options: TrainOptions, work: Path, display: Display, leads: bool = True
) -> Retraining | None:
    """What was asked to go on from, a copy of it kept in ``work`` for a run that is resumed; None when training anew.

    The new model has the labels of the dataset, then those that only replayed datasets have. Of several processes those
    that do not lead find what the leader has kept. Raises ``UsageError`` when a resumed run was begun otherwise,
    ``BundleError``, ``DatasetError``, and ``PlanError`` for another number of channels.
    """
    replays = [open_dataset(folder) for folder in options.replay]
    begun = not leads or (options.resume and (work / SETUP).is_file())
    wishes = _resumed(work, options, replays) if begun else _begun(work, options)
    if wishes is None:
        return None
    base = load_bundle(work / KEPT_BASE)
    if base.manifest.weights_sha256 != wishes.base.weights_sha256:
        raise UsageError(f"{work / KEPT_BASE} is not the bundle that the run went on from; remove {work} to start anew")
    for one in (dataset, *replays):
        _check_channels(base.plan, one, display)
    labels = united(dataset.labels, *(other.labels for other in replays))
    opened = tuple(_replay(other, base.manifest.training) for other in replays)
    _tell(base, labels, opened, display)
    wishes = wishes.model_copy(update={"replays": tuple(one.sha256 for one in opened)})
    if leads:
        (work / WISHES).write_text(wishes.model_dump_json(), encoding="utf-8")
    return Retraining(base, wishes.base, labels, opened, wishes.freeze_encoder)


def split_anew(dataset: Dataset, options: TrainOptions, retraining: Retraining, display: Display) -> Split:
    """Split a dataset so that the base never learned from what is kept out.

    Cases named by ``options.validation`` are kept out whatever they are. Otherwise what the base kept out is kept out
    again, a share of the cases new to it is drawn, and what it learned from is trained on.
    """
    training = retraining.base.manifest.training
    labelled = [case for case in dataset.cases if case.label is not None]
    learned = {case.name for case in labelled if image_checksum(case) in training.learned}
    if options.validation is not None:
        split = split_cases(dataset, options.validation, options.fold)
        if flattering := [case for case in split.validation if case.name in learned]:
            display.say(f"{len(flattering)} cases to validate on are ones the base learned from: figures flatter it")
        return split
    together = [unit for unit in units(labelled, dataset.groups) if not learned & {case.name for case in unit}]
    judged = {case.name for case in kept_out(dataset, training)}
    kept = {case.name for unit in together for case in unit if judged & {one.name for one in unit}}
    fresh = tuple(case for unit in together for case in unit if case.name not in kept)
    drawn = split_cases(replace(dataset, cases=fresh), None, options.fold).validation if len(fresh) > 1 else ()
    apart = kept | {case.name for case in drawn}
    if not apart:
        display.say("the base learned from every case, so none can be kept out: nothing will be measured")
    left = tuple(case for case in labelled if case.name not in apart)
    if not left:
        raise UsageError("every case is one that the base kept out to be judged on; add cases, or name --val-cases")
    return Split(left, tuple(case for case in labelled if case.name in apart))


def kept_out(dataset: Dataset, training: TrainingRecord) -> tuple[Case, ...]:
    """The cases that a bundle was validated on and never learned from, known by their bytes, or by dataset and name."""
    images = set(training.validation_images_sha256)
    by_name = set(training.validation_cases) if not images and dataset.name == training.dataset else set()
    found = []
    for case in dataset.cases:
        if case.label is not None:
            digest = image_checksum(case)
            if (digest in images or case.name in by_name) and digest not in training.learned:
                found.append(case)
    return tuple(found)


def weights_of(bundle: Bundle) -> dict[str, Tensor]:
    """A bundle's weights in fp32, verified when it was opened; of an ensemble those of its first member."""
    stored = load_file(bundle.folder / WEIGHTS)
    if bundle.manifest.members > 1:
        stored = {name.removeprefix("0."): values for name, values in stored.items() if name.startswith("0.")}
    return {name: values.float() for name, values in stored.items()}


def _begun(work: Path, options: TrainOptions) -> Wishes | None:
    """What a new run asks for, the base copied into ``work``; what an abandoned run left there goes."""
    shutil.rmtree(work / KEPT_BASE, ignore_errors=True)
    for name in (WISHES, SCORES):
        (work / name).unlink(missing_ok=True)
    if options.base is None:
        return None
    found = load_bundle(options.base)
    shutil.copytree(options.base, work / KEPT_BASE, ignore=shutil.ignore_patterns("evaluation"))
    record = BaseRecord(
        name=found.manifest.name,
        version=options.base_version,
        weights_sha256=found.manifest.weights_sha256,
        images_sha256=tuple(sorted(found.manifest.training.learned)),
    )
    return Wishes(base=record, freeze_encoder=options.freeze_encoder)


def _resumed(work: Path, options: TrainOptions, replays: Sequence[Dataset]) -> Wishes | None:
    """What an earlier run asked for; its base is the copy it kept, whatever lies where that came from by now."""
    if not (work / WISHES).is_file():
        if options.base is not None:
            raise UsageError(f"the run in {work} was begun without --from; ask for the same, or remove that folder")
        return None
    try:
        wishes = Wishes.model_validate_json((work / WISHES).read_text(encoding="utf-8"))
    except ValidationError:
        raise UsageError(f"{work / WISHES} is damaged; remove {work} to start anew") from None
    if wishes.replays != tuple(checksum(one) for one in replays):
        raise UsageError(f"the run in {work} was begun with other --replay datasets; name the same, in the same order")
    return wishes


def _replay(dataset: Dataset, training: TrainingRecord) -> Replay:
    apart = kept_out(dataset, training)
    cases = tuple(case for case in dataset.cases if case.label is not None and case not in apart)
    if not cases:
        raise UsageError(f"{dataset.name} has no case to replay: the base kept out all of them")
    return Replay(dataset, checksum(dataset), cases, apart)


def _check_channels(plan: Plan, dataset: Dataset, display: Display) -> None:
    ours, theirs = dataset.channels, tuple(channel.name for channel in plan.channels)
    if len(ours) != len(theirs):
        raise PlanError(
            f"the base takes {len(theirs)} channels ({', '.join(theirs)}), {dataset.name} has {len(ours)} "
            f"({', '.join(ours)}); train without --from, or go on from a bundle of {len(ours)} channels"
        )
    if [name.casefold() for name in ours] != [name.casefold() for name in theirs]:
        display.say(
            f"warning: the channels of {dataset.name} are called {', '.join(ours)}, the base's {', '.join(theirs)}; "
            "they are taken in this order"
        )


def _tell(base: Bundle, labels: Labels, replays: Sequence[Replay], display: Display) -> None:
    known = classes_in(labels, base.labels)
    new = [label for label, before in zip(labels.all, known, strict=True) if before is None]
    lost = [label for label, now in zip(base.labels.all, classes_in(base.labels, labels), strict=True) if now is None]
    display.say(
        f"going on from {base.manifest.name} (weights {base.manifest.weights_sha256[:12]}): "
        f"new labels {names(new)}; left out {names(lost)}"
    )
    if (members := base.manifest.members) > 1:
        display.say(f"it is an ensemble of {members} networks: training goes on from the first one")
    if len(new) == len(labels.foreground):
        display.say("warning: no label is known to the base by its name or code; is it the right one?")
    if not replays and lost:
        display.say("to keep what is left out, name the dataset it was learned from with --replay")
    for one in replays:
        display.say(f"replaying {len(one.training)} cases of {one.dataset.name}, {len(one.kept_out)} kept out")
