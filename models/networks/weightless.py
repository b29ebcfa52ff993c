"""Networks without their weights' values: to learn their shapes costs no memory, however large they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def weightless() -> Iterator[None]:
    """What is built inside has shapes alone (torch's meta device)."""
    with torch.device("meta"), _NumbersAreReal():
        yield


class _NumbersAreReal(TorchFunctionMode):
    """``linspace`` stays where values are: SwinUNETR reads numbers back from it as it is built."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}) | ({"device": "cpu"} if func is torch.linspace else {}))
