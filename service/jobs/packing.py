"""The results of a job as a table and as an archive, made while they are sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from skipseg.service.jobs.deliveries import Deliveries, Delivery
from skipseg.service.jobs.inputs import Item, ItemList
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.records import Job, Outcome
from skipseg.service.jobs.results import ItemResult, JobFolders

COLUMNS = (
    "scan",
    "state",
    "mask",
    "model",
    "backend",
    "sha256",
    "mask_sha256",
    "weights_sha256",
    "seconds",
    "shape",
    "spacing_mm",
    "trust",
    "flags",
    "reused",
    "code",
    "problem",
    "notes",
    "sent_to",
    "sent",
    "sent_problem",
)
COMPRESSED = (".gz", ".png", ".tif")
FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet would run, were it the beginning of a cell


def rows_of(ledger: Ledger, folders: JobFolders, job: Job) -> Iterator[str]:
    """The table, a row a scan that has its outcome; volumes in mm3 and ml, a column a label.

    Raises ``JobConflict`` for a job that has no scans.
    """
    return _rows(ItemList.read(folders.folder(job.id)).items, ledger.outcomes(job.id), _deliveries(ledger, job))


def zipped(ledger: Ledger, folders: JobFolders, job: Job) -> Iterator[bytes]:
    """An archive of the masks under their scans' names, and the table; raises as ``rows_of``."""
    items = ItemList.read(folders.folder(job.id)).items
    return _zipped(items, ledger.outcomes(job.id), folders, job, _deliveries(ledger, job))


def _deliveries(ledger: Ledger, job: Job) -> Mapping[int, Delivery]:
    return Deliveries(ledger.engine).of_job(job.id)


def _rows(named: Sequence[Item], found: Sequence[Outcome], sent: Mapping[int, Delivery]) -> Iterator[str]:
    labels = list(dict.fromkeys(label for outcome in found for label in _result(outcome).volumes_mm3 or {}))
    yield _line([*COLUMNS, *(f"{label} mm3" for label in labels), *(f"{label} ml" for label in labels)])
    for outcome in found:
        yield _line(_cells(named[outcome.item], outcome, labels, sent.get(outcome.item)))


def _zipped(
    named: Sequence[Item],
    found: Sequence[Outcome],
    folders: JobFolders,
    job: Job,
    delivered: Mapping[int, Delivery],
) -> Iterator[bytes]:
    sent = _Sent()
    with ZipFile(sent, "w") as archive:
        for outcome in found:
            result = _result(outcome)
            if result.mask is not None:
                packing = ZIP_STORED if result.mask_suffix.endswith(COMPRESSED) else ZIP_DEFLATED
                content = folders.mask(job.id, result.mask).read_bytes()
                archive.writestr(_name(named[outcome.item], result), content, packing)
                yield sent.taken()
        archive.writestr("results.csv", "".join(_rows(named, found, delivered)), ZIP_DEFLATED)
    yield sent.taken()


class _Sent(io.RawIOBase):
    """What ``ZipFile`` writes, to be taken bit by bit."""

    def __init__(self) -> None:
        self._bytes, self._at = bytearray(), 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._at

    def write(self, content: object) -> int:
        block = bytes(content)  # type: ignore[call-overload]
        self._bytes += block
        self._at += len(block)
        return len(block)

    def taken(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


def _result(outcome: Outcome) -> ItemResult:
    return ItemResult.model_validate_json(outcome.result)


def _name(item: Item, result: ItemResult) -> str:
    return item.name + result.mask_suffix


def _cells(item: Item, outcome: Outcome, labels: Sequence[str], sent: Delivery | None) -> list[object]:
    result = _result(outcome)
    told: dict[str, object] = {
        **result.model_dump(),
        "scan": item.name,
        "state": outcome.state,
        "mask": _name(item, result) if result.mask else "",
        "shape": "x".join(map(str, result.shape or ())),
        "spacing_mm": "x".join(f"{mm:.4g}" for mm in result.spacing_mm or ()),
        "trust": "" if result.trust is None else round(result.trust.score, 4),
        "flags": "" if result.trust is None else "; ".join(result.trust.flags),
        "notes": "; ".join(result.notes),
        "reused": "yes" if result.reused else "",
        "sent_to": None if sent is None else sent.node,
        "sent": None if sent is None else sent.state,
        "sent_problem": None if sent is None else sent.problem,
    }
    volumes = result.volumes_mm3 or {}
    in_ml = [round(volumes[label] / 1000, 6) if label in volumes else "" for label in labels]
    return [*(told[column] for column in COLUMNS), *(volumes.get(label, "") for label in labels), *in_ml]


def _line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
