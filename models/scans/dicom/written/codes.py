"""What a label is, in the codes that DICOM knows: by its own code, else by its name, else by a private code of ours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from skipseg.models.labels import Code as LabelCode
from skipseg.models.labels import Label

PRIVATE_SCHEME = "99SKIPSEG"
TISSUE = Code("85756007", "SCT", "Tissue")
ANATOMICAL = Code("123037004", "SCT", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}
ABNORMAL_NAMES = ("Cyst", "Hemorrhage", "Lesion", "Mass", "Necrosis", "Nodule")
ABNORMAL = frozenset(
    {
        "108369006",  # neoplasm
        "79654002",  # edema
        *(getattr(codes.CID7151, name).value for name in ABNORMAL_NAMES),
    }
)
OTHER_NAMES = {
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "oedema": "edema",
    "grey matter": "gray matter",
    "urinary bladder": "bladder",
    "oesophagus": "esophagus",
    **{
        f"vertebrae {letter} {number}": f"{letter} {number} vertebra"
        for letter, count in {"c": 7, "t": 12, "l": 5}.items()
        for number in range(1, count + 1)
    },
}
LONGEST = 64  # characters of a code's meaning, a segment's label, and most short texts (VR LO)


@dataclass(frozen=True)
class Meaning:
    """A label's category, its type, and the side of the body where its name says one (PS3.16 CID 7150, 7151, 244)."""

    category: Code
    type: Code
    side: Code | None = None

    @classmethod
    def of(cls, label: Label) -> Meaning:
        """That of a label; a side that the code says itself, as that of the left atrium does, is not said twice."""
        words = _words(label.name)
        sides = {SIDES[word] for word in words if word in SIDES}
        side = sides.pop() if len(sides) == 1 else None
        kind = None if label.code is None else _own(label.code)
        kind = kind or _property_types().get(" ".join(words))
        if kind is not None:
            return cls(_category(kind), kind, None if set(_words(kind.meaning)) & set(SIDES) else side)
        kind = _property_types().get(" ".join(word for word in words if word not in SIDES)) or _private(label.name)
        return cls(_category(kind), kind, side)


def as_item(code: Code) -> Dataset:
    """A code as an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def short(text: str, most: int = LONGEST) -> str:
    """Text that DICOM's short strings can hold: no backslash, no line breaks, at most so many bytes of UTF-8."""
    clean = re.sub(r"[\\\x00-\x1f\x7f]+", " ", text).strip()
    return clean.encode()[:most].decode(errors="ignore").strip() or "unnamed"


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9]+", name.lower())


def _own(code: LabelCode) -> Code:
    return Code(short(code.value, 16), short(code.scheme, 16), short(code.meaning))


def _category(kind: Code) -> Code:
    if kind.value in ABNORMAL:
        return MORPHOLOGICALLY_ABNORMAL
    return TISSUE if kind.scheme_designator == PRIVATE_SCHEME or kind == TISSUE else ANATOMICAL


@lru_cache(maxsize=1)
def _property_types() -> dict[str, Code]:
    """Every segmentation property type (CID 7151) by the words of its meaning."""
    types = (getattr(codes.CID7151, name) for name in codes.CID7151.dir())
    named = {" ".join(_words(code.meaning)): code for code in types}
    return named | {other: named[word] for other, word in OTHER_NAMES.items()}


def _private(name: str) -> Code:
    """Equal names have equal codes; a code of ours says nothing but the name."""
    return Code(hashlib.sha256(name.encode()).hexdigest()[:16].upper(), PRIVATE_SCHEME, short(name))
