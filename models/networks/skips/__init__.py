"""Kinds of skips across the U. A new one is a file here and its line below (CONTRIBUTING.md)."""

from skipseg.models.networks.skips import add as add
from skipseg.models.networks.skips import attention as attention
from skipseg.models.networks.skips import concat as concat
from skipseg.models.networks.skips import cut as cut
from skipseg.models.networks.skips.join import SKIPS as SKIPS
from skipseg.models.networks.skips.join import KindOfSkip as KindOfSkip
