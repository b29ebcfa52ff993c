"""A MONAI bundle (the specification of Project MONAI, version 1.6) of a trained model.

configs/metadata.json        what MONAI's schema asks for
configs/inference.json       ``network_def``, ``inferer``; ``preprocessing`` and ``postprocessing`` where MONAI's
                             transforms do what the plan says
models/model.pt              the state dict: ``monai.bundle.load`` reads nothing else; only written here, never read
models/model.safetensors     the same numbers in a file that cannot hold code
docs/README.md, plan.json    the card; the plan and the labels
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from skipseg.models.bundle import CARD, Bundle
from skipseg.models.exports.described import Described
from skipseg.models.exports.monai_network import MonaiNetwork, monai_network
from skipseg.models.exports.monai_transforms import inferer, postprocessing, preprocessing, what_has_no_transform

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
VERSION = "1.0.0"
TENSOR = {"type": "image", "dtype": "float32", "value_range": [], "is_patch_data": True}


def write_monai_bundle(bundle: Bundle, folder: Path) -> None:
    """Raises ``BundleError`` when the network, read back, would answer otherwise than the bundle's."""
    network = monai_network(bundle)
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    _write(folder / "configs" / "metadata.json", metadata(bundle, network))
    _write(folder / "configs" / "inference.json", inference(bundle, network))
    torch.save(network.state, folder / "models" / "model.pt")
    save_file(network.state, folder / "models" / "model.safetensors")
    (folder / "models" / "model.safetensors").chmod(0o644)  # safetensors makes it its owner's alone
    shutil.copy(bundle.folder / CARD, folder / "docs" / "README.md")
    Described.of(bundle).write(folder / "docs")


def metadata(bundle: Bundle, network: MonaiNetwork) -> dict[str, Any]:
    """``metadata.json``."""
    manifest, plan = bundle.manifest, bundle.plan
    needed = {} if network.is_monais_own else {"skipseg": version("skipseg")}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "changelog": {VERSION: f"exported by skipseg; its weights have the sha256 {manifest.weights_sha256}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"nibabel": version("nibabel"), **needed},
        "optional_packages_version": {},
        "name": manifest.name,
        "task": manifest.task,
        "description": manifest.task,
        "authors": "see docs/README.md",
        "copyright": f"licence of the weights: {manifest.licence}",
        "data_source": manifest.training.dataset,
        "eval_metrics": {name: value for name, value in manifest.metrics.items() if value is not None},
        "intended_use": "Not a medical device; see docs/README.md",
        "network_data_format": {
            "inputs": {"image": _tensor(plan.tile, [channel.name for channel in plan.channels], format="magnitude")},
            "outputs": {"pred": _tensor(plan.tile, [one.name for one in manifest.labels.all], format="segmentation")},
        },
        "skipseg": {"left_out": what_has_no_transform(plan)},
    }


def inference(bundle: Bundle, network: MonaiNetwork) -> dict[str, Any]:
    """``inference.json``."""
    whole_way = {"preprocessing": preprocessing(bundle.plan), "postprocessing": postprocessing(bundle.labels)}
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "checkpoint": "$@bundle_root + '/models/model.pt'",
        "network_def": network.definition,
        "network": "$@network_def.to(@device).eval()",
        "weights": "$@network.load_state_dict(torch.load(@checkpoint, map_location=@device, weights_only=True))",
        "inferer": inferer(bundle.plan),
        **({} if what_has_no_transform(bundle.plan) else whole_way),
    }


def _tensor(tile: tuple[int, ...], channels: list[str], format: str) -> dict[str, Any]:
    return {
        **TENSOR,
        "format": format,
        "modality": "n/a",
        "num_channels": len(channels),
        "spatial_shape": list(tile),
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
