"""Signals that ask a training to save and end: the notice of a cluster, or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from sigma_bench.contracts import Stopped
from sigma_bench.progress import say

NOTICES = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send some time before they end a job."""


class Noticed(BaseException):
    """A signal ended work at once; its text is the name of the signal. As with Ctrl-C, who catches faults lets it pass.

    A process that ends by it has the exit code of `Stopped`.
    """

    code = Stopped.code


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


@contextmanager
def ends_at_once() -> Iterator[None]:
    """Have SIGTERM and SIGUSR1 end the work in the context by `Noticed`: it has nothing to save.

    Who listened before the context is told first, and hears of what comes later alone; one that makes Ctrl-C a wish has
    it end the work too. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {}
    deaf = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal deaf
        notice = signal.Signals(number)
        if callable(before[notice]):
            before[notice](number, frame)
        if not deaf:
            deaf = True
            raise Noticed(notice.name)

    wishes = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    numbers = (*NOTICES, signal.SIGINT) if wishes else NOTICES
    before.update({number: signal.getsignal(number) for number in numbers})
    try:
        for number in numbers:
            signal.signal(number, end)
        yield
    finally:
        deaf = True
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
