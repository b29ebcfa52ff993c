"""A plan as MONAI's transforms, as far as they do the same: what happens before the network and after it."""

from __future__ import annotations

from typing import Any

from skipseg.models.labels import Labels
from skipseg.models.plan import Plan

Config = dict[str, Any]
SIGMA = 0.125  # of the tile, as in inference/tiles.py


def inferer(plan: Plan) -> Config:
    """Overlapping tiles under Gaussian weights, as ours are blended."""
    windows = {"roi_size": list(plan.tile), "overlap": plan.overlap, "mode": "gaussian", "sigma_scale": SIGMA}
    if plan.dimensions == 2:
        return {"_target_": "SliceInferer", "spatial_dim": 2, "sw_batch_size": 1, **windows}
    return {"_target_": "SlidingWindowInferer", "sw_batch_size": 1, **windows}


def what_has_no_transform(plan: Plan) -> str | None:
    """The first choice of a plan that MONAI's transforms would not follow; None: they follow all of them."""
    first = plan.channels[0]
    if plan.dimensions == 2 and plan.spacing is not None:
        return "slices that are resampled"
    if plan.crop_to_content:
        return "cropping to the content of a scan (crop_to_content)"
    if plan.cleanup:
        return "mending of masks (cleanup)"
    if any(channel.clip_percent is not None for channel in plan.channels):
        return "clipping to percentiles (clip_percent)"
    if any(channel.model_copy(update={"name": first.name}) != first for channel in plan.channels):
        return "channels that are normalised in different ways"
    return None


def preprocessing(plan: Plan) -> Config:
    """From files to the network's grid; a list of files is a scan of several channels."""
    steps: list[Config] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
    ]
    if plan.orientation is not None:
        steps.append({"_target_": "Orientationd", "keys": "image", "axcodes": plan.orientation})
    steps.append(_intensity(plan))
    if plan.spacing is not None:
        steps.append({"_target_": "Spacingd", "keys": "image", "pixdim": list(plan.spacing), "mode": "bilinear"})
    return {"_target_": "Compose", "transforms": steps}


def postprocessing(labels: Labels) -> Config:
    """From logits to the labels' values on the scan's own grid: probabilities are taken back, then the largest wins."""
    steps: list[Config] = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    if list(labels.values) != list(range(len(labels))):
        mapped = {"orig_labels": list(range(len(labels))), "target_labels": list(labels.values)}
        steps.append({"_target_": "MapLabelValued", "keys": "pred", **mapped})
    return {"_target_": "Compose", "transforms": steps}


def _intensity(plan: Plan) -> Config:
    channel = plan.channels[0]
    if channel.normalisation == "zscore":
        return {"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True}
    low, high = ((value - channel.mean) / channel.std for value in (channel.low, channel.high))
    return {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": channel.low,
        "a_max": channel.high,
        "b_min": low,
        "b_max": high,
        "clip": True,
    }
