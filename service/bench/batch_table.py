"""``skipseg bench batch`` as a table."""

from __future__ import annotations

from statistics import median

from skipseg.service.bench.batch import OURS, PLAIN, BatchBench, FolderRuns
from skipseg.service.bench.tables import gigabytes, machine_lines, number, print_report, seconds, size

WAYS = {OURS: "skipseg segment FOLDER", PLAIN: "one after the other, MONAI fp32"}
HEADER = (
    "way",
    "scans/s",
    "times the plain loop",
    "all scans",
    "device busy",
    "memory at most",
    "ready after",
    "failed",
)


def print_batch(found: BatchBench) -> None:
    """Everything but the raw readings, on standard output."""
    on_gpu = found.machine.gpu is not None
    rows = [_row(WAYS[name], one, found.ratio if name == OURS else 1.0, on_gpu) for name, one in found.ways.items()]
    header = [*HEADER, *(["GPU memory"] if on_gpu else [])]
    notes = [f"Both ways' masks agree in {number(found.agreement, '.3%')} of their voxels."]
    print_report([_subject(found), *machine_lines(found.machine, found.others)], header, rows, notes)


def _subject(found: BatchBench) -> str:
    runs = found.ways[OURS].runs
    return (
        f"{runs[0].scans} scans, model {found.model}, tile {size(found.tile)}, overlap {found.overlap:g}, --precision "
        f"{found.mode}. From the first file read to the last mask written, median of {len(runs)} runs in turn; "
        "files are read, prepared and written by the same code in both."
    )


def _row(told: str, one: FolderRuns, ratio: float, on_gpu: bool) -> list[str]:
    last = one.runs[-1]
    cells = [
        told,
        number(one.scans_per_s),
        f"{ratio:.3g}",
        seconds(median(run.seconds for run in one.runs)),
        number(one.busy_share, ".0%"),
        gigabytes(last.memory_bytes),
        seconds(one.ready_s),
        str(last.failed),
    ]
    return [*cells, *([gigabytes(last.device_bytes)] if on_gpu else [])]
