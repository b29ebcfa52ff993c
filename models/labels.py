"""What the values in a mask mean."""

from __future__ import annotations

import colorsys

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Code(BaseModel):
    """A coded concept, as DICOM writes it: SNOMED CT has the scheme ``SCT`` (DICOM PS3.16)."""

    model_config = ConfigDict(frozen=True)

    value: str
    meaning: str
    scheme: str = "SCT"


class Label(BaseModel):
    """One value of a mask; 0 is always the background."""

    model_config = ConfigDict(frozen=True)

    value: int = Field(ge=0, le=65535)
    name: str = Field(min_length=1)
    colour: tuple[int, int, int] = (0, 0, 0)
    code: Code | None = None


class Labels(BaseModel):
    """The labels of a dataset or a bundle, background first; class ``i`` of a network is ``labels.all[i]``."""

    model_config = ConfigDict(frozen=True)

    all: tuple[Label, ...]

    @model_validator(mode="after")
    def _background_first_and_unique(self) -> Labels:
        if not self.all or self.all[0].value != 0:
            raise ValueError("labels must start with the background, value 0")
        if len({label.value for label in self.all}) < len(self.all):
            raise ValueError("two labels share one value")
        if len({label.name for label in self.all}) < len(self.all):
            raise ValueError("two labels share one name")
        return self

    @classmethod
    def from_names(cls, names: dict[int, str]) -> Labels:
        """Labels with colours spread around the wheel and the codes that are known for common names."""
        values = sorted(set(names) | {0})
        return cls(
            all=tuple(_label(value, names.get(value, "background"), i, len(values)) for i, value in enumerate(values))
        )

    @property
    def foreground(self) -> tuple[Label, ...]:
        return self.all[1:]

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(label.value for label in self.all)

    def __len__(self) -> int:
        return len(self.all)


def _label(value: int, name: str, index: int, count: int) -> Label:
    if value == 0:
        return Label(value=0, name=name)
    red, green, blue = colorsys.hsv_to_rgb((index - 1) / max(count - 1, 1), 0.75, 0.95)
    colour = (round(red * 255), round(green * 255), round(blue * 255))
    return Label(value=value, name=name, colour=colour, code=KNOWN_CODES.get(name.strip().lower()))


KNOWN_CODES = {
    meaning.lower(): Code(value=value, meaning=meaning)
    for meaning, value in {
        "Hippocampus": "5366008",
        "Brain": "12738006",
        "Liver": "10200004",
        "Spleen": "78961009",
        "Kidney": "64033007",
        "Pancreas": "15776009",
        "Lung": "39607008",
        "Prostate": "41216001",
        "Neoplasm": "108369006",
        "Edema": "79654002",
        "Nucleus": "84640000",
        "Cell": "4421005",
    }.items()
} | {"oedema": Code(value="79654002", meaning="Edema")}
