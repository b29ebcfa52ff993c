"""A MONAI bundle as a bundle of ours, if every part of it is understood; else it is refused by the part that is not.

Its files are plain data here: no expression in them is evaluated and no class looked up, and weights are safetensors
alone. Only what our own export writes is understood: what is read is made into a plan, what the export would write of
that plan is written again, and both must be the same. So nothing of a configuration is ever overlooked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isclose
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skipseg.models.bundle import MANIFEST, Bundle, BundleManifest, TrainingRecord, save_bundle
from skipseg.models.errors import BundleError
from skipseg.models.exports.monai_transforms import inferer, postprocessing, preprocessing, what_has_no_transform
from skipseg.models.imports.monai_network import recipe_of, state_of
from skipseg.models.labels import Labels
from skipseg.models.plan import Channel, Plan

METADATA, INFERENCE = Path("configs", "metadata.json"), Path("configs", "inference.json")
MOST_BYTES = 2**20  # of a configuration
UNKNOWN = "unknown: imported from a MONAI bundle"


def as_bundle(folder: Path, aside: Path) -> Path:
    """A bundle's folder as it is; a MONAI bundle's as a bundle in the folder ``aside``. Raises ``BundleError``."""
    return import_monai_bundle(folder, aside).folder if is_monai_bundle(folder) else folder


def is_monai_bundle(folder: Path) -> bool:
    """Whether a folder is laid out as one."""
    return (folder / METADATA).is_file() and not (folder / MANIFEST).is_file()


def import_monai_bundle(folder: Path, out: Path) -> Bundle:
    """Write a MONAI bundle as a bundle; raises ``BundleError`` that names the first part that is not understood."""
    metadata, config = _read(folder / METADATA), _read(folder / INFERENCE)
    try:
        plan, labels = _plan(metadata, config), _labels(metadata, config)
        _check_all_is_understood(config, plan, labels)
        return save_bundle(
            out,
            state_of(folder / "models" / "model.safetensors", plan, _arguments(config)),
            _card,
            name=metadata["name"],
            task=metadata["task"],
            licence=metadata["copyright"],
            labels=labels,
            plan=plan,
            training=_training(),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(
            f"the MONAI bundle makes no plan at {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"the MONAI bundle lacks what a plan needs, or has it in another shape: {error!r}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BundleError(f"{path.name} is longer than {MOST_BYTES:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BundleError(f"a MONAI bundle has configs/{path.name}, as JSON; it is missing or no JSON") from None
    if not isinstance(found, dict):
        raise BundleError(f"configs/{path.name} must hold a JSON object")
    return found


def _plan(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Plan:
    recipe = recipe_of(_arguments(config))
    steps = {step["_target_"]: step for step in config["preprocessing"]["transforms"]}
    names = metadata["network_data_format"]["inputs"]["image"]["channel_def"]
    return Plan(
        dimensions=recipe.dimensions,
        channels=tuple(_channel(names[str(number)], steps) for number in range(len(names))),
        orientation=steps["Orientationd"]["axcodes"] if "Orientationd" in steps else None,
        spacing=tuple(steps["Spacingd"]["pixdim"]) if "Spacingd" in steps else None,
        tile=tuple(config["inferer"]["roi_size"]),
        overlap=config["inferer"]["overlap"],
        network=recipe,
    )


def _channel(name: str, steps: Mapping[str, Any]) -> Channel:
    if "ScaleIntensityRanged" not in steps:
        return Channel(name=name)
    step = steps["ScaleIntensityRanged"]
    std = (step["a_max"] - step["a_min"]) / (step["b_max"] - step["b_min"])
    mean = step["a_min"] - step["b_min"] * std
    return Channel(name=name, normalisation="fixed", low=step["a_min"], high=step["a_max"], mean=mean, std=std)


def _labels(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Labels:
    names = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    last = config["postprocessing"]["transforms"][-1]
    values = last["target_labels"] if last["_target_"] == "MapLabelValued" else range(len(names))
    return Labels.from_names({value: names[str(number)] for number, value in enumerate(values)})


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    return dict(config["network_def"])


def _check_all_is_understood(config: Mapping[str, Any], plan: Plan, labels: Labels) -> None:
    """Raises ``BundleError`` for the first part that the export would not have written in the same way."""
    if (reason := what_has_no_transform(plan)) is not None:
        raise BundleError(f"the MONAI bundle asks for {reason}, which is not read from one")
    expected = {
        "inferer": inferer(plan),
        "preprocessing": preprocessing(plan),
        "postprocessing": postprocessing(labels),
    }
    for part, wanted in expected.items():
        if not _same(config[part], wanted):
            raise BundleError(
                f"{part} of the MONAI bundle does something that is not understood; expected {json.dumps(wanted)}"
            )


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_same(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(wanted, float) and isinstance(found, float | int) and not isinstance(found, bool):
        return isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return type(found) is type(wanted) and bool(found == wanted)


def _training() -> TrainingRecord:
    return TrainingRecord(
        dataset=UNKNOWN,
        dataset_sha256=UNKNOWN,
        cases=(),
        validation_cases=(),
        seed=0,
        steps=0,
        minutes=0,
        device=UNKNOWN,
        precision=UNKNOWN,
    )


def _card(manifest: BundleManifest) -> str:
    return f"""# {manifest.name}

{manifest.task}

Imported from a MONAI bundle. What it was trained on is not known here: cases that it learned from cannot be told apart
from others, so figures on your own cases count only if you know that it has not seen them.

## Licence

{manifest.licence}
"""
