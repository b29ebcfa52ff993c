"""Which series goes to which model: a file of rules, read from its top; the first that matches counts.

[[rules]]
name = "hippocampus"
modality = ["MR"]
series_description = "mprage|t1.*3d"
model = "hippocampus"
send_to = "pacs"
"""

from __future__ import annotations

import json
import re
import signal
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from skipseg.models.errors import UsageError
from skipseg.service.dicom.listening.header import InstanceHeader
from skipseg.service.dicom.nodes import NodeName
from skipseg.service.jobs.orders import Priority, SegmentOrder

PATTERN_S = 0.5  # that one pattern may take on one description

Words = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


class PatternTooSlow(Exception):
    """A pattern could not be decided in time; no later rule may be taken instead."""


@dataclass(frozen=True)
class Series:
    """What rules ask about."""

    header: InstanceHeader
    sender: str
    instances: int


class Rule(BaseModel):
    """Conditions, all of which must hold, and what is then done; a condition that is not given always holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")
    modality: Words = ()
    series_description: str | None = Field(None, max_length=500)  # a regular expression; capitals do not matter
    body_part: Words = ()
    sender: Words = Field((), alias="from")
    at_least: int = Field(1, ge=1)  # instances
    ignore: bool = False
    model: str | None = Field(None, max_length=80)
    send_to: NodeName | None = None
    format: str | None = None
    geometry: Literal["strict", "resample"] = "strict"
    priority: Priority = "normal"

    @field_validator("series_description")
    @classmethod
    def _pattern_is_one(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"series_description is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _does_one_thing(self) -> Rule:
        if self.ignore == (self.model is not None):
            raise ValueError("a rule names a model, or says ignore = true")
        return self

    def matches(self, series: Series) -> bool:
        """Raises ``PatternTooSlow``; to be called in the main thread, whose clock bounds patterns."""
        header = series.header
        return (
            _is_one_of(header.modality, self.modality)
            and _is_one_of(header.body_part, self.body_part)
            and (not self.sender or series.sender in self.sender)
            and series.instances >= self.at_least
            and (self.series_description is None or _found(self.series_description, header.description))
        )

    def order(self, upload: str) -> SegmentOrder:
        """What is ordered for a series that was uploaded; raises ``UsageError`` for what no order can say."""
        asked = {"model": self.model, "format": self.format, "send_to": self.send_to, "priority": self.priority}
        given = {name: value for name, value in asked.items() if value is not None}
        geometry = {} if self.geometry == "strict" else {"geometry": self.geometry}
        try:
            return SegmentOrder.model_validate({"kind": "segment", "inputs": {"upload": upload}, **given, **geometry})
        except ValidationError as error:
            raise UsageError(f"the rule {self.name!r} cannot be ordered: {error.errors()[0]['msg']}") from None


class Rules(BaseModel):
    """A file of rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _names_differ(self) -> Rules:
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError("each rule needs a name of its own")
        return self

    @classmethod
    def read(cls, path: Path) -> Rules:
        """Raises ``UsageError`` for a file that is not there, or holds something else."""
        try:
            text = path.read_text()
            found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
            return cls.model_validate(found)
        except OSError as error:
            raise UsageError(f"the file of rules cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UsageError(f"the file of rules is not valid at {where}: {first['msg']}") from None
        except ValueError as error:  # of JSON, TOML and text
            raise UsageError(f"the file of rules is no TOML (or JSON, where it is called so): {error}") from None

    def rule_for(self, series: Series) -> Rule | None:
        """The first that matches; raises ``PatternTooSlow``."""
        return next((rule for rule in self.rules if rule.matches(series)), None)


def _is_one_of(value: str, words: tuple[str, ...]) -> bool:
    return not words or value.casefold() in {word.casefold() for word in words}


def _found(pattern: str, text: str) -> bool:
    with _in_time():
        return re.search(pattern, text, re.IGNORECASE) is not None


@contextmanager
def _in_time() -> Iterator[None]:
    """Python's expressions look for signals while they search, which is the only way to interrupt one."""
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, PATTERN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise PatternTooSlow
