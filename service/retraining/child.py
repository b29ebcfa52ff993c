"""The process that trains: ``python -m skipseg.service.retraining.child FOLDER/task.json``, started by ``watch.py``.

It takes no more than its share of the machine, ends with the process that started it, and says in ``failure.json`` why
it came to nothing. SIGTERM ends a fit with what it has learned so far.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skipseg.models.allocator import keep_freed_memory
from skipseg.models.device_memory import free_bytes
from skipseg.models.errors import SkipsegError, UsageError
from skipseg.service.retraining.tasks import (
    COUNT_FILE,
    EXIT_FAILED,
    FAILURE_FILE,
    LISTENING,
    TASK,
    CompareTask,
    Failure,
    Share,
    TrainTask,
)
from skipseg.service.running.priority import give_way

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "can't start new thread", "bad_alloc")
PLANNED = 0.6  # of the memory allowed: what a plan may count on, beside the libraries and the cases that are cached
LEAST = 2**30  # bytes; the libraries alone take a third of it
PREDECESSOR_S = 60.0  # for a child that is ending because the process that started it was killed
INTERNAL = "the training failed in a way that is not the request's fault; child.log in the job's folder has the details"


def main(file: Path) -> int:
    """Do what a task file says; the exit code is 0 when it was done."""
    task = TASK.validate_json(file.read_bytes())
    _end_with_parent()
    keep_freed_memory()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # but in the fit, which listens: what was learned is written down
    file.with_name(LISTENING).touch()
    memory = task.share.memory
    try:
        memory = _be_modest(task.share)
        with FileLock(file.with_name("child.lock"), timeout=PREDECESSOR_S):
            _train(task, memory) if isinstance(task, TrainTask) else _compare(task)
        return 0
    except Exception as error:  # noqa: BLE001 - a child's every end is told to the process that waits for it
        traceback.print_exc()
        file.with_name(FAILURE_FILE).write_text(_told(error, memory).model_dump_json(), encoding="utf-8")
        return EXIT_FAILED


def _train(task: TrainTask, memory: int) -> None:
    from skipseg.models.precision import choose_device
    from skipseg.training.pipeline import TrainOptions, train
    from skipseg.training.runs.clock import command_given

    device = choose_device(task.share.device)
    options = TrainOptions(
        minutes=task.minutes,
        validation=task.validation,
        device=task.share.device,
        seed=task.seed,
        resume=True,
        name=task.name,
        memory=_planned(device, task.share, memory),
        base=task.base,
        base_version=task.base_version,
        replay=task.replay,
        started=command_given(),
    )
    train(task.dataset, task.out, options)


def _compare(task: CompareTask) -> None:
    from skipseg.models.bundle import load_bundle
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device
    from skipseg.training.datasets.dataset import image_checksum, named_cases, open_dataset
    from skipseg.training.runs.compare import compare

    device = choose_device(task.share.device)
    _planned(device, task.share, 0)
    dataset = open_dataset(task.dataset)
    cases = named_cases(dataset, task.cases)
    bundles = {"a": load_bundle(task.a), "b": load_bundle(task.b)}
    learned = {
        side: [case.name for case in cases if image_checksum(case) in bundle.manifest.training.learned]
        for side, bundle in bundles.items()
    }
    predictors = [load_predictor(bundle, device, task.precision) for bundle in bundles.values()]
    count = task.out.with_name(COUNT_FILE)
    task.out.mkdir(parents=True, exist_ok=True)
    models = list(zip((task.a_name, task.b_name), predictors, strict=True))
    compare(models, dataset, cases, task.out, learned, lambda done, total: _tell(count, f"{done}/{total}"))


def _tell(file: Path, text: str) -> None:
    with suppress(OSError):
        file.write_text(text)


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the other process does, however that happens."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 64):
                pass
        os._exit(EXIT_FAILED)

    threading.Thread(target=watch, daemon=True).start()


def _be_modest(share: Share) -> int:
    """The lowest priority, and a bound on memory; gives that bound in bytes.

    The bound is on data segments and private mappings (RLIMIT_DATA), as one on addresses (RLIMIT_AS) also counts what
    CUDA only reserves.
    """
    give_way(share.nice)
    import torch

    import skipseg.training.pipeline  # noqa: F401 - libraries may spin for ever where they find no memory as they load

    torch.set_num_threads(share.threads)
    memory = share.memory or free_bytes(torch.device("cpu"))
    if memory < LEAST:
        raise UsageError(
            f"a training needs at least {LEAST / 2**30:g} GiB; {memory / 2**30:.2f} GiB is what it may take"
        )
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    return memory


def _planned(device: Any, share: Share, memory: int) -> int:
    """What a plan may count on; of a GPU no more than the share can be taken from here on."""
    if device.type != "cuda":
        return int(PLANNED * memory)
    import torch

    torch.cuda.set_per_process_memory_fraction(share.device_share, device)
    total = torch.cuda.get_device_properties(device).total_memory
    return min(int(share.device_share * total), free_bytes(device))


def _told(error: Exception, memory: int) -> Failure:
    said = str(error).lower()
    if isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY):
        return Failure(code="memory", message=out_of_memory(memory))
    if isinstance(error, Timeout):
        return Failure(code="busy", message="another process still trains in this job's folder; retry the job later")
    if isinstance(error, SkipsegError):
        return Failure(code=error.code, message=str(error))
    if isinstance(error, OSError) and error.strerror:
        return Failure(code="disk", message=f"the job's folder could not be used: {error.strerror}; free space there")
    return Failure(code="internal", message=INTERNAL)


def out_of_memory(memory: int) -> str:
    """What a user can do about it."""
    return (
        f"the training needed more memory than the {memory / 2**30:.2f} GiB it may take; allow more "
        "(SKIPSEG_TRAIN_MEMORY, or SKIPSEG_TRAIN_DEVICE_SHARE of a GPU), then retry the job: it goes on where it was"
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
