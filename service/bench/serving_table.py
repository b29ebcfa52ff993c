"""``skipseg bench serving`` as a table."""

from __future__ import annotations

from collections.abc import Callable

from skipseg.service.bench.servers import OURS, PLAIN
from skipseg.service.bench.serving import Serving
from skipseg.service.bench.tables import gigabytes, machine_lines, number, print_report, seconds, size

Written = Callable[[float | None], str]


def print_serving(found: Serving) -> None:
    """Everything but the raw readings, on standard output."""
    figures = found.figures
    rows = [
        [told, write(figures[OURS][name]), write(figures[PLAIN][name]), _ratio(found, name) if compared else ""]
        for name, (told, write, compared) in _rows(found).items()
    ]
    header = ["what", "skipseg", "plain server", "plain / skipseg"]
    print_report([*_subject(found), *machine_lines(found.machine, found.others)], header, rows, _notes(found))


def _rows(found: Serving) -> dict[str, tuple[str, Written, bool]]:
    """Name of a figure -> what it is, how it is written, and whether the servers are compared by it."""
    sizes = found.size
    small, large = size(sizes.small), f"{sizes.large}^3"
    several = f"{sizes.large_clients} clients on {large}"
    return {
        "small_idle_s": (f"{small}, one client, median", seconds, True),
        "small_beside_large_s": (f"{small} beside {several}, median", seconds, True),
        "small_slower_beside_large": ("... times the idle median", number, False),
        "large_alone_s": (f"{large}, one client", seconds, True),
        "large_first_s": (f"first answer of {several}", seconds, True),
        "large_first_to_alone": ("... times one client's", number, False),
        "large_last_s": (f"last answer of {several}", seconds, True),
        "info_p50_s": ("GET info meanwhile, median", seconds, False),
        "info_p99_s": ("... 99th percentile", seconds, False),
        "healthz_p50_s": ("GET /healthz meanwhile, median", seconds, False),
        "healthz_p99_s": ("... 99th percentile", seconds, False),
        "first_s": ("first request after readiness", seconds, True),
        "later_s": (f"request number {sizes.first}", seconds, True),
        "first_to_later": (f"... first by number {sizes.first}", number, False),
        "scans_per_s": (f"{sizes.small_clients} clients on {small}, scans/s", number, True),
        "tile_rate_share": ("... of the tile rate of skipseg's engine alone", _share, False),
        "memory_bytes": ("memory at most", _memory, False),
    }


def _subject(found: Serving) -> list[str]:
    sizes = found.size
    return [
        f"{found.network}, random weights, the same in both; windows of {size(sizes.tile)}, overlap {sizes.overlap:g}; "
        f"3 classes; .nii.gz in and out over HTTP on this machine.",
        f"skipseg serves with --precision {found.mode}; the plain server is FastAPI with MONAI's inferer in fp32, "
        "threads for decoding and encoding, one scan at a time.",
    ]


def _notes(found: Serving) -> list[str]:
    rates = ", ".join(f"{rate.tiles_per_s:.4g}" for rate in found.engine)
    counts = {name: len(one.crowd.small) for name, one in found.served.items()}
    return [
        f"skipseg's engine alone: {rates} tiles a second; a small scan has {found.engine[0].tiles}.",
        f"Small scans answered beside large ones: {counts[OURS]} by skipseg, {counts[PLAIN]} by the plain server.",
        f"Masks of the small scan agree in {found.agreement:.2%} of its voxels.",
    ]


def _ratio(found: Serving, name: str) -> str:
    ours, plain = (found.figures[server][name] for server in (OURS, PLAIN))
    return "-" if not ours or plain is None else f"{plain / ours:.3g}"


def _share(value: float | None) -> str:
    return number(value, ".0%")


def _memory(value: float | None) -> str:
    return gigabytes(None if value is None else int(value))
