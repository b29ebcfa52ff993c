"""An ordered training in a process of its own that may be killed: ``python ordered_training.py ROOT ORDER [DIE]``.

It prints its progress as JSON lines and, last, its outcome. A file ``ROOT/cancel`` cancels it. ``DIE`` is ``added`` or
``finishing``: it kills itself right after the candidate was added to the registry, or right before.
"""

import os
import signal
import sys
from pathlib import Path

from skipseg.models.registry import ModelVersion, Registry
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import TrainOutcome, TrainProgress
from skipseg.service.retraining.preparing import Stores
from skipseg.service.retraining.retrain import retrain
from skipseg.service.retraining.tasks import Share

FAST = Machine(Share(device="cpu", threads=2, nice=0))  # tests share their machine with others


class Dying(Registry):
    """A registry whose process dies once a version has been added."""

    def add(self, folder: Path, name: str | None = None, *, first_is_live: bool = True) -> ModelVersion:
        super().add(folder, name, first_is_live=first_is_live)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


def ordered(root: Path, order: TrainOrder, die: str = "", job: str = "job") -> TrainOutcome:
    """Do what ``root`` has the stores for."""

    def tell(progress: TrainProgress) -> None:
        print(progress.model_dump_json(), flush=True)
        if progress.stage == die:
            os.kill(os.getpid(), signal.SIGKILL)

    registry = (Dying if die == "added" else Registry)(root / "models", root / "none-shipped")
    stores = Stores(DatasetStore(root / "datasets"), registry)
    return retrain(order, root / job, stores, FAST, "tester", (root / "cancel").exists, tell)


if __name__ == "__main__":
    wanted = TrainOrder.model_validate_json(sys.argv[2])
    print(ordered(Path(sys.argv[1]), wanted, *sys.argv[3:]).model_dump_json(), flush=True)
