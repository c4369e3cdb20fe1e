"""Signals that ask a training to save and end: the notice of a cluster, or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sigma_bench.progress import say

NOTICES = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send some time before they end a job."""


class Wish:
    """Whether somebody asked this process to save and end.

    Attributes:
        signal: Name of the first signal that asked; empty while none did.
    """

    def __init__(self) -> None:
        self.signal = ""

    def __bool__(self) -> bool:
        return bool(self.signal)


@contextmanager
def wish_to_stop() -> Iterator[Wish]:
    """Turn SIGTERM, SIGUSR1 and the first Ctrl-C into a wish that the caller looks at when it suits; Ctrl-C again
    interrupts at once.

    Handlers are put back at the end. Outside the main thread, where Python lets nobody set them, the wish never comes.
    """
    wish = Wish()

    def ask(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if wish and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        if not wish:
            wish.signal = name
            again = "; Ctrl-C again ends at once, without saving" if number == signal.SIGINT else ""
            with suppress(RuntimeError):  # the signal came amid another line
                say(f"{name}: ending after this step, with a checkpoint{again}")

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.signal(number, ask) for number in (*NOTICES, signal.SIGINT)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
