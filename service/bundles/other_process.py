"""Work for a process of its own: running out of memory, or changing torch for a moment, must not touch who serves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from skipseg.models.errors import NotReady

Given = ParamSpec("Given")
Result = TypeVar("Result")


def in_other_process(work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """What a function at the top of a module gives, from a fresh process; raises what it raises.

    Raises ``NotReady`` when the process ends before, as it does when memory runs out.
    """
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(work, *args, **kwargs).result()
    except BrokenProcessPool:
        raise NotReady("the server's memory did not suffice for this; free memory, or try again later") from None
