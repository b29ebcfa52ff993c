"""How much a device is asked for: every constant that trades size for steps, in one place.

A size is worth its time only when enough steps of it fit into the budget; below that a smaller one, which learns from
more batches, is taken. `benchmarks/training.md` has what was measured.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SMALLEST_BATCH = 2
LARGEST_BATCH = 16
MEMORY_SHARE = 0.7  # of what is free that training may take
STEM_PATCH = 3.0  # times the voxels, where a stem halves the grid: three times the sight for less than half the time
# Share of a median scan that a patch sees: below the first, sight is worth more than fine voxels; below the second
# even behind a stem, and the voxels themselves are made coarser. A patch of a picture is 256 pixels wide, and little
# lies further apart; one of a volume is 64.
POOR_SIGHT = {2: 1 / 16, 3: 1 / 3}
NEAR_SIGHT = {2: 1 / 64, 3: 1 / 8}
STEPS_FOR_FINE = 6.0  # times more must fit in for a finer grid, where a patch of it sees little: a judgement
# Dice of a label with itself on the coarser grid: less, and it is too thin for one. Lines of 3 pixels keep 0.80, of 6
# pixels 0.90; balls 6 voxels across 0.81, 12 across 0.88.
KEPT_BY_COARSER = {2: 0.90, 3: 0.83}
WILD = 2.0  # times the deviation without the outermost percent of values: then these decide what is seen of the rest
WORTH_LOOKING = 500  # steps: what sees poorly needs `STEPS_FOR_FINE` times at least these
PROBE_SHARE, PROBE_SECONDS = 0.02, 20.0  # of the budget, and at most, that goes into timing steps
PROBE_FROM_MINUTES = 2.0  # shorter budgets have no time to lose on it


class Effort(BaseModel):
    """One size of training: its largest patch, its batch, its widths, and how many steps make it worth while."""

    model_config = ConfigDict(frozen=True)

    name: str
    patch_voxels: dict[int, int]  # largest patch by dimensions
    batch_voxels: dict[int, int]  # in one step; 0: the smallest batch
    widths: dict[int, tuple[int, ...]]
    enough_steps: int

    def patches(self, dimensions: int, voxels: float) -> int:
        """Patches a step, of so many voxels each."""
        return min(max(round(self.batch_voxels[dimensions] / voxels), SMALLEST_BATCH), LARGEST_BATCH)


# On a CPU of two cores a step of the standard size takes 0.6 s (hippocampus) to 1.4 s (brain tumours). Half the batch
# and twice the steps, in about the same time, taught hippocampus no worse (Dice 0.888 and 0.886 on development cases):
# the standard size waits until the light one would have well above a thousand steps.
CPU = Effort(
    name="standard",
    patch_voxels={2: 256**2, 3: 64**3},
    batch_voxels={2: 4 * 256**2, 3: 4 * 40 * 56 * 40},
    widths={2: (24, 64, 128, 256, 320, 320), 3: (16, 48, 128, 256, 320, 320)},
    enough_steps=800,
)
# Twice the features cost two to three times the time; they have to be many steps from the end of what the standard
# size learns, for which there is no measurement: a judgement.
LARGE_CPU = Effort(
    name="large",
    patch_voxels={2: 384**2, 3: 80**3},
    batch_voxels=CPU.batch_voxels,
    widths={2: (32, 64, 128, 256, 512, 512), 3: (32, 64, 128, 256, 320, 320)},
    enough_steps=4000,
)
LIGHT_CPU = CPU.model_copy(update={"name": "light", "batch_voxels": {2: 0, 3: 0}, "enough_steps": 250})
SMALL_CPU = Effort(
    name="small",
    patch_voxels={2: 192**2, 3: 48**3},
    batch_voxels={2: 0, 3: 0},
    widths={2: (16, 32, 64, 128, 256, 256), 3: (12, 32, 64, 128, 160, 160)},
    enough_steps=100,
)

# A GPU's standard sizes follow nnU-Net's (Isensee 2021).
GPU = Effort(
    name="standard",
    patch_voxels={2: 512**2, 3: 128**3},
    batch_voxels={2: 12 * 512**2, 3: 2 * 128**3},
    widths={2: (32, 64, 128, 256, 512, 512, 512), 3: (32, 64, 128, 256, 320, 320)},
    enough_steps=1000,
)
LIGHT_GPU = Effort(
    name="light",
    patch_voxels={2: 384**2, 3: 96**3},
    batch_voxels={2: 6 * 384**2, 3: 2 * 96**3},
    widths=GPU.widths,
    enough_steps=500,
)
SMALL_GPU = CPU.model_copy(update={"name": "small", "enough_steps": 100})

# From the largest to the smallest. When none gets enough steps, the last is taken.
LADDERS: dict[str, tuple[Effort, ...]] = {
    "cpu": (LARGE_CPU, CPU, LIGHT_CPU, SMALL_CPU),
    "cuda": (GPU, LIGHT_GPU, SMALL_GPU),
}
HURRIED: dict[str, tuple[Effort, ...]] = {"cpu": (LIGHT_CPU, SMALL_CPU), "cuda": LADDERS["cuda"]}


def standard(device: str) -> Effort:
    """What a kind of device does when nothing is known of time."""
    return CPU if device == "cpu" else GPU
