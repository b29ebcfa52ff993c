"""Which DICOM series of a study the channels of a plan are."""

from __future__ import annotations

from dataclasses import replace

from skipseg.models.plan import Plan
from skipseg.models.scans.dicom.choice import SeriesChoice, SeriesRule


def with_rules(choice: SeriesChoice, plan: Plan) -> SeriesChoice:
    """A choice, with what the plan says of its channels."""
    return replace(choice, rules=tuple(SeriesRule(channel.modality, channel.description) for channel in plan.channels))
