"""An iterator that a thread of its own computes, a little ahead of who consumes it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

Item = TypeVar("Item")

POLL_S = 0.1
"""How often a thread with nowhere to put its item looks whether it is still wanted."""
JOIN_S = 5.0
"""How long the end of the thread is waited for; it is left behind after that and hinders nothing."""


def ahead(
    make: Callable[[threading.Event], Generator[Item, None, None]], depth: int = 1
) -> Generator[Item, None, None]:
    """Yield what an iterator yields, in its order, while a thread computes up to `depth` + 1 items in advance.

    The thread begins with the first item asked for and ends with the last, or when this generator is closed. What the
    iterator raises is raised here, after the items before it.

    Args:
        make: Makes the iterator, in the thread. It is given an event that is set once no more items are wanted; an
            iterator that waits for something must give up then.
        depth: Items that wait to be consumed; one more is in the making.
    """
    stopped = threading.Event()
    made: queue.Queue[tuple[str, Any]] = queue.Queue(depth)

    def put(kind: str, value: Any = None) -> bool:
        while not stopped.is_set():
            try:
                made.put((kind, value), timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            with closing(make(stopped)) as source:
                for item in source:
                    if not put("item", item):
                        return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are consumed
            put("error", error)
        else:
            put("end")

    thread = threading.Thread(target=work, name="sigma-bench ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
            del value  # an item handed on is not kept until the next one is there
    finally:
        stopped.set()
        if thread is not threading.current_thread():  # whose garbage collector may close this generator
            thread.join(JOIN_S)
