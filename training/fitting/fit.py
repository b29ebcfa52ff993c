"""The fitting loop: patches in, averaged weights out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from skipseg.models.allocator import keep_freed_memory
from skipseg.models.errors import DatasetError
from skipseg.models.precision import Precision, autocast
from skipseg.training.fitting.augment import IntensitySettings, augment
from skipseg.training.fitting.average import WeightAverage
from skipseg.training.fitting.checkpoint import Checkpoint, load_checkpoint, restore_optimiser, save_checkpoint
from skipseg.training.fitting.feed import Feed
from skipseg.training.fitting.loss import batch_dice, deep_supervision
from skipseg.training.fitting.marginal import merge_unannotated
from skipseg.training.fitting.optimiser import Muon
from skipseg.training.fitting.parallel import Alone, State
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget, CoolDown, learning_rate
from skipseg.training.fitting.signals import Wish, heeded
from skipseg.training.fitting.tracking import Row, Tracker

HISTORY_ROWS = 200  # a fit is told in about so many rows
CHECKPOINT_SECONDS = 30.0
LOST_STEPS = 20
VALIDATION_SHARE = 0.03  # of the time may go into looking at validation cases on the way
REHEARSALS = (0.3, 0.75)  # progress at which the evaluation is rehearsed
AIMING_SHARE = 0.1  # when a Dice is aimed at: the sooner it is noticed, the more is saved
AIMING_STEPS = 10  # between two looks then

Teach = Callable[[Tensor, Tensor, Tensor], Tensor]  # loss, images and logits of a step to the loss that counts
Instrument = Callable[[nn.Module, int, float], None]  # network with gradients, step, progress


@dataclass(frozen=True)
class FitSettings:
    """Everything that decides the course of a fit, beside its data and its budget."""

    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warm_up_steps: int = 30
    average_decay: float = 0.99
    clip: float = 12.0  # largest norm of all gradients together
    whole_batch_dice: bool = False
    intensity: IntensitySettings = field(default_factory=IntensitySettings)


@dataclass(frozen=True)
class Moment:
    """What a fit tells those who watch it."""

    step: int
    progress: float
    seconds: float
    loss: float
    dice: float | None  # on validation cases, the last time it was measured; before, of the last batch


@dataclass(frozen=True)
class Fitted:
    """The outcome: averaged weights, and the way there."""

    weights: dict[str, Tensor]
    history: list[Row]
    steps: int
    seconds: float
    interrupted: bool
    reached: bool = False  # the Dice aimed at
    waited: float = 0.0  # seconds in which the device had no data


class Due(NamedTuple):
    """What is due before the next step: every process goes by the leader's."""

    progress: float
    over: bool
    look: bool
    rehearsal: bool
    save: bool


