"""The program that a decoding process runs: take a request, do the job, put the arrays into shared memory.

Started as `python -m sigma_bench.data.decode.worker CHANNEL LIFELINE ARENA...` (file descriptors). It imports numpy
and the job's module, nothing else, and so is ready in a fraction of a second.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.arena import Arena
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.registry import load_object


def main(arguments: list[str]) -> None:
    """Serve requests until the channel closes."""
    channel, lifeline, *arenas = (int(a) for a in arguments)
    for notice in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(notice, signal.SIG_IGN)  # a cluster sends them to every process; the parent decides what they end
    die_with_the_writer_of(lifeline)
    serve(Connection(channel), [Arena(a) for a in arenas])


def die_with_the_writer_of(lifeline: int) -> None:
    """Have the kernel end this process when the other end of a pipe closes, even while a decoder holds the GIL.

    A process killed by force cannot end its children, and a thread that watches would never run while native code
    holds the interpreter. The signal of an asynchronous descriptor needs neither.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | fcntl.FASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # closed before the signal was asked for
        os._exit(1)


def serve(channel: Connection, arenas: list[Arena]) -> None:
    """Answer (ticket, arena, pickled request) with ("done" | "failed", ticket, ...), one at a time."""
    try:
        job = load_object(channel.recv())
    except UserError as error:
        channel.send(("unusable", str(error)))
        return
    except Exception as error:  # noqa: BLE001 - whatever a module raises on import is the parent's to report
        channel.send(("unusable", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))
        return
    channel.send(("ready",))
    while True:
        try:
            ticket, place, request = channel.recv()
        except EOFError:
            return
        try:
            arrays, info = job(ForkingPickler.loads(request))
            layouts = arenas[place].write([np.asarray(array) for array in arrays])
            channel.send(("done", ticket, layouts, info, resident_mb()))
        except DecodeError as error:
            channel.send(("failed", ticket, error.reason, {"path": error.path}, resident_mb()))
        except Exception as error:  # noqa: BLE001 - one bad request must not end the others; the parent reports it
            text = f"{type(error).__name__}: {error}"
            channel.send(("failed", ticket, text, {"traceback": traceback.format_exc()}, resident_mb()))
        finally:
            arrays = info = request = None  # the next job must not run beside the frames of the last


def resident_mb() -> float:
    """Return the memory of this process that no file and no other process shares, in MB (2^20 bytes)."""
    try:
        with open("/proc/self/statm") as file:
            _, resident, shared, *_ = (int(n) for n in file.read().split())
        return (resident - shared) * resource.getpagesize() / 2**20
    except FileNotFoundError:  # not Linux: the peak, all that is told
        peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main(sys.argv[1:])
