"""Work in processes of its own: each way of doing it has its own memory, threads and allocator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from skipseg.models.allocator import keep_freed_memory
from skipseg.models.errors import ScanTooLarge

Given = ParamSpec("Given")
Result = TypeVar("Result")

ALLOCATOR = "GLIBC_TUNABLES"  # what a whole machine may have been told about memory, for skipseg's sake


class Process:
    """One process that waits until it is called.

    ``plain`` is a process as people start it: without what skipseg tells the C library about memory when it begins.
    """

    def __init__(self, plain: bool) -> None:
        self._plain = plain
        begin = None if plain else keep_freed_memory
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=begin)

    def call(self, function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """What a function of a module answers there; raises what it raises, ``ScanTooLarge`` when the process dies."""
        with _environment(self._plain):  # the first call starts the process
            answer = self._pool.submit(function, *given, **named)
        try:
            return answer.result()
        except BrokenProcessPool:
            raise ScanTooLarge(
                "a process of the benchmark was ended by the system, most likely for its memory; choose a smaller scan"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _environment(plain: bool) -> Iterator[None]:
    before = os.environ.get(ALLOCATOR)
    if plain:
        os.environ.pop(ALLOCATOR, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[ALLOCATOR] = before
