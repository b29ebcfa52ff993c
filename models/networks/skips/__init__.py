"""Every kind of skip across the U, by the name that `--skip` and recipes know it by. A new kind: a file and a line."""

from __future__ import annotations

from skipseg.models.networks.skips.add import Add
from skipseg.models.networks.skips.attention import AttentionGate
from skipseg.models.networks.skips.concat import Concat
from skipseg.models.networks.skips.cut import Cut
from skipseg.models.networks.skips.join import Join

SKIPS: dict[str, type[Join]] = {
    "concat": Concat,
    "add": Add,
    "attention": AttentionGate,
    "none": Cut,
}
