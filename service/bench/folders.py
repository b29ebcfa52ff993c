"""A folder of scans to a folder of masks, in one of two ways. These functions run in processes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from skipseg.models.bundle import Bundle
from skipseg.models.errors import ScanError
from skipseg.models.inference.predictor import Predictor, load_predictor
from skipseg.models.precision import Mode
from skipseg.models.scans.masks import mask_suffix, write_mask
from skipseg.service.bench.memory import device_peak_bytes, forget_peaks, peak_bytes
from skipseg.service.bench.subject import Subject
from skipseg.service.bench.ways import Monais
from skipseg.service.commands.batch import Batch
from skipseg.service.commands.cases import ScanFiles, collect


@dataclass(frozen=True)
class FolderRun:
    """From the first file read to the last mask written; the network was ready before."""

    seconds: float
    scans: int
    failed: int
    busy_s: float | None  # of the device, with networks and blending; None where nobody counts
    memory_bytes: int | None  # most of the process, meanwhile
    device_bytes: int | None


class _Held:
    device: torch.device
    bundle: Bundle
    predictor: Predictor
    plain: Monais


def load_ours(subject: Subject, device_name: str, mode: Mode) -> float:
    """Seconds until ``skipseg segment`` could begin."""
    began = perf_counter()
    _Held.device, _Held.bundle = torch.device(device_name), subject.open()
    _Held.predictor = load_predictor(_Held.bundle, _Held.device, mode)
    return perf_counter() - began


def load_plain(subject: Subject, device_name: str) -> float:
    """Seconds until the plain loop could begin."""
    began = perf_counter()
    _Held.device, _Held.bundle = torch.device(device_name), subject.open()
    _Held.plain = Monais(_Held.bundle, _Held.device, "fp32")
    return perf_counter() - began


def ours(scans: Path, out: Path) -> FolderRun:
    """As ``skipseg segment MODEL SCANS --out OUT`` does it."""
    forget_peaks(_Held.device)
    outcome = Batch(_Held.predictor, "bench", out, None).run(_found(scans, out), False, lambda done, total: None)
    failed = sum(row.state == "failed" for row in outcome.rows)
    return FolderRun(outcome.seconds, len(outcome.rows), failed, outcome.busy_s, *_memory())


def plain(scans: Path, out: Path) -> FolderRun:
    """One scan after the other with MONAI's inferer in fp32; read, prepared and written by the same code as ours."""
    forget_peaks(_Held.device)
    began, found, failed = perf_counter(), _found(scans, out), 0
    for scan in found:
        try:
            _segment(scan, out)
        except ScanError:
            failed += 1
    return FolderRun(perf_counter() - began, len(found), failed, None, *_memory())


def _segment(scan: ScanFiles, out: Path) -> None:
    mask = _Held.plain.segment(scan.read())
    path = out / scan.name.with_name(scan.name.name + mask_suffix(mask))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(mask, path)


def _found(scans: Path, out: Path) -> list[ScanFiles]:
    return collect([scans], len(_Held.bundle.plan.channels), out)


def _memory() -> tuple[int | None, int | None]:
    return peak_bytes(), device_peak_bytes(_Held.device)
