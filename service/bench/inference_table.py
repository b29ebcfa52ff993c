"""``skipseg bench inference`` as a table."""

from __future__ import annotations

from skipseg.service.bench.inference import REFERENCE, Inference, Measured
from skipseg.service.bench.tables import gigabytes, machine_lines, number, print_report, seconds, size
from skipseg.service.bench.ways import ways

HEADER = (
    "way",
    "backend",
    "one scan",
    "times MONAI fp32",
    "tiles/s",
    "GFLOP/s",
    "of the matrix peak",
    "memory at most",
    "labels as MONAI fp32",
    "labels as exact",
)

BLENDING = (
    "MONAI raises every blending weight below 0.001 to it, skipseg keeps the Gaussian. For that alone labels differ "
    "near the border of the scan, where tiles of an untrained network contradict one another."
)

FEWER = (
    "Fewer tiles are not the same work: that a network segments as well with less overlap must be proven "
    "(skipseg models tune), and cannot be of random weights."
)


def print_inference(found: Inference) -> None:
    """Everything but the raw readings, on standard output."""
    with_dice, on_gpu = found.scored_cases > 0, found.machine.gpu is not None
    header = [*HEADER, *(["GPU memory"] if on_gpu else []), *(["mean Dice"] if with_dice else [])]
    rows = [_row(name, one, on_gpu, with_dice) for name, one in found.ways.items()]
    print_report([*_subject(found), *machine_lines(found.machine, found.others)], header, rows, _notes(found))


def _subject(found: Inference) -> list[str]:
    one = next(iter(found.ways.values()))
    return [
        f"{found.network}; {found.operations_per_tile / 1e9:.4g} GFLOP a tile.",
        f"Scan {size(found.scan)}, tile {size(found.tile)}, overlap {found.overlap:g}: {one.readings[0].tiles} tiles; "
        f"{found.classes} classes. From normalised voxels to labels, median of {len(one.readings)} runs in turn.",
    ]


def _row(name: str, one: Measured, on_gpu: bool, with_dice: bool) -> list[str]:
    cells = [
        ways()[name][0],
        f"{one.ready.backend}, {one.ready.precision}",
        seconds(one.seconds),
        "1" if name == REFERENCE else f"{one.ratio:.3g}",
        number(one.tiles_per_s),
        number(one.gflops, ".4g"),
        f"{one.peak_share:.0%}",
        gigabytes(one.memory_bytes),
        f"{one.as_monai:.3%}",
        f"{one.as_exact:.3%}",
    ]
    return [
        *cells,
        *([gigabytes(one.device_bytes)] if on_gpu else []),
        *([number(one.dice, ".4f")] if with_dice else []),
    ]


def _notes(found: Inference) -> list[str]:
    peaks = ", ".join(f"{peak.library} {peak.precision} {peak.gflops:.4g}" for peak in found.peaks)
    shares = ", ".join(f"{share:.1%}" for share in found.label_shares)
    why = [
        f"{ways()[name][0]}: {one.readings[0].tiles} tiles; ready after {one.ready.seconds:.3g} s, "
        f"{gigabytes(one.ready.memory_bytes)} at most until then; {one.ready.reason}"
        for name, one in found.ways.items()
    ]
    scored = f"Dice: the mean over {found.scored_cases} cases." if found.scored_cases else ""
    return [
        f"Peak of matrix products in GFLOP/s: {peaks}; shares are of the best of the same type.",
        f"Shares of the labels, by MONAI in fp32: {shares}.",
        BLENDING,
        FEWER,
        *why,
        *([scored] if scored else []),
    ]
