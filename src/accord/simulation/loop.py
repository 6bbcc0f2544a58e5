"""An event loop whose time is virtual: it jumps to the next timer when nothing is left to do, so that months pass in
seconds and the same seed gives the same order. Parts of the system can be killed in it as SIGKILL kills a process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import heapq
import logging
import selectors
import sys
import warnings
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any


class Incarnation:
    """One life of a part of the system that can be killed: a worker or a server process.

    What runs in its context never runs again once it is dead: no `finally`, no `except`, no callback.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.sessions: list[Any] = []
        self.remains: list[Any] = []  # its tasks, kept so that collecting them runs nothing

    def __repr__(self) -> str:
        return self.name


INCARNATION: ContextVar[Incarnation | None] = ContextVar("incarnation", default=None)


class Look(float):
    """How long a loop waits before it looks for work without having been told of any, in seconds. A loop's timer made
    of it is marked: when there can be nothing to find, the clock need not stop there."""

    def __radd__(self, moment: float) -> LookAt:
        return LookAt(moment + float(self))


class LookAt(float):
    """The moment of such a look."""


class Standstill(Exception):
    """Nothing is ready and no timer is set: the simulated system can never go on."""


class _Patience(selectors.SelectSelector):
    """Waits for nothing: no simulated part has a socket that the loop would have to watch."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._idle(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`on_idle(next_timer_in)` is asked whenever nothing is ready: True when it has made something ready. Then
    `jump(next_happening)` may say to which moment the clock goes past timers at which somebody would only look."""

    def __init__(self) -> None:
        self._moment = 0.0
        self._happening: list[tuple[float, asyncio.TimerHandle]] = []
        super().__init__(_Patience(self._nothing_ready))
        self.on_idle: Callable[[float | None], bool] = lambda _: False
        self.jump: Callable[[float | None], float | None] = lambda _: None
        self.steps = 0
        self.set_task_factory(_remember)

    def time(self) -> float:
        return self._moment

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        _unless_dead(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        _unless_dead(handle)
        if not isinstance(when, LookAt):
            heapq.heappush(self._happening, (when, handle))
        return handle

    def kill(self, incarnation: Incarnation) -> None:
        """Nothing of it runs any more; its sessions are cut off by the caller."""
        incarnation.dead = True
        for handle in [*self._ready, *self._scheduled]:  # type: ignore[attr-defined]
            _unless_dead(handle)

    def _nothing_ready(self, timeout: float | None) -> None:
        self.steps += 1
        if self.on_idle(timeout):
            return
        if timeout is None:
            raise Standstill("nothing is ready and no timer is set")
        self._moment = max(self._moment + timeout, self.jump(self._next_happening()) or 0.0)

    def _next_happening(self) -> float | None:
        """The next timer at which something happens, and nobody only looks."""
        while self._happening and self._happening[0][1].cancelled():
            heapq.heappop(self._happening)
        while self._happening and self._happening[0][0] <= self._moment:
            heapq.heappop(self._happening)
        return self._happening[0][0] if self._happening else None


def _unless_dead(handle: Any) -> None:
    owner = handle._context.get(INCARNATION)  # noqa: SLF001  (asyncio has no other way to say whose a callback is)
    if owner is not None and owner.dead:
        handle.cancel()


def _remember(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
    owner = INCARNATION.get()
    if owner is not None:
        owner.remains.append(task)
    return task


def bury(loop: asyncio.AbstractEventLoop, lives: list[Incarnation], cut: Callable[[Incarnation], None]) -> None:
    """Let go of everything that is left at the end of a run, sessions first (`cut` closes those of a life); nothing it
    says of that is of interest."""
    tasks = [*asyncio.all_tasks(loop), *(task for each in lives for task in each.remains)]
    level, logging.root.manager.disable = logging.root.manager.disable, logging.CRITICAL
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        for each in lives:
            each.dead = True
            cut(each)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while tasks:
                _let_go(tasks.pop())
            for each in lives:
                each.remains.clear()
            loop.close()
            gc.collect()
            gc.freeze()  # what outlives a run are modules and plans; the next need not look through them
    finally:
        sys.unraisablehook = hook
        logging.root.manager.disable = level


def _let_go(task: asyncio.Task[Any]) -> None:
    if task.done():
        if not task.cancelled():
            task.exception()
        return
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    with contextlib.suppress(BaseException):
        task.get_coro().close()
