"""Intensity augmentation of a batch, in torch, on whichever device the batch is on.

The kinds and ranges follow nnU-Net (Isensee 2021, supplementary note 4): noise, blur, brightness, contrast, low
resolution, gamma.
Images are normalised, so a value of 1 is one standard deviation of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skipseg.models.resample import resample


@dataclass(frozen=True)
class IntensitySettings:
    """The share of samples that each change is applied to."""

    noise: float = 0.1
    blur: float = 0.1
    brightness: float = 0.15
    contrast: float = 0.15
    low_resolution: float = 0.1
    gamma: float = 0.2


def augment(images: Tensor, settings: IntensitySettings, chance: torch.Generator) -> Tensor:
    """A changed copy of images (N, C, *spatial); ``chance`` is a generator on the CPU."""
    return torch.stack([_augment_one(image, settings, chance) for image in images])


def _augment_one(image: Tensor, settings: IntensitySettings, chance: torch.Generator) -> Tensor:
    def happens(share: float) -> bool:
        return _uniform(0, 1, chance) < share

    if happens(settings.noise):
        strength = _uniform(0, 0.3, chance)
        image = image + strength * _noise(image, chance)
    if happens(settings.blur):
        image = blur(image, _uniform(0.5, 1.0, chance))
    if happens(settings.brightness):
        image = image * _uniform(0.75, 1.25, chance)
    if happens(settings.contrast):
        image = contrast(image, _uniform(0.75, 1.25, chance))
    if happens(settings.low_resolution):
        image = low_resolution(image, _uniform(0.5, 1.0, chance))
    if happens(settings.gamma):
        image = gamma(image, _uniform(0.7, 1.5, chance), inverted=happens(0.5))
    return image


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of (C, *spatial) with ``sigma`` in voxels, radius two."""
    bell = torch.exp(-0.5 * (torch.arange(-2, 3) / sigma) ** 2)
    weights = (bell / bell.sum()).tolist()
    for axis in range(1, image.ndim):
        last = image.shape[axis] - 1
        at = torch.arange(image.shape[axis], device=image.device)
        image = sum(
            (
                weight * image.index_select(axis, (at + shift).clamp(0, last))
                for shift, weight in zip(range(-2, 3), weights, strict=True)
            ),
            start=torch.zeros_like(image),
        )
    return image


def contrast(image: Tensor, factor: float) -> Tensor:
    """Stretch each channel about its mean, within its own range."""
    axes = tuple(range(1, image.ndim))
    mean = image.mean(axes, keepdim=True)
    return ((image - mean) * factor + mean).clamp(image.amin(axes, keepdim=True), image.amax(axes, keepdim=True))


def low_resolution(image: Tensor, zoom: float) -> Tensor:
    """What a scanner with voxels ``1 / zoom`` times as long would have seen."""
    return resample(resample(image, [max(round(side * zoom), 1) for side in image.shape[1:]]), image.shape[1:])


def gamma(image: Tensor, exponent: float, inverted: bool) -> Tensor:
    """A power law over each channel's range that keeps its mean and standard deviation."""
    axes = tuple(range(1, image.ndim))
    turned = -image if inverted else image
    low, span = (
        turned.amin(axes, keepdim=True),
        (turned.amax(axes, keepdim=True) - turned.amin(axes, keepdim=True)).clamp_min(1e-6),
    )
    bent = ((turned - low) / span).pow(exponent)
    spread = bent.std(axes, keepdim=True).clamp_min(1e-6)
    bent = (bent - bent.mean(axes, keepdim=True)) / spread * turned.std(axes, keepdim=True) + turned.mean(
        axes, keepdim=True
    )
    return -bent if inverted else bent


def _noise(image: Tensor, chance: torch.Generator) -> Tensor:
    """Standard normal numbers made on the image's own device."""
    seed = int(torch.randint(2**62, (), generator=chance))
    return torch.randn(image.shape, generator=torch.Generator(image.device).manual_seed(seed), device=image.device)


def _uniform(low: float, high: float, chance: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=chance))
