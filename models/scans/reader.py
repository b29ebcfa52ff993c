"""From any scan file to a ``Volume``: the format is read off the first bytes, never off the name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, UsageError
from skipseg.models.scans import nifti_header
from skipseg.models.scans.dicom.choice import AS_STORED, SeriesChoice
from skipseg.models.scans.dicom.parse import is_dicom, lacks_preamble
from skipseg.models.scans.dicom.parts import is_zip
from skipseg.models.scans.dicom.read import read_dicom, together
from skipseg.models.scans.images import is_png, read_png
from skipseg.models.scans.itk import read_mha, read_nrrd
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.nifti import read_nifti
from skipseg.models.scans.streams import GZIP_MAGIC, ScanSource, gunzip_start, starts_with
from skipseg.models.scans.text_headers import is_mha, is_nrrd
from skipseg.models.scans.tiff import read_tiff
from skipseg.models.scans.tiff_structure import is_tiff
from skipseg.models.scans.volume import Volume, stack


@dataclass(frozen=True)
class ScanFormat:
    """One way to store a scan: what its files are called, how they start, and who reads them."""

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[ScanSource, Limits, SeriesChoice], Volume]
    alone: bool = True  # whether a file is a scan, rather than a slice of one


def _whole(read: Callable[[ScanSource, Limits], Volume]) -> Callable[[ScanSource, Limits, SeriesChoice], Volume]:
    """A reader of files that hold one scan, so that there is nothing to choose."""
    return lambda source, limits, choice: read(source, limits)


def _is_dicom(head: bytes) -> bool:
    return is_dicom(head) or is_zip(head) or lacks_preamble(head)


FORMATS: dict[str, ScanFormat] = {
    form.name: form
    for form in (
        ScanFormat("nifti", (".nii.gz", ".nii"), nifti_header.recognises, _whole(read_nifti)),
        ScanFormat("nrrd", (".nrrd",), is_nrrd, _whole(read_nrrd)),
        ScanFormat("mha", (".mha",), is_mha, _whole(read_mha)),
        ScanFormat("png", (".png",), is_png, _whole(read_png)),
        ScanFormat("tiff", (".tif", ".tiff"), is_tiff, _whole(read_tiff)),
        ScanFormat("dicom", (".dcm",), _is_dicom, read_dicom, alone=False),
    )
}

_NO_XML = "XML files (GIFTI, CIFTI and others) are not read, as they may name other files; send a NIfTI volume"
_UNREAD = {  # how files start that people send although they are not read, and what to do instead
    b"\xff\xd8\xff": "JPEG images are not read, since their compression loses detail; save the original as PNG or TIFF",
    b"BZh": "bzip2 files are not read; use gzip (.nii.gz)",
    b"\xfd7zXZ": "xz files are not read; use gzip (.nii.gz)",
    b"\x28\xb5\x2f\xfd": "zstd files are not read; use gzip (.nii.gz)",
    b"<": _NO_XML,
    b"\xef\xbb\xbf<": _NO_XML,
    b"\x89HDF": "HDF5 and MINC files are not read; convert the scan to NIfTI",
    b"CDF": "NetCDF and MINC files are not read; convert the scan to NIfTI",
    b"GIF8": "GIF images are not read; save it as PNG or TIFF",
    b"BM": "BMP images are not read; save it as PNG or TIFF",
}
_HEAD = 64 * 1024  # enough of a file to know its format, through a gzip header with a long name too


def read_scan(source: ScanSource, limits: Limits = DEFAULT_LIMITS, choice: SeriesChoice = AS_STORED) -> Volume:
    """Read one scan from a file or from bytes; of a folder, a zip or a study of DICOM the series that is chosen.

    Raises ``ScanCorrupt`` when it is not what its format claims, ``ScanFormatUnknown`` for a format we do not read,
    ``ScanTooLarge`` over a limit, ``ScanUnusable`` when its geometry, channels or values cannot be used, and
    ``UsageError`` when the file cannot be opened.
    """
    return _format_of(source).read(source, limits, choice)


def read_channels(
    sources: Sequence[ScanSource], limits: Limits = DEFAULT_LIMITS, choice: SeriesChoice = AS_STORED
) -> Volume:
    """Read scans of one grid as the channels of one volume, in order; raises as ``read_scan`` and ``stack``."""
    if not sources:
        raise UsageError("at least one scan is needed, got none")
    if len(sources) == 1:
        return read_scan(sources[0], limits, choice)
    volumes = [read_scan(source, limits, choice.of_channel(number)) for number, source in enumerate(sources)]
    return together(volumes) if all(volume.source.format == "dicom" for volume in volumes) else stack(volumes)


def read_slices(files: Sequence[Path], limits: Limits = DEFAULT_LIMITS, choice: SeriesChoice = AS_STORED) -> Volume:
    """Read the files of a DICOM series, or of a study, as one volume; raises as ``read_scan``."""
    return read_dicom(files, limits, choice)


def scan_files(folder: Path) -> list[Path]:
    """All files of a tree that are called like scans, sorted."""
    return sorted(path for path in folder.rglob("*") if is_scan_name(path.name) and path.is_file())


def is_scan_name(name: str) -> bool:
    """Whether a file is called like one that holds a whole scan."""
    return bool(_suffix(name, alone=True))


def scan_stem(path: Path) -> str:
    """The name of a scan's file without its suffix: ``a`` for ``a.nii.gz``."""
    return path.name.removesuffix(_suffix(path.name)) or path.name


def _suffix(name: str, alone: bool = False) -> str:
    suffixes = [suffix for form in FORMATS.values() for suffix in form.suffixes if form.alone or not alone]
    found = next((suffix for suffix in suffixes if name.lower().endswith(suffix)), "")
    return name[len(name) - len(found) :]


def _format_of(source: ScanSource) -> ScanFormat:
    if isinstance(source, Path) and source.is_dir():
        return FORMATS["dicom"]
    head = starts_with(source, _HEAD)
    if not head:
        raise ScanCorrupt("the file is empty; copy or upload it again")
    if head.startswith(GZIP_MAGIC):
        if nifti_header.recognises(gunzip_start(head, 4)):
            return FORMATS["nifti"]
        raise ScanFormatUnknown("this gzip file holds something else than a NIfTI scan; send the scan itself")
    found = next((form for form in FORMATS.values() if form.recognises(head)), None)
    if found is None:
        raise ScanFormatUnknown(_advice(head))
    return found


def _advice(head: bytes) -> str:
    general = f"the file starts like no format that is read ({', '.join(FORMATS)}); convert it to NIfTI"
    return next((advice for start, advice in _UNREAD.items() if head.startswith(start)), general)
