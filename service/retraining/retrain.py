"""A training that was ordered, from the order to a candidate version of the registry.

``retrain`` may be called again after a kill -9 at any moment, and goes on from what lies in its folder: every step
leaves its result whole or not at all, and is skipped where the result is there.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.errors import JobConflict, ModelUnknown, TrainingFailed
from skipseg.models.registry import ModelVersion, Registry
from skipseg.service.retraining.curve import (
    CANDIDATE,
    EVALUATION,
    comparing,
    history_of,
    read_curve,
    training_stage,
    work_of,
)
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import Judgement, Promotion, Stage, TrainOutcome, TrainProgress
from skipseg.service.retraining.preparing import BASE, DATASET, RIVAL, VALIDATION, Begun, Stores, begin, write
from skipseg.service.retraining.promotion import reasons_against
from skipseg.service.retraining.tasks import CompareTask, TrainTask
from skipseg.service.retraining.watch import Watch, run_child
from skipseg.training.judging.paired import Change, Comparison

OUTCOME, COMPARISON, PROMOTING, TOKEN = "outcome.json", "comparison", "promoting", "retraining.json"
MOST_CHANGES = 100  # cases that an outcome tells one by one; the comparison has them all


def retrain(
    order: TrainOrder,
    folder: Path,
    stores: Stores,
    machine: Machine,
    who: str = "training",
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[TrainProgress], None] = lambda _: None,
) -> TrainOutcome:
    """Train, compare with the live version on the frozen cases, add a candidate, and promote it if that was ordered.

    ``folder`` is the job's own. A cancel ends the fit; what was learned so far becomes a candidate all the same, and is
    compared, but is not promoted. Raises ``TrainingFailed`` with the reason, ``JobConflict`` while another process is
    at it, and what ``begin`` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if (folder / OUTCOME).is_file():
            _tidy(folder)
            return TrainOutcome.model_validate_json((folder / OUTCOME).read_bytes())
        progress(TrainProgress(stage="preparing", minutes_left=order.minutes))
        run = _Run(begin(order, folder, stores, who), folder, stores.registry, machine, cancelled, progress)
        bundle = run.candidate()
        if bundle is None:
            return run.over(None, None, None, Promotion(promoted=False, reasons=("cancelled before a step was made",)))
        judgement, trouble = run.judged()
        run.tell("finishing")
        added = run.added(bundle, judgement)
        return run.over(bundle, added, judgement, run.promoted(bundle, added, judgement, trouble))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "retrain.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise JobConflict("another process of this server is at this training already") from None
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Run:
    """The steps of one training, each to be taken any number of times."""

    begun: Begun
    folder: Path
    registry: Registry
    machine: Machine
    cancelled: Callable[[], bool]
    progress: Callable[[TrainProgress], None]

    def candidate(self) -> Bundle | None:
        """The bundle that was trained; None when it was cancelled before anything was learned."""
        out = self.folder / CANDIDATE
        if not out.is_dir():
            if self.cancelled() and not work_of(self.folder).is_dir():
                return None
            try:
                watch = Watch(self._follow(), self.cancelled, lambda: history_of(self.folder).is_file())
                if not run_child(self._training(), self.folder, watch) and not out.is_dir():
                    return None
            except TrainingFailed:
                if not self.cancelled() or read_curve(self.folder):
                    raise
                return None  # it was too early for a single step
        return load_bundle(out)

    def judged(self) -> tuple[Judgement | None, str | None]:
        """The candidate beside its rival, or why there is no such comparison."""
        if self.begun.rival is None:
            return None, "there is no live version to compare it with; look at its figures, and promote it"
        kept = self.folder / COMPARISON
        if not kept.is_dir():
            draft = self.folder / f".{COMPARISON}"
            shutil.rmtree(draft, ignore_errors=True)
            look = Watch(lambda: self.progress(comparing(self.folder, len(self.begun.validation))))
            look.look()
            try:
                run_child(self._comparing(draft), self.folder, look)
            except TrainingFailed as error:
                return None, f"it could not be compared with {self.begun.rival}: {error}"
            draft.rename(kept)
        return _read(kept), None

    def added(self, bundle: Bundle, judgement: Judgement | None) -> ModelVersion:
        """The version of the registry, added once: one that carries this job's token is this job's."""
        evaluation = bundle.folder / EVALUATION
        if judgement is not None:
            shutil.copyfile(self.folder / COMPARISON / "comparison.json", evaluation / "comparison.json")
            shutil.copyfile(self.folder / COMPARISON / "report.html", evaluation / "comparison.html")
        write(evaluation / TOKEN, self.begun)
        name = self.begun.order.name
        return self._there() or self.registry.add(bundle.folder, name, first_is_live=False)

    def promoted(
        self, bundle: Bundle, added: ModelVersion, judgement: Judgement | None, trouble: str | None
    ) -> Promotion:
        """Promote if that was ordered and nothing speaks against it."""
        against = list(self._against(bundle, judgement, trouble))
        started, live = self.folder / PROMOTING, _live_now(self.registry, added.name)
        if live == added.reference:
            return Promotion(promoted=True, reasons=())
        if self.begun.rival_is_live and live != self.begun.rival:
            against.append(f"{live} is live by now, and not {self.begun.rival}, which it was compared with")
        if started.is_file():
            against.append("the server ended while it promoted the candidate; look whether it should be live")
        if against:
            return Promotion(promoted=False, reasons=tuple(against))
        started.touch()
        self.registry.promote(added.name, added.version)
        return Promotion(promoted=True, reasons=())

    def over(
        self, bundle: Bundle | None, added: ModelVersion | None, judgement: Judgement | None, promotion: Promotion
    ) -> TrainOutcome:
        """Keep the outcome, and nothing that only the way there needed: patients' scans least of all."""
        begun = self.begun
        outcome = TrainOutcome(
            cancelled=self.cancelled(),
            candidate=added.reference if added else None,
            base=begun.base,
            dataset=begun.order.dataset,
            dataset_revision=begun.revision,
            dataset_sha256=begun.dataset_sha256,
            training_cases=begun.training_cases,
            validation_cases=begun.validation,
            metrics=bundle.manifest.metrics if bundle else {},
            curve=read_curve(self.folder),
            judgement=judgement,
            promotion=promotion,
        )
        write(self.folder / OUTCOME, outcome)
        _tidy(self.folder)
        return outcome

    def tell(self, stage: Stage) -> None:
        self.progress(TrainProgress(stage=stage, curve=read_curve(self.folder)))

    def _follow(self) -> Callable[[], None]:
        """Tell of the fit; of a run that goes on the minutes before count as well."""
        before = curve[-1].seconds if (curve := read_curve(self.folder)) else 0.0
        started, minutes = time.monotonic(), self.begun.order.minutes

        def look() -> None:
            done = (before + time.monotonic() - started) / 60
            self.progress(
                TrainProgress(
                    stage=training_stage(self.folder),
                    minutes_done=round(done, 2),
                    minutes_left=round(max(minutes - done, 0.0), 2),
                    curve=read_curve(self.folder),
                )
            )

        return look

    def _against(self, bundle: Bundle, judgement: Judgement | None, trouble: str | None) -> tuple[str, ...]:
        order = self.begun.order
        found = ["promotion is manual"] if order.promotion == "manual" else []
        found += ["the training was cancelled"] if self.cancelled() else []
        if judgement is None:
            return (*found, trouble or "there is no comparison")
        if not self.begun.rival_is_live:
            found.append("there is no live version: the comparison is with the base")
        live = load_bundle(self.folder / RIVAL).labels
        return (*found, *reasons_against(order, judgement, live, bundle.labels))

    def _there(self) -> ModelVersion | None:
        try:
            versions = self.registry.model(self.begun.order.name).versions
        except ModelUnknown:
            return None
        for number in versions:
            version = self.registry.resolve(f"{self.begun.order.name}@{number}")
            token = version.folder / EVALUATION / TOKEN
            if token.is_file() and json.loads(token.read_bytes()).get("token") == self.begun.token:
                return version
        return None

    def _training(self) -> TrainTask:
        order = self.begun.order
        return TrainTask(
            share=self.machine.share,
            dataset=self.folder / DATASET,
            out=self.folder / CANDIDATE,
            validation=self.folder / VALIDATION,
            minutes=order.minutes,
            seed=order.seed,
            name=order.name,
            base=self.folder / BASE if self.begun.base else None,
            base_version=self.begun.base_version,
            replay=tuple(self.folder / f"replay-{number}" for number in range(len(order.replay))),
        )

    def _comparing(self, out: Path) -> CompareTask:
        return CompareTask(
            share=self.machine.share,
            a=self.folder / RIVAL,
            a_name=self.begun.rival or "",
            b=self.folder / CANDIDATE,
            b_name="candidate",
            dataset=self.folder / DATASET,
            cases=self.begun.validation,
            out=out,
            precision=self.machine.precision,
        )


def _tidy(folder: Path) -> None:
    ways = (DATASET, BASE, RIVAL, CANDIDATE, work_of(folder).name)
    for path in (*(folder / name for name in ways), *folder.glob("replay-*")):
        shutil.rmtree(path, ignore_errors=True)


def _read(folder: Path) -> Judgement:
    found = Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    return Judgement(
        a=found.a,
        b=found.b,
        cases=len(found.cases),
        mean=found.mean,
        labels=found.labels,
        learned=len({case for cases in found.learned.values() for case in cases}),
        failed=len(found.failed),
        changes=tuple(sorted(found.cases, key=_worst_first)[:MOST_CHANGES]),
    )


def _worst_first(change: Change) -> float:
    return 2.0 if change.b is None else change.b  # of a case without labels there is no Dice


def _live_now(registry: Registry, name: str) -> str | None:
    live = registry.model(name).live
    return None if live is None else f"{name}@{live}"
