"""What can be set, and where it is set: the command line, then ``SKIPSEG_*``, then a TOML file, then the default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from skipseg.models.errors import UsageError
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits

PREFIX = "SKIPSEG_"
FILE_VARIABLE = "SKIPSEG_SETTINGS_FILE"


class Settings(BaseSettings):
    """The settings of a server; each is described in docs/settings.md (a test compares)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data: Path = Field(
        default_factory=lambda: user_data_path("skipseg", appauthor=False),
        description="Folder of everything that is kept: the registry of models is its folder `models`.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. There are no API keys yet, so only loopback addresses are allowed.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$",
        description="Where networks run: `cpu`, `cuda`, `cuda:1`, or `auto` (the first GPU when there is one).",
    )
    precision: Literal["exact", "fast"] = Field(
        default="fast",
        description="`exact`: fp32 throughout. `fast`: bf16 where the hardware multiplies it natively, on the fastest "
        "backend that passes its self-test.",
    )
    scan_memory: int = Field(
        default=0,
        ge=0,
        description="Most bytes of memory that scans under way may take together; a scan waits until it fits. "
        "0: half of what is free when the server starts.",
    )
    model_memory: int = Field(
        default=0,
        ge=0,
        description="Most bytes of memory that models may take together; the one used longest ago leaves when another "
        "must come in. 0: half of what a GPU has free when the server starts, a quarter of what a processor has.",
    )
    max_upload_bytes: int = Field(
        default=DEFAULT_LIMITS.file_bytes, ge=1, description="Most bytes of one request, all of its parts together."
    )
    max_archive_bytes: int = Field(
        default=32 * 2**30, ge=1, description="Most bytes of one upload for later calls (`POST /v1/uploads`)."
    )
    max_model_bytes: int = Field(
        default=8 * 2**30, ge=1, description="Most bytes of one uploaded model (`POST /v1/models`), unpacked too."
    )
    max_voxels: int = Field(
        default=DEFAULT_LIMITS.voxels, ge=1, description="Most voxels of one scan, all of its channels together."
    )
    max_channels: int = Field(
        default=DEFAULT_LIMITS.channels, ge=1, description="Most channels, and so most parts, of one scan."
    )
    queue_size: int = Field(
        default=16,
        ge=1,
        description="Most scans between upload and answer; a further one is told 429 and when to come back.",
    )
    threads: int = Field(
        default_factory=lambda: min(4, max(2, os.cpu_count() or 2)),
        ge=1,
        description="Threads that decode, preprocess and write scans, beside the one that owns the device.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important log lines to write; every request is one line at `info`. "
        "Where the server listens is written at every level.",
    )

    @property
    def limits(self) -> Limits:
        """Bounds on one scan."""
        return Limits(file_bytes=self.max_upload_bytes, voxels=self.max_voxels, channels=self.max_channels)

    @property
    def uploads(self) -> Path:
        """The folder of what was uploaded for later calls."""
        return self.data / "uploads"

    @property
    def registry(self) -> Path:
        """The folder of the model registry."""
        return self.data / "models"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(FILE_VARIABLE)
        return (init_settings, env_settings, *([TomlConfigSettingsSource(settings_cls, Path(file))] if file else []))


def load_settings(**given: object) -> Settings:
    """The settings with those that the command line gave (None: not given) on top; raises ``UsageError``."""
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise UsageError(f"{FILE_VARIABLE} must name a TOML file; there is no file at {file}")
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"the setting {'.'.join(map(str, first['loc']))} is not valid: {first['msg']}") from None
    except (SettingsError, ValueError) as error:
        raise UsageError(f"the settings cannot be read: {error}") from None
