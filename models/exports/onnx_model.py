"""The network of one tile as ONNX, run once by ONNX Runtime and held to torch before it is believed.

model.onnx    image (1, channels, *tile) -> logits (1, classes, *tile); ``metadata_props`` say what plan.json says
plan.json     what happens before and after: turn, normalise, resample, tiles, what the classes mean
card.md       the bundle's
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skipseg.models.bundle import CARD, Bundle
from skipseg.models.errors import BundleError, UsageError
from skipseg.models.exports.described import Described
from skipseg.models.inference.backends.probe import TOLERANCE, difference, probe

MODEL = "model.onnx"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
MOST_BYTES = 2**31 - 2**20  # of one protobuf message, and some room for the graph


def write_onnx(bundle: Bundle, folder: Path) -> None:
    """Raises ``UsageError`` when ONNX is not installed, ``BundleError`` when the network does not survive it."""
    _check_installed()
    _check_size(bundle)
    network, tile = bundle.network(), probe((len(bundle.plan.channels), *bundle.plan.tile))
    described = Described.of(bundle)
    program = _translated(network, tile)
    program.model.metadata_props.update(_properties(described))
    program.save(folder / MODEL, external_data=False)
    hold_to_torch(folder / MODEL, network, tile)
    described.write(folder)
    shutil.copy(bundle.folder / CARD, folder)


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {', '.join(missing)}; install them with: pip install 'skipseg[export]'")


def _check_size(bundle: Bundle) -> None:
    count = 4 * bundle.manifest.members * bundle.plan.network.weights
    if count > MOST_BYTES:
        raise BundleError(f"an ONNX file holds at most 2 GiB; this model's weights take {count / 2**30:.3g} GiB")


def _translated(network: nn.Module, tile: Tensor) -> Any:
    with _quiet():
        try:
            program = torch.onnx.export(
                network, (tile,), dynamo=True, input_names=["image"], output_names=["logits"], verbose=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise BundleError(f"torch cannot write this network as ONNX: {str(error)[:300]}") from error
    assert program is not None  # dynamo gives one
    return program


def _properties(described: Described) -> dict[str, str]:
    return {
        "skipseg.name": described.name,
        "skipseg.licence": described.licence,
        "skipseg.weights_sha256": described.weights_sha256,
        "skipseg.labels": described.labels.model_dump_json(),
        "skipseg.plan": described.plan.model_dump_json(),
    }


def hold_to_torch(path: Path, network: nn.Module, tile: Tensor) -> None:
    """Raises ``BundleError`` when ONNX Runtime answers otherwise than torch does."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"image": tile.numpy()})
    with torch.inference_mode():
        apart = difference(torch.from_numpy(found), network(tile))
    if not apart <= TOLERANCE["fp32"]:
        raise BundleError(
            f"ONNX Runtime's answer lies {apart:.2%} off torch's, of {TOLERANCE['fp32']:.1%} allowed; it was not kept"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of torchvision, which is not there on purpose, and of its own deprecations."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
