"""CUDA graphs: the kernels of one pass recorded once and replayed, so that no launch waits for Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skipseg.models.inference.backends.backend import Backend, Unusable
from skipseg.models.inference.backends.batching import doublings, padded_run

WARM_UPS = 3  # passes before recording: cuDNN chooses its algorithms in them


class CudaGraph:
    """What ``eager`` does, recorded for 1, 2, 4... tiles up to its batch; other numbers of tiles are filled up.

    ``shape`` (channels, *tile) is that of every tile. Raises ``Unusable`` off CUDA and when recording fails.
    """

    name: str = "cuda graph"

    def __init__(self, eager: Backend, shape: tuple[int, ...]) -> None:
        if eager.device.type != "cuda":
            raise Unusable("a cuda graph needs a CUDA device")
        self.device, self.precision, self.batch = eager.device, eager.precision, eager.batch
        pool = torch.cuda.graph_pool_handle()  # one memory for all sizes: they never run at the same time
        try:
            with torch.cuda.device(self.device):
                self._runs = {size: _recorded(eager, (size, *shape), pool) for size in doublings(eager.batch)}
        except RuntimeError as error:
            raise Unusable(f"a cuda graph of this network cannot be recorded ({type(error).__name__})") from error

    @torch.inference_mode()
    def __call__(self, tiles: Tensor) -> Tensor:
        with torch.cuda.device(self.device):
            return padded_run(tiles, self._runs)


@torch.inference_mode()
def _recorded(eager: Backend, shape: tuple[int, ...], pool: Any) -> Callable[[Tensor], Tensor]:
    """Takes tiles of exactly this shape; answers where it always does. Other threads may use the device meanwhile."""
    held = torch.zeros(shape, device=eager.device)
    stream = torch.cuda.Stream(eager.device)
    stream.wait_stream(torch.cuda.current_stream(eager.device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            eager(held)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        answer = eager(held)

    @torch.inference_mode()
    def replay(tiles: Tensor) -> Tensor:
        held.copy_(tiles)
        graph.replay()
        return answer

    return replay
