"""What a long job says while it runs: one live line on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Reporter:
    """Progress of a job of known length.

    On a terminal the line is redrawn by rich; elsewhere a plain line is written every `every_s` seconds at most, and at
    the end. The time left is told after `every_s` seconds, as the first units wait for processes that start. A silent
    one says nothing of the progress.
    """

    def __init__(
        self,
        title: str,
        total: int,
        unit: str = "step",
        start: int = 0,
        every_s: float = 10.0,
        *,
        silent: bool = False,
    ) -> None:
        self.title, self.total, self.unit, self.done, self.first = title, total, unit, start, start
        self._began = time.monotonic()
        self.every_s, self._last = every_s, self._began
        self._progress: Any = None
        self._silent = silent

    def __enter__(self) -> Reporter:
        if sys.stderr.isatty() and not self._silent:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                TextColumn("{task.completed}/{task.total}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
            )
            self._progress.start()
            self._task = self._progress.add_task(self.title, total=self.total, completed=self.done, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units are done."""
        self.done = done
        if self._progress is not None:
            self._progress.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        if self._silent or (now - self._last < self.every_s and done < self.total):
            return
        self._last = now
        spent = now - self._began
        told = f"{self.title}: {self.unit} {done}/{self.total}, {spent:.0f} s"
        if self.first < done < self.total:
            told += f", about {spent / (done - self.first) * (self.total - done):.0f} s left"
        self.say(f"{told}. {note}".rstrip())

    def say(self, text: str) -> None:
        """Write a line of its own, above a live line where there is one."""
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False)
        else:
            say(text)


def say(text: str) -> None:
    """Write one line for a person to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
