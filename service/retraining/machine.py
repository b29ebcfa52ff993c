"""What a training may take of the machine it shares with a server."""

from __future__ import annotations

from dataclasses import dataclass

from skipseg.models.precision import Mode
from skipseg.service.retraining.tasks import Share
from skipseg.service.settings import Settings


@dataclass(frozen=True)
class Machine:
    """A training's share, and the precision in which the server segments: what is compared is what will answer."""

    share: Share
    precision: Mode = "fast"

    @classmethod
    def of(cls, settings: Settings) -> Machine:
        """As the server's settings say."""
        share = Share(
            device=settings.train_device,
            device_share=settings.train_device_share,
            memory=settings.train_memory,
            threads=settings.train_threads,
        )
        return cls(share, settings.precision)
