"""Waiting for the platform, with progress for a person to watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from accord.db.pool import Pool
from accord.errors import CheckFailed

T = TypeVar("T")


class Stage:
    """Shows steps as they pass, and waits for what the database will show."""

    def __init__(self, pool: Pool, steps: int, *, console: Console | None = None) -> None:
        self.pool = pool
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
        )
        self._task = self._progress.add_task("", total=steps)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def step(self, text: str, doing: Awaitable[T]) -> T:
        """Do one step under its name."""
        self._progress.update(self._task, description=text)
        started = time.monotonic()
        result = await doing
        self._progress.console.print(f"[green]✓[/green] {text} [dim]{time.monotonic() - started:.1f} s[/dim]")
        self._progress.advance(self._task)
        return result

    async def one(self, query: str, **parameters: Any) -> Any:
        """The first row of a query, or None."""
        async with self.pool.connection() as db:
            cursor = await db.execute(query, parameters)
            return await cursor.fetchone()

    async def until(
        self, what: str, query: str, holds: Callable[[Any], bool], *, seconds: float = 60, **parameters: Any
    ) -> Any:
        """Wait until the first row of a query is as wanted. Raises CheckFailed with what was last seen."""
        deadline = time.monotonic() + seconds
        row = None
        while time.monotonic() < deadline:
            row = await self.one(query, **parameters)
            if row is not None and holds(row):
                return row
            await asyncio.sleep(0.05)
        raise CheckFailed(f"after {seconds:g} s still not so: {what} (last seen: {row})")
