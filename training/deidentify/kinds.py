"""Which DICOM files may be de-identified at all: not those whose pixels are likely to say who it is."""

from __future__ import annotations

import re
from enum import Enum

from pydicom import Dataset
from pydicom.uid import UID

_ROOT = "1.2.840.10008.5.1.4.1.1."


class Objection(Enum):
    """Why a file is not written; the value is told after "N files"."""

    BURNED_IN = "say that text is burned into their pixels (Burned In Annotation)"
    USUALLY_BURNED_IN = (
        "are of a kind that usually has text burned into its pixels (ultrasound, secondary captures, screenshots, "
        "slide labels, films, documents)"
    )
    GRAPHICS = "have graphics in unused bits of their pixels, which cannot be read for names"
    OTHER_KIND = "are neither scans nor masks (reports, presentation states, raw data and others)"
    UNREADABLE = "are damaged, too large, or packed in a way that is not read (deflate)"
    STILL_TOLD = "would still have said a name, an id or a date of their patient"
    TWICE = "have the identity of another file, and other content"


_SCAN_KINDS = (  # CR, DX, MG, CT, MR, XA, XRF, tomosynthesis, NM, PET, OP, OPT, parametric maps, RT images and doses
    "1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 4 4.1 4.3 4.4 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 13.1.4 "
    "13.1.5 14.1 14.2 20 30 77.1.5.1 77.1.5.2 77.1.5.4 128 128.1 130 481.1 481.2"
)
_MASK_KINDS = "66.4 66.7 481.3"  # SEG, SEG as a labelmap, RTSTRUCT
_BURNED_KINDS = "3 3.1 5 6 6.1 6.2 7 7.1 7.2 7.3 7.4 104.1 104.2 104.3 104.4 104.5"  # ultrasound, SC, documents
_SCANS, _MASKS, _BURNED = (
    frozenset(_ROOT + kind for kind in kinds.split()) for kinds in (_SCAN_KINDS, _MASK_KINDS, _BURNED_KINDS)
)
_PHOTOGRAPHS = _ROOT + "77.1."  # visible light: endoscopes, microscopes, cameras
_MODALITIES = frozenset({"US", "IVUS", "SC", "OT", "DOC", "ES", "XC", "GM", "HC", "DG", "BDUS"})
_SHOTS = re.compile(r"SCREEN([ _]?(SAVE|SHOT|CAPTURE|DUMP).*)?|CAPTURE|DOSE[ _]?(INFO|REPORT)|REPORT|PATIENT PROTOCOL")
_TAKEN_FROM_PAPER = frozenset({"DV", "DF", "SD", "SI", "DRW"})  # ConversionType: video, film, documents, drawings
_HEADS = ("HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "SINUS", "JAW", "MAXILLA", "MANDIBLE", "NECK", "WHOLEBODY")
_IN_3D = frozenset({"MR", "CT", "PT", "NM"})


def objection_to(header: Dataset) -> Objection | None:
    """Why a file of this header is not to be written, as far as the header tells; None: nothing against it."""
    if (objection := burned_in(header)) is not None:
        return objection
    kind = UID(header.get("SOPClassUID", ""))
    is_scan = kind in _SCANS and ("PixelData" in header or "FloatPixelData" in header)
    if not is_scan and kind not in _MASKS:
        return Objection.OTHER_KIND
    return Objection.GRAPHICS if _has_graphics_in_pixels(header) else None


def burned_in(header: Dataset) -> Objection | None:
    """Whether pixels are likely to say a name; the header may come without them."""
    kind, modality = UID(header.get("SOPClassUID", "")), str(header.get("Modality", ""))
    if str(header.get("BurnedInAnnotation") or "NO").upper() != "NO":
        return Objection.BURNED_IN
    is_photograph = kind.startswith(_PHOTOGRAPHS) and kind not in _SCANS
    if kind in _BURNED or modality in _MODALITIES or is_photograph or _is_shot(header):
        return Objection.USUALLY_BURNED_IN
    return None


def may_show_a_face(header: Dataset) -> bool:
    """Whether it is a part of a scan of a head that a face could be reconstructed from, by what its header says."""
    if str(header.get("Modality", "")) not in _IN_3D:
        return False
    part = str(header.get("BodyPartExamined", "")).upper()
    return not part or any(head in part for head in _HEADS)


def _is_shot(header: Dataset) -> bool:
    told = header.get("ImageType") or ()
    words = [told] if isinstance(told, str) else [str(word) for word in told]
    is_digitised = str(header.get("ConversionType", "")) in _TAKEN_FROM_PAPER
    return is_digitised or any(_SHOTS.fullmatch(word.upper()) for word in words)


def _has_graphics_in_pixels(header: Dataset) -> bool:
    """An overlay without data of its own lies in pixel bits above those of the image (PS3.3 C.9.2, retired)."""
    groups = range(0x6000, 0x6100, 2)
    return any((group, 0x0100) in header and (group, 0x3000) not in header for group in groups)