class Fit:
    """One fit of one network on one device, or on those of a ``team`` of processes.

    ``validate`` takes averaged weights and returns a mean Dice; it is called at every tenth of the budget as long as
    that stays cheap, and more often when there is a ``target`` Dice: once that is reached the fit cools down and ends.
    ``rehearse`` takes them to set what the budget keeps back. The state is saved to ``checkpoint`` every half minute,
    and read from there when it exists. ``say`` is told what a user should know of. ``teach`` makes the loss of a
    network that another one teaches. ``instrument`` looks at the gradients of each step.
    """

    def __init__(
        self,
        network: nn.Module,
        sampler: PatchSampler,
        budget: Budget,
        settings: FitSettings,
        device: torch.device,
        precision: Precision,
        checkpoint: Path,
        validate: Callable[[State], float] | None = None,
        watch: Callable[[Moment], None] = lambda moment: None,
        target: float | None = None,
        trackers: Sequence[Tracker] = (),
        say: Callable[[str], None] = lambda text: None,
        team: Alone | None = None,
        teach: Teach | None = None,
        rehearse: Callable[[State], None] | None = None,
        instrument: Instrument | None = None,
    ) -> None:
        if device.type == "cpu":
            keep_freed_memory()
            layout = torch.channels_last_3d if sampler.patch[2:] else torch.channels_last
            network = network.to(memory_format=layout)  # type: ignore[call-overload]
        self.team = team or Alone(device)
        self.network = self.team.place(network.train())
        self.sampler, self.budget, self.settings = sampler, budget, settings
        self.device, self.precision = device, precision
        self.checkpoint, self.validate, self.target = checkpoint, validate, target
        self.watch, self.trackers, self.say = watch, trackers, say
        self.teach, self.rehearse, self.instrument = teach, rehearse, instrument
        self.optimiser = _optimiser(self.network, settings)
        self.average = WeightAverage(self.network, settings.average_decay)
        self.step, self.history = 0, list[Row]()
        self.cooling: CoolDown | None = None
        self._losses, self._looks = list[float](), list[float]()  # of the row to come; seconds that looks took
        self._dice: float | None = None
        if self.team.agreed(checkpoint.exists()):
            self._resume(load_checkpoint(checkpoint))

    def run(self) -> Fitted:
        """Fit until the budget is spent, the target is reached, or Ctrl-C; the averaged weights so far come back."""
        for tracker in self.trackers:
            tracker.begin(self.history)
        with heeded(terminate=self.team.world == 1) as wish, Feed(self.sampler, self.step, self.device) as feed:
            due = self._due(wish)
            while not due.over:
                loss = self._learn(*next(feed), due.progress)
                self._losses += [loss] if isfinite(loss) else []
                self.step += 1
                due = self._due(wish)
                self._tell(due, feed.waited)
        if self.step:
            self._save()
        for tracker in self.trackers:
            tracker.close()
        weights, seconds = self.team.whole(self.average.state), self.budget.elapsed()
        reached = self.cooling is not None
        return Fitted(weights, self.history, self.step, seconds, wish.asked, reached, feed.waited)

    def _due(self, wish: Wish) -> Due:
        progress = self.budget.progress(self.step)
        cooled = self.cooling is not None and self.cooling.over(self.step)
        due = Due(
            progress=progress,
            over=progress >= 1 or cooled or wish.asked,
            look=self._look_due(progress),
            rehearsal=self.rehearse is not None and progress < 1 and self._rehearsals < _passed(progress),
            save=self.budget.elapsed() - self._saved >= CHECKPOINT_SECONDS,
        )
        return self.team.agreed(due)

    def _learn(self, images: Tensor, classes: Tensor, progress: float) -> float:
        """One step of gradient descent; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(progress)
        chance = torch.Generator().manual_seed(self.sampler.seed * 1_000_003 + self.step)
        images = augment(images, self.settings.intensity, chance, self.sampler.rank, self.sampler.world)
        with autocast(self.device, self.precision):
            outputs = self.network(images)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        annotated = self.sampler.annotated(self.step)
        outputs = [merge_unannotated(logits, annotated) for logits in outputs]
        loss = deep_supervision(outputs, classes, self.settings.whole_batch_dice, self.team.total)
        loss = self.teach(loss, images, outputs[0]) if self.teach else loss
        self.optimiser.zero_grad(set_to_none=True)
        self.team.backward(loss)
        if self.instrument:
            self.instrument(self.network, self.step, progress)
        self._step_unless_lost(self.team.clip(self.network, self.settings.clip))
        if not self._looks:
            self._dice = batch_dice(outputs[0], classes) if self.step % 10 == 0 else self._dice
        return self.team.mean(float(loss.detach()))

    def _rate(self, progress: float) -> float:
        rate = learning_rate(self.settings.learning_rate, self.step, self.settings.warm_up_steps, progress)
        return rate * self.cooling.factor(self.step) if self.cooling else rate

    def _step_unless_lost(self, finite: bool) -> None:
        """Leave a step out whose gradients are not finite; many in a row are an error of the data's or of ours."""
        self._lost = 0 if finite else self._lost + 1
        if finite:
            self.optimiser.step()
            self.average.update(self.network, self.step)
        elif self._lost >= LOST_STEPS:
            raise DatasetError(
                f"the loss was not finite in {LOST_STEPS} steps in a row: look for extreme values in the images with "
                "`skipseg dataset describe`"
            )

    def _tell(self, due: Due, waited: float) -> None:
        """Validation, history and checkpoint, each when due."""
        dice = self._look() if due.look else None
        if due.rehearsal:
            self._rehearse(due.progress)
        row_due = dice is not None or due.over or due.progress >= (len(self.history) + 1) / HISTORY_ROWS
        if row_due and self._losses:
            self._add_row(due.progress, dice, waited)
        if due.save:
            self._save()

    def _add_row(self, progress: float, dice: float | None, waited: float) -> None:
        seconds, loss = round(self.budget.elapsed(), 2), fmean(self._losses)
        rate = self.optimiser.param_groups[0]["lr"]
        row: Row = {"step": self.step, "seconds": seconds, "loss": loss, "learning_rate": rate, "dice": dice}
        self.history.append(row | {"waited": round(waited, 2)})
        self._losses.clear()
        for tracker in self.trackers:
            tracker.row(self.history[-1])
        self.watch(Moment(self.step, progress, seconds, loss, self._dice))

    def _look_due(self, progress: float) -> bool:
        aiming = self.target is not None
        due = self.step % AIMING_STEPS == 0 if aiming else int(progress * 10 + 1e-9) > int(self._looked * 10 + 1e-9)
        if self.validate is None or self.cooling or not due or progress >= 1 or not self.step:
            return False
        self._looked = progress
        share = AIMING_SHARE if aiming else VALIDATION_SHARE
        return not self._looks or sum(self._looks) + self._looks[-1] <= share * self.budget.elapsed()

    def _look(self) -> float:
        """Mean Dice of the averaged weights; the leader measures it."""
        before, weights = self.budget.elapsed(), self.team.whole(self.average.state)
        dice = self.team.agreed(self.validate(weights) if self.validate and self.team.leads else 0.0)
        self._looks.append(self.budget.elapsed() - before)
        if self.target is not None and dice >= self.target:
            self.cooling = CoolDown.after(self.step)
            self.say(f"Dice {dice:.4f} at step {self.step}: cooling down over {self.cooling.steps} steps")
        self._dice = dice
        return dice

    def _rehearse(self, progress: float) -> None:
        """Find out how much of the budget is needed after the fit; only the leader's counts."""
        self._rehearsals, weights = _passed(progress), self.team.whole(self.average.state)
        if self.rehearse:
            self.rehearse(weights)

    _rehearsals = 0  # made, or gone by
    _lost = 0  # steps in a row whose gradients were not finite
    _looked = 0.0  # progress at the last thought of validating
    _saved = 0.0  # seconds at the last checkpoint
    _unsaved = False  # the last checkpoint could not be written

    def _save(self) -> None:
        """Write the checkpoint; a disk that is full is no reason to lose the training."""
        self._saved = self.budget.elapsed()
        whole, state = self.team.whole, self.optimiser.state_dict()["state"]
        checkpoint = Checkpoint(
            self.step,
            self._saved,
            self.history,
            whole(self.network.state_dict()),
            whole(self.average.state),
            {index: whole(values) for index, values in state.items()},
            self.cooling,
        )
        if not self.team.leads:
            return
        try:
            save_checkpoint(self.checkpoint, checkpoint)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                self.say(f"{self.checkpoint} cannot be written ({error}); the training goes on without")
            self._unsaved = True

    def _resume(self, found: Checkpoint) -> None:
        parts = self.team.parts
        self.network.load_state_dict(parts(found.network, self.network.state_dict()))
        self.average.state = parts(found.average, self.average.state)
        restore_optimiser(self.optimiser, found.optimiser, parts)
        self.step, self.history, self.cooling = found.step, found.history, found.cooling
        self._dice = next((row["dice"] for row in reversed(self.history) if row["dice"] is not None), None)
        self.budget.spent += found.seconds
        self._looked = self.budget.progress(self.step)


def _passed(progress: float) -> int:
    return sum(progress >= at for at in REHEARSALS)


def _optimiser(network: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else Muon
    return kind(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
