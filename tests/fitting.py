"""A small fit for tests of the loop, also as a program of its own: ``python fitting.py FOLDER STEPS WAY...``."""

import sys
from pathlib import Path

import numpy as np
import torch
from bundles import small_recipe
from safetensors.torch import save_file

from skipseg.models.networks.recipes import build
from skipseg.training.fitting import fit as module
from skipseg.training.fitting.cache import CachedCase
from skipseg.training.fitting.fit import Fit, FitSettings
from skipseg.training.fitting.parallel import join
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.fitting.tracking import HISTORY, HistoryFile

CPU = torch.device("cpu")


def cubes(count=6, side=16, dimensions=3):
    """Cases in which a bright cube (2D: a square) somewhere is the label."""
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        classes = np.zeros((side,) * 3, np.uint8)
        x, y, z = chance.integers(2, 8, 3)
        classes[x : x + 6, y : y + 6, z : z + 6] = 1
        image = (classes + chance.normal(0, 0.3, classes.shape)).astype(np.float16)
        found.append(CachedCase(image[None], classes, (np.argwhere(classes).astype(np.int32),)))
    return found


def make_fit(folder, budget, cases=None, batch=2, dimensions=3, team=None, settings=None, **more):
    """A fit of a network of about two thousand weights, the same for every team."""
    torch.manual_seed(0)
    rank, world = (team.rank, team.world) if team else (0, 1)
    patch = (16,) * dimensions
    sampler = PatchSampler(cases or cubes(), patch, batch, 0, SpatialSettings(), CPU, rank, world)
    network = build(small_recipe(dimensions, 1, 2))
    settings = settings or FitSettings(whole_batch_dice=dimensions == 2)
    checkpoint = folder / "checkpoint.safetensors"
    return Fit(network, sampler, budget, settings, CPU, "fp32", checkpoint, team=team, **more)


def main():
    """Fit in ``FOLDER/WAY``; a way is ``3d``, ``2d`` or ``sharded``. Two patches a step, whatever the processes."""
    folder, steps, *ways = sys.argv[1:]
    module.CHECKPOINT_SECONDS = 0.0
    for way in ways:
        place = Path(folder) / way
        team = join(CPU, sharded=way == "sharded")
        with team.leader_first():
            place.mkdir(exist_ok=True)
        trackers = [HistoryFile(place / HISTORY, print)] if team.leads else []
        dimensions = 2 if way == "2d" else 3
        budget = Budget(steps=int(steps))
        fitted = make_fit(
            place, budget, batch=2 // team.world, dimensions=dimensions, team=team, trackers=trackers
        ).run()
        if team.leads:
            weights = {name: values.contiguous() for name, values in fitted.weights.items()}
            save_file(weights, place / "fitted.safetensors")
        team.wait()


if __name__ == "__main__":
    main()
