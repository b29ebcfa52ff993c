"""Intensity augmentation of a batch, in torch, on whichever device the batch is on.

The kinds and ranges follow nnU-Net (Isensee 2021, supplementary note 4): noise, blur, brightness, contrast, low
resolution, gamma. Each is applied to the part of the batch that drew it, at once.
Images are normalised, so a value of 1 is one standard deviation of the scan.
"""

from __future__ import annotations

from collections.abc import Callable
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


def augment(
    images: Tensor, settings: IntensitySettings, chance: torch.Generator, rank: int = 0, world: int = 1
) -> Tensor:
    """A changed copy of images (N, C, *spatial); ``chance`` is a generator on the CPU.

    Of several processes that train together, each holds share ``rank`` of a batch of ``world * N``.
    """
    count, images = len(images), images.clone()
    mine = slice(rank * count, (rank + 1) * count)

    def some(share: float, change: Callable[..., Tensor], *ranges: tuple[float, float]) -> None:
        """Apply ``change(images, *parameters)`` to a share of the batch, its parameters drawn from ``ranges``."""
        drawn = torch.rand(1 + len(ranges), world * count, generator=chance)[:, mine]
        chosen = (drawn[0] < share).nonzero()[:, 0]
        if len(chosen):
            parameters = [low + (high - low) * drawn[i, chosen] for i, (low, high) in enumerate(ranges, start=1)]
            at = chosen.to(images.device)
            images[at] = change(images[at], *parameters)

    some(settings.noise, noise, (0.0, 0.3), (0.0, 2.0**24))
    some(settings.blur, blur, (0.5, 1.0))
    some(settings.brightness, brightness, (0.75, 1.25))
    some(settings.contrast, contrast, (0.75, 1.25))
    some(settings.low_resolution, low_resolution, (0.5, 1.0))
    some(settings.gamma, gamma, (0.7, 1.5), (-1.0, 1.0))
    return images


def noise(images: Tensor, strengths: Tensor, seeds: Tensor) -> Tensor:
    """Normal noise of ``strengths`` (N,), made on the images' own device from ``seeds`` (N,)."""
    grains = [
        torch.randn(image.shape, generator=torch.Generator(image.device).manual_seed(int(seed)), device=image.device)
        for image, seed in zip(images, seeds, strict=True)
    ]
    return torch.addcmul(images, torch.stack(grains), _each(strengths, images))


def blur(images: Tensor, sigmas: Tensor) -> Tensor:
    """Gaussian smoothing of (N, C, *spatial) with ``sigmas`` (N,) in voxels, radius two."""
    shifts = torch.arange(-2, 3)
    bells = torch.exp(-0.5 * (shifts / sigmas[:, None]) ** 2)
    weights = bells / bells.sum(1, keepdim=True)
    for axis in range(2, images.ndim):
        last = images.shape[axis] - 1
        at = torch.arange(images.shape[axis], device=images.device)
        smooth = torch.zeros_like(images)
        for shift, weight in zip(shifts.tolist(), weights.unbind(1), strict=True):
            smooth += images.index_select(axis, (at + shift).clamp(0, last)) * _each(weight, images)
        images = smooth
    return images


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Every value times its sample's factor."""
    return images * _each(factors, images)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Stretch each channel about its mean, within its own range."""
    axes = tuple(range(2, images.ndim))
    mean = images.mean(axes, keepdim=True)
    stretched = (images - mean) * _each(factors, images) + mean
    return stretched.clamp(images.amin(axes, keepdim=True), images.amax(axes, keepdim=True))


def low_resolution(images: Tensor, zooms: Tensor) -> Tensor:
    """What a scanner with voxels ``1 / zoom`` times as long would have seen."""
    return torch.stack([_low_resolution(image, float(zoom)) for image, zoom in zip(images, zooms, strict=True)])


def gamma(images: Tensor, exponents: Tensor, signs: Tensor) -> Tensor:
    """A power law over each channel's range, upside down where ``signs`` < 0, that keeps its mean and deviation."""
    axes = tuple(range(2, images.ndim))
    sign = _each(signs.sign() + (signs == 0), images)
    turned = images * sign
    low, high = turned.amin(axes, keepdim=True), turned.amax(axes, keepdim=True)
    bent = ((turned - low) / (high - low).clamp_min(1e-6)).pow(_each(exponents, images))
    spread, mean = bent.std(axes, keepdim=True).clamp_min(1e-6), bent.mean(axes, keepdim=True)
    kept = (bent - mean) / spread * turned.std(axes, keepdim=True) + turned.mean(axes, keepdim=True)
    return kept * sign


def _low_resolution(image: Tensor, zoom: float) -> Tensor:
    return resample(resample(image, [max(round(side * zoom), 1) for side in image.shape[1:]]), image.shape[1:])


def _each(values: Tensor, images: Tensor) -> Tensor:
    """One value a sample (N,), shaped and placed to be used on images (N, C, *spatial)."""
    return values.to(images).reshape(-1, *(1,) * (images.ndim - 1))
