"""How far an import is: a bar with rate and remaining time on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

#: Seconds between lines when the output is no terminal.
_EVERY = 5.0


class Advance(Protocol):
    """Called with the number of rows that have been dealt with since the last call."""

    def __call__(self, rows: int) -> None: ...


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress(total: int, output: IO[str]) -> Iterator[Advance]:
    """Show progress towards ``total`` rows on ``output``."""
    console = Console(file=output)
    if console.is_terminal:
        bar = Progress(
            TextColumn("importing"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(), console=console
        )
        with bar:
            task = bar.add_task("importing", total=total)
            yield lambda rows: bar.advance(task, rows)
        return
    began = said = time.monotonic()
    done = 0

    def advance(rows: int) -> None:
        nonlocal done, said
        done += rows
        now = time.monotonic()
        if now - said >= _EVERY and done:
            said = now
            rate = done / (now - began)
            left = max(total - done, 0) / rate
            console.print(f"{done:,} of {total:,} rows, {rate:,.0f} rows/s, {left:,.0f} s left", highlight=False)

    yield advance
