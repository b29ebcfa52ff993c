"""The fitting loop: patches in, averaged weights out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor, nn

from skipseg.models.errors import DatasetError
from skipseg.models.precision import Precision, autocast
from skipseg.training.augment import IntensitySettings, augment
from skipseg.training.average import WeightAverage
from skipseg.training.checkpoint import Checkpoint, load_checkpoint, restore_optimiser, save_checkpoint
from skipseg.training.loss import batch_dice, deep_supervision
from skipseg.training.marginal import merge_unannotated
from skipseg.training.optimiser import Muon
from skipseg.training.sampling import PatchSampler
from skipseg.training.schedule import Budget, learning_rate

HISTORY_ROWS = 200  # a fit is told in about so many rows
CHECKPOINT_SECONDS = 30.0
LOST_STEPS = 20
VALIDATION_SHARE = 0.03  # of the time may go into looking at validation cases on the way


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
    history: list[dict[str, float | None]]
    steps: int
    seconds: float
    interrupted: bool


class Fit:
    """One fit of one network on one device.

    ``validate`` takes averaged weights and returns a mean Dice; it is called at every tenth of the budget as long as
    that stays cheap. The state is saved to ``checkpoint`` every half minute, and read from there when it exists.
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
        validate: Callable[[dict[str, Tensor]], float] | None = None,
        watch: Callable[[Moment], None] = lambda moment: None,
    ) -> None:
        self.network = network.to(device).train()
        if device.type == "cpu" and sampler.patch[2:]:
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.sampler, self.budget, self.settings = sampler, budget, settings
        self.device, self.precision = device, precision
        self.checkpoint, self.validate, self.watch = checkpoint, validate, watch
        self.optimiser = _optimiser(self.network, settings, precision)
        self.average = WeightAverage(self.network, settings.average_decay)
        self.step, self.history = 0, list[dict[str, float | None]]()
        self._losses, self._validated = list[float](), list[float]()
        self._dice: float | None = None
        if checkpoint.exists():
            self._resume(load_checkpoint(checkpoint))

    def run(self) -> Fitted:
        """Fit until the budget is spent or Ctrl-C; either way the averaged weights so far come back."""
        interrupted = False
        batches = self._batches()
        try:
            while (progress := self.budget.progress(self.step)) < 1:
                images, classes = next(batches)
                loss = self._learn(images, classes, progress)
                self._losses += [loss] if isfinite(loss) else []
                self.step += 1
                self._tell(self.budget.progress(self.step))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            batches.close()
        if self.step:
            self._save()
        return Fitted(self.average.state, self.history, self.step, self.budget.elapsed(), interrupted)

    def _learn(self, images: Tensor, classes: Tensor, progress: float) -> float:
        """One step of gradient descent; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings.learning_rate, self.step, self.settings.warm_up_steps, progress)
        images = augment(
            images, self.settings.intensity, torch.Generator().manual_seed(self.sampler.seed * 1_000_003 + self.step)
        )
        with autocast(self.device, self.precision):
            outputs = self.network(images)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        annotated = self.sampler.annotated(self.step)
        outputs = [merge_unannotated(logits, annotated) for logits in outputs]
        loss = deep_supervision(outputs, classes, self.settings.whole_batch_dice)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self._step_unless_lost(bool(torch.isfinite(length)))
        if not self._validated:
            self._dice = batch_dice(outputs[0], classes) if self.step % 10 == 0 else self._dice
        return float(loss.detach())

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

    def _batches(self) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Batches on the device, drawn ahead by threads so that the device does not wait."""
        ahead = 2 if self.device.type == "cpu" else 8
        with ThreadPoolExecutor(max(ahead // 2, 1), thread_name_prefix="patches") as pool:
            coming: deque[Future[tuple[Tensor, Tensor]]] = deque()
            drawn = self.step
            try:
                while True:
                    while len(coming) < ahead:
                        coming.append(pool.submit(self.sampler.draw, drawn))
                        drawn += 1
                    images, classes = coming.popleft().result()
                    yield images.to(self.device), classes.to(self.device)
            finally:
                for future in coming:
                    future.cancel()

    def _tell(self, progress: float) -> None:
        """History, validation and checkpoint, each when due."""
        seconds = self.budget.elapsed()
        dice = self._maybe_validate(progress)
        due = dice is not None or progress >= (len(self.history) + 1) / HISTORY_ROWS
        if due and self._losses:
            rate = self.optimiser.param_groups[0]["lr"]
            loss = fmean(self._losses)
            self.history.append(
                {"step": self.step, "seconds": round(seconds, 2), "loss": loss, "learning_rate": rate, "dice": dice}
            )
            self._losses.clear()
            self.watch(Moment(self.step, progress, seconds, loss, self._dice))
        if seconds - self._saved >= CHECKPOINT_SECONDS:
            self._save()

    def _maybe_validate(self, progress: float) -> float | None:
        due = int(progress * 10 + 1e-9) > int(self._looked * 10 + 1e-9)
        if self.validate is None or not due or progress >= 1:
            return None
        self._looked = progress
        before = self.budget.elapsed()
        if self._validated and sum(self._validated) + self._validated[-1] > VALIDATION_SHARE * before:
            return None
        self._dice = self.validate(self.average.state)
        self._validated.append(self.budget.elapsed() - before)
        return self._dice

    _lost = 0  # steps in a row whose gradients were not finite
    _looked = 0.0  # progress at the last thought of validating
    _saved = 0.0  # seconds at the last checkpoint

    def _save(self) -> None:
        self._saved = self.budget.elapsed()
        state = self.optimiser.state_dict()["state"]
        save_checkpoint(
            self.checkpoint,
            Checkpoint(self.step, self._saved, self.history, self.network.state_dict(), self.average.state, state),
        )

    def _resume(self, found: Checkpoint) -> None:
        self.network.load_state_dict(found.network)
        self.average.state = {name: values.to(self.device) for name, values in found.average.items()}
        restore_optimiser(self.optimiser, found.optimiser)
        self.step, self.history = found.step, found.history
        self._dice = next((row["dice"] for row in reversed(self.history) if row["dice"] is not None), None)
        self.budget.spent += found.seconds
        self._looked = self.budget.progress(self.step)


def _optimiser(network: nn.Module, settings: FitSettings, precision: Precision) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    return Muon(network.parameters(), rate, decay, torch.bfloat16 if precision == "bf16" else torch.float32)
