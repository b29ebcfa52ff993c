"""What can be set, and where it is set: the command line, then ``SKIPSEG_*``, then a TOML file, then the default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from skipseg.models.errors import UsageError
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.service.dicom.listening.settings import ListenerSettings
from skipseg.service.dicom.settings import DicomSettings
from skipseg.service.keys.addresses import is_origin, is_safe
from skipseg.service.keys.scopes import SCOPES, Scope

PREFIX = "SKIPSEG_"
FILE_VARIABLE = "SKIPSEG_SETTINGS_FILE"


def _words(given: object) -> object:
    """What the environment separates by commas, as a list."""
    return [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


def _own_names() -> dict[str, tuple[Scope, ...]]:
    return {f"skipseg:{scope}": (scope,) for scope in SCOPES}


class Settings(ListenerSettings, DicomSettings):
    """The settings of a server; each is described in docs/settings.md (a test compares)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data: Path = Field(
        default_factory=lambda: user_data_path("skipseg", appauthor=False),
        description="Folder of everything that is kept: the registry of models is its folder `models`.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. One that other machines reach needs an API key or an issuer.",
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
    min_free_bytes: int = Field(
        default=1 << 30,
        ge=0,
        description="Bytes that stay free on the disks of `SKIPSEG_DATA` and of uploads; an upload that would take "
        "them is told 507. 0: not looked at.",
    )
    requests_per_minute: int = Field(
        default=6000,
        ge=0,
        description="Most requests a minute with one key, all of them in one go if it was idle; a further one is told "
        "429 and when to come back. 0: no limit.",
    )
    concurrent_requests: int = Field(
        default=32, ge=0, description="Most requests with one key under way at once. 0: no limit."
    )
    hosts: Names = Field(
        default=(),
        description="Names, beside its address and loopback's, by which requests may call the server in the header "
        "`Host`, separated by commas. Empty, and listening where other machines reach it: any name.",
    )
    cors_origins: Names = Field(
        default=(),
        description="Origins, such as `https://viewer.example`, whose pages may use the server, separated by commas. "
        "Empty: none but its own.",
    )
    open_metrics: bool = Field(
        default=False, description="Whether `/metrics` answers those without a key, even when there are keys."
    )
    oidc_issuer: str = Field(
        default="",
        description="URL of the OpenID Connect issuer whose bearer tokens count beside keys. Empty: none.",
    )
    oidc_audience: str = Field(
        default="", description="What the claim `aud` of a token must name; needed with an issuer."
    )
    oidc_claim: str = Field(
        default="scope",
        description="The claim of a token that says what its bearer may do: words, or a list. Dots lead into claims "
        "inside claims, as in `realm_access.roles`.",
    )
    oidc_scopes: dict[str, tuple[Scope, ...]] = Field(
        default_factory=_own_names,
        description="JSON: which scopes each value of that claim stands for.",
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
    jobs_database: str = Field(
        default="",
        description="URL of the database of jobs, such as `postgresql://user:password@host/skipseg`; several machines "
        "may work on the jobs of one PostgreSQL database. Empty: SQLite in the data folder.",
    )
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that work on jobs under this server's supervision, begun with the first job. 0: none, "
        "which leaves jobs to `skipseg worker`.",
    )
    allowed_roots: tuple[Path, ...] = Field(
        default=(), description="Folders of this machine whose scans a job may name by path; none unless given."
    )
    max_items: int = Field(default=100_000, ge=1, description="Most scans of one job.")
    keep_results_days: float = Field(
        default=30.0, gt=0, description="Days after which an ended job is deleted with its results."
    )
    keep_uploads_days: float = Field(
        default=7.0, gt=0, description="Days after which an upload that no open job needs is deleted."
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret that messages to webhooks are signed with; without one no order may name a webhook.",
    )
    webhook_trusted_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that webhooks may name although their addresses are private, or without TLS."
    )
    train_device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$",
        description="Where trainings that are ordered over the API run: `cpu`, `cuda`, `cuda:1`, or `auto`.",
    )
    train_device_share: float = Field(
        default=0.5, gt=0, le=1, description="Share of a GPU's memory that a training may take."
    )
    train_memory: int = Field(
        default=0,
        ge=0,
        description="Most bytes of main memory that a training may take. 0: half of what is free when it starts.",
    )
    train_threads: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 2) // 2),
        ge=1,
        description="Threads of a training; it also has the lowest priority, so that serving comes first.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important log lines to write; every request is one line at `info`. "
        "Where the server listens is written at every level.",
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_whole(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [origin for origin in origins if not is_origin(origin)]:
            raise ValueError(f"an origin is scheme://host or scheme://host:port, and never *; got {wrong[0]}")
        return origins

    @model_validator(mode="after")
    def _issuer_is_safe(self) -> Settings:
        if self.oidc_issuer and not is_safe(self.oidc_issuer):
            raise ValueError("SKIPSEG_OIDC_ISSUER must be an https URL, or an http one of this machine")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError(
                "SKIPSEG_OIDC_AUDIENCE is needed with an issuer: its tokens for others must not count here"
            )
        return self

    @property
    def limits(self) -> Limits:
        """Bounds on one scan."""
        return Limits(file_bytes=self.max_upload_bytes, voxels=self.max_voxels, channels=self.max_channels)

    @property
    def uploads(self) -> Path:
        """The folder of what was uploaded for later calls."""
        return self.data / "uploads"

    @property
    def jobs(self) -> Path:
        """The folder of jobs: what they were given, and what they found."""
        return self.data / "jobs"

    @property
    def jobs_database_url(self) -> str:
        """The URL of the database of jobs."""
        return self.jobs_database or f"sqlite:///{(self.data / 'jobs.sqlite').absolute()}"

    @property
    def datasets(self) -> Path:
        """The folder of the datasets for retraining."""
        return self.data / "datasets"

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
