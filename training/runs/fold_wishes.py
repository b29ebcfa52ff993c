"""What was asked of a training with folds, and whether it can be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.bundle import MOST_MEMBERS
from skipseg.models.errors import UsageError
from skipseg.models.networks.recipe import MOST_WEIGHTS
from skipseg.models.networks.recipes import NetworkRecipe
from skipseg.training.fitting.parallel import Alone
from skipseg.training.runs.progress import Display
from skipseg.training.runs.setup import DEFAULT_MINUTES, FOLDED, SETUP, TrainOptions

STUDENT_SHARE = 2.0  # of a member's time: each step of a network that is taught waits for every member's answer


class FoldWishes(BaseModel):
    """What a run goes on with when it is resumed."""

    model_config = ConfigDict(frozen=True)

    folds: tuple[tuple[str, ...], ...]  # cases kept out, by fold
    distil: bool

    @property
    def networks(self) -> float:
        """How many networks' time the run needs."""
        return networks(len(self.folds), self.distil)

    def keep(self, work: Path, display: Display) -> None:
        """Note them in ``work``; raise ``UsageError`` when a run that is resumed was asked for something else."""
        path = work / FOLDED
        if (work / SETUP).is_file() and not path.is_file():
            raise UsageError(
                f"the run in {work} was begun without --folds; ask for the same, or remove that folder to start anew"
            )
        if path.is_file() and _read(path) != self:
            begun = _read(path)
            raise UsageError(
                f"the run in {work} was begun with --folds {len(begun.folds)}{' --distil' if begun.distil else ''}, "
                "its cases and groups as they were then; ask for the same, or remove that folder to start anew"
            )
        path.write_text(self.model_dump_json(), encoding="utf-8")
        sizes = [len(fold) for fold in self.folds]
        about = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} or {max(sizes)}"
        display.say(
            f"{len(sizes)} networks, each without {about} of {sum(sizes)} cases"
            + (", then one that they teach" if self.distil else "")
            + "; they share one plan, made from all of these cases"
        )


def check_folds(options: TrainOptions, team: Alone) -> int:
    """How many folds are asked for; raises ``UsageError`` for wishes that do not go with them."""
    assert options.folds is not None
    if not 2 <= options.folds <= MOST_MEMBERS:
        raise UsageError(f"--folds is a number from 2 to {MOST_MEMBERS}; got {options.folds}")
    if options.fold is not None:
        raise UsageError("--folds trains on every fold, --fold on one; give one of them")
    if options.base is not None:
        raise UsageError("--folds and --from do not go together: the base has learned from what folds keep out")
    if options.distil and options.target_dice is not None:
        raise UsageError("--distil shares out time, which --target-dice leaves open; give one of them")
    if team.world > 1:
        raise UsageError("--folds trains its networks one after the other in one process; start it without torchrun")
    return options.folds


def check_size(recipe: NetworkRecipe, folds: int, distil: bool) -> None:
    """Raise ``UsageError`` when so many networks make no bundle, before hours go into them."""
    if not distil and folds * recipe.weights > MOST_WEIGHTS:
        raise UsageError(
            f"{folds} networks of {recipe.weights:,} weights have more than the {MOST_WEIGHTS:,} that one bundle may "
            f"hold; ask for at most {MOST_WEIGHTS // recipe.weights} folds, or for one network with --distil"
        )


def networks(folds: int, distil: bool) -> float:
    """How many networks' time so many folds need."""
    return folds + (STUDENT_SHARE if distil else 0.0)


def for_each(options: TrainOptions) -> TrainOptions:
    """The wishes for one network of several: its share of the minutes."""
    if options.epochs is not None or options.folds is None:
        return options
    return replace(options, minutes=(options.minutes or DEFAULT_MINUTES) / networks(options.folds, options.distil))


def check_without_folds(work: Path, options: TrainOptions) -> None:
    """Raise ``UsageError`` for wishes that need folds, or when a run with folds is to go on without."""
    if options.distil:
        raise UsageError("--distil teaches a network what an ensemble knows; say of how many with --folds")
    if (work / FOLDED).is_file():
        begun = _read(work / FOLDED)
        raise UsageError(f"the run in {work} was begun with --folds {len(begun.folds)}; ask for the same")


def _read(path: Path) -> FoldWishes:
    try:
        return FoldWishes.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError:
        raise UsageError(f"{path} is damaged; remove {path.parent} to start anew") from None
