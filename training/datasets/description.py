"""What a dataset says about itself: ``dataset.json`` of MSD and nnU-Net, ``labels.json`` of two plain folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from skipseg.models.errors import DatasetError
from skipseg.models.labels import Labels

GroupName = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) is int else name), Field(min_length=1)]


class Pair(BaseModel):
    """One entry of MSD's ``training`` list; paths are relative to the dataset's folder."""

    image: str
    label: str | None = None


class Group(BaseModel):
    """One entry of nnU-Net v2's optional ``dataset`` table: the files of one case, channels in order."""

    images: list[str] = Field(min_length=1)
    label: str | None = None


class Description(BaseModel):
    """The parts of a dataset's JSON that are used here; everything else in it is left alone."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    description: str = ""
    reference: str = ""  # who made the data
    licence: str = Field(default="", validation_alias=AliasChoices("licence", "license"))
    channels: dict[str, str] = Field(default={}, validation_alias=AliasChoices("channel_names", "modality"))
    labels: dict[str, int | str | list[int]] = {}
    training: list[Pair] | None = None  # MSD, nnU-Net v1
    file_ending: str | None = Field(default=None, min_length=2)  # nnU-Net v2
    dataset: dict[str, Group] | None = None  # nnU-Net v2, optional
    foreground: Literal["any"] | None = None  # ours: every value above 0 is the one label (instance ids)
    groups: dict[str, GroupName] = {}  # ours: by case, such as the person that a scan is of

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names by channel number; empty when the JSON gives none."""
        return tuple(self.channels[key] for key in sorted(self.channels, key=_number))

    def named_labels(self) -> Labels | None:
        """The labels, or None when the JSON names none.

        MSD writes ``{"1": "liver"}``, nnU-Net v2 ``{"liver": 1}``; both are read. Raises ``DatasetError`` for regions
        (a list of values under one name), for an ``ignore`` label, for a value that is no whole number or comes twice.
        """
        if not self.labels:
            return None
        names: dict[int, str] = {}
        for number, name in (_named(key, value) for key, value in self.labels.items()):
            if number in names:
                raise DatasetError(
                    f"labels {names[number]!r} and {name!r} both have the value {number}; give each its own"
                )
            names[number] = name
        if self.foreground == "any" and len(names.keys() - {0}) != 1:
            raise DatasetError('"foreground": "any" makes every value above 0 the one label 1; name just {"1": "..."}')
        try:
            return Labels.from_names(names)
        except ValidationError as error:
            raise DatasetError(
                f"labels: {_first(error)}; give each value from 0 to 65535 one name of its own"
            ) from error


def read_description(path: Path) -> Description:
    """Read one JSON file; raises ``DatasetError`` saying where it is not what it should be."""
    try:
        return Description.model_validate(json.loads(path.read_text(encoding="utf-8-sig")))
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} must be UTF-8 text; byte {error.start} is not; save it as UTF-8") from error
    except RecursionError as error:
        raise DatasetError(f"{path.name} is nested too deeply to be a dataset's description") from error
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path.name} is not valid JSON: {error.msg} in line {error.lineno}; mend that line"
        ) from error
    except ValidationError as error:
        raise DatasetError(f"{path.name}: {_first(error)}; docs/datasets.md shows the layouts") from error
    except ValueError as error:  # what Python's JSON reader makes of a number of thousands of digits
        raise DatasetError(f"{path.name} holds a number that is too long to be read; mend it") from error


def _named(key: str, value: int | str | list[int]) -> tuple[int, str]:
    name, number = (value, key) if isinstance(value, str) else (key, value)
    if isinstance(number, list):
        raise DatasetError(
            f"label {name!r} is a region of the values {number}; regions are not read: give each value one name"
        )
    if name.strip().lower() == "ignore":
        raise DatasetError("an 'ignore' label is not read; set those voxels to a real label or leave the case out")
    try:
        return int(number), name
    except ValueError as error:
        raise DatasetError(f"label {name!r} needs a whole number as its value; got {number!r}") from error


def _number(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdecimal() and len(key) < 10 else (1 << 31, key)


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]
