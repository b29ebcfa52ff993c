"""OpenVINO on processors: it fuses what torch does one after the other, and knows the same number formats."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipseg.models.inference.backends.backend import Unusable
from skipseg.models.precision import Precision

HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
CONVERTING = Lock()  # tracing, the filter of warnings and the core belong to the whole process


class OpenVINO:
    """The network converted and compiled for single tiles of ``shape`` (channels, *tile); nothing is left on disk.

    Raises ``Unusable`` where OpenVINO is not installed or cannot convert the network. Its weights are its own: the
    network can go.
    """

    name: str = "openvino"

    def __init__(self, network: nn.Module, shape: tuple[int, ...], precision: Precision) -> None:
        self.device = torch.device("cpu")
        self.precision = precision
        self.batch = 1
        openvino = without_telemetry()
        try:
            with CONVERTING:
                model = _converted(network, torch.zeros(1, *shape))
                core = _core(openvino)
            compiled = core.compile_model(model, "CPU", _configuration(precision))
        except Exception as error:  # other people's code, and torch can do what it cannot
            raise Unusable(f"openvino cannot convert this network ({type(error).__name__})") from error
        if compiled.get_property("INFERENCE_PRECISION_HINT") != getattr(openvino.Type, HINTS[precision]):
            raise Unusable(f"openvino does not multiply {precision} on this processor")
        self._tensor = openvino.Tensor
        self._request = compiled.create_infer_request()

    def __call__(self, tiles: Tensor) -> Tensor:
        taken = tiles.detach().float().contiguous().numpy()
        self._request.set_input_tensor(self._tensor(taken, shared_memory=True))
        self._request.infer()
        return torch.from_numpy(self._request.get_output_tensor().data)


def without_telemetry() -> ModuleType:
    """OpenVINO's module; raises ``Unusable`` where there is none.

    Importing it alone would report to its makers and write to the user's home. It does neither where the package that
    does so is missing, so to this process it is.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python spells "cannot be imported"
    try:
        openvino = import_module("openvino")
        from openvino.tools.ovc import telemetry_utils
    except ImportError:
        raise Unusable("openvino is not installed, or not for this machine") from None
    if telemetry_utils.tm.__name__ != "openvino.tools.ovc.telemetry_stub":
        raise Unusable("openvino is in use by other code of this process, with its telemetry")
    return openvino


@cache
def _core(openvino: ModuleType) -> Any:
    """The one core of this process, which is never let go; to be asked for under ``CONVERTING``.

    OpenVINO gives the thread that first compiles a stack for signals of its own, and frees it with its core on
    whatever thread that happens: the next Ctrl-C would kill the process in the middle of what it writes.
    """
    return openvino.Core()


def _converted(network: nn.Module, tile: Tensor) -> Any:
    """OpenVINO's model of a network for inputs like ``tile``; not by ``convert_model``, which prints and reports."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that sizes become constants, which is what is wanted
        traced = torch.jit.trace(network, tile, check_trace=False)
    # held, since the frontend does not keep it alive; unshared, since the network may go and its memory with it
    decoder = TorchScriptPythonDecoder(traced, example_input=tile, shared_memory=False)
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    model.reshape(list(tile.shape))
    return model


def _configuration(precision: Precision) -> dict[str, Any]:
    """Threads are not pinned: other servers may share the machine, and would all be pinned to its first cores."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,
    }
