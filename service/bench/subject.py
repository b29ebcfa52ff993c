"""The network that everybody runs: one bundle on disk, so that all have the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from skipseg.models.bundle import Bundle, TrainingRecord, load_bundle, save_bundle
from skipseg.models.errors import UsageError
from skipseg.models.inference.backends.probe import probe
from skipseg.models.labels import Labels
from skipseg.models.networks.borrowed import DynUNetRecipe
from skipseg.models.networks.cost import cost
from skipseg.models.plan import Channel, Plan
from skipseg.service.bench.readings import Shape

SEED = 0


@dataclass(frozen=True)
class Subject:
    """A bundle of three dimensions, perhaps with another tile and overlap than its plan says.

    What the plan mends in masks is left out: everybody's are compared as the network makes them.
    """

    folder: Path
    tile: Shape | None = None
    overlap: float | None = None

    def open(self) -> Bundle:
        """The bundle as it is to be run; raises ``UsageError`` where a tile or an overlap does not fit."""
        bundle = load_bundle(self.folder)
        if bundle.plan.dimensions != 3:
            raise UsageError("the benchmarks need a model of three dimensions; this one has two")
        given = {"tile": self.tile, "overlap": self.overlap}
        chosen = {name: value for name, value in given.items() if value is not None}
        try:
            plan = Plan(**bundle.plan.model_dump() | chosen | {"cleanup": {}})
        except ValidationError as error:
            raise _misfit(error) from None
        return replace(bundle, manifest=bundle.manifest.model_copy(update={"plan": plan}))


def dynunet(widths: Sequence[int], classes: int) -> DynUNetRecipe:
    """nnU-Net's network: two convolutions of 3 a resolution, instance norm, halved along every axis."""
    steps = ((1, 1, 1), *((2, 2, 2),) * (len(widths) - 1))
    kernels = ((3, 3, 3),) * len(widths)
    return DynUNetRecipe(
        dimensions=3, channels=1, classes=classes, widths=tuple(widths), strides=steps, kernels=kernels
    )


def untrained(folder: Path, recipe: DynUNetRecipe, tile: Shape, overlap: float) -> Subject:
    """A bundle with random weights, always the same; raises ``UsageError`` for a tile the network cannot take."""
    try:
        plan = Plan(
            dimensions=3,
            channels=(Channel(name="noise"),),
            orientation=None,
            spacing=None,
            tile=tile,
            overlap=overlap,
            network=recipe,
        )
    except ValidationError as error:
        raise _misfit(error) from None
    torch.manual_seed(SEED)
    nothing = TrainingRecord(
        dataset="none",
        dataset_sha256="0" * 64,
        cases=(),
        validation_cases=(),
        seed=SEED,
        steps=0,
        minutes=0,
        device="cpu",
        precision="fp32",
    )
    save_bundle(
        folder,
        recipe.build().state_dict(),
        lambda manifest: f"# {manifest.name}\n\nRandom weights, for timing alone.\n",
        name="bench",
        task="nothing: its weights are random",
        labels=Labels.from_names({0: "background"} | {i: f"label {i}" for i in range(1, recipe.classes)}),
        plan=plan,
        training=nothing,
    )
    return Subject(folder)


def made_up_scan(channels: int, shape: Shape) -> torch.Tensor:
    """A normalised image (channels, X, Y, Z) of blobs and noise, always the same."""
    return probe((channels, *shape))[0]


def operations(bundle: Bundle) -> float:
    """Floating-point operations of one tile: a multiplication and an addition count as two."""
    return 2 * cost(bundle.plan.network, bundle.plan.tile).multiplications * bundle.manifest.members


def _misfit(error: ValidationError) -> UsageError:
    return UsageError(f"--tile and --overlap do not fit the network: {error.errors()[0]['msg']}")
