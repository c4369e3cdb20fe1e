"""Jobs that behave well, and jobs that do everything a decoder should not."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from sigma_bench.data.decode.errors import DecodeError

KEPT = []


def echo(request):
    """(value, seconds) -> an array that depends on value alone."""
    value, seconds = request
    time.sleep(seconds)
    rng = np.random.default_rng(value)
    arrays = [rng.integers(0, 255, (value % 5 + 1, 7, 3), dtype=np.uint8), rng.normal(size=(value % 3,))]
    return arrays, {"value": value}


def act(request):
    """What the request says: a misdeed, or a number to give back."""
    match request:
        case int():
            return [np.full((2, 3), request)], {"pid": os.getpid()}
        case "sleep":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
            while True:
                time.sleep(1)
        case "hold the interpreter":
            ctypes.PyDLL(None).sleep(60)
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            sys.exit(7)
        case "decode error":
            raise DecodeError("a.mp4", "3 of 9 frames decodable")
        case "raise":
            raise KeyError("no such thing")
        case "stop iteration":
            raise StopIteration
        case "objects":
            return [np.array([object()])], {}
        case "lambda":
            return [], {"f": lambda: 0}
        case "modules":
            return [], {"modules": sorted(sys.modules), "threads": os.environ["OMP_NUM_THREADS"]}
        case ("once", mark):
            return once(Path(mark))
        case ("signal", mark):
            Path(mark).write_text(str(os.getpid()))
            time.sleep(0.5)
            return [np.ones(3)], {}
        case ("keep", megabytes):
            KEPT.append(np.ones(megabytes * 2**17))
            return [], {"pid": os.getpid()}
        case ("large", megabytes):
            return [np.full(megabytes * 2**17, float(megabytes))], {}
    raise AssertionError(request)


def once(mark):
    """Die at the first attempt, answer at the second."""
    if not mark.exists():
        mark.write_text("tried")
        os.kill(os.getpid(), signal.SIGKILL)
    return [np.zeros(1)], {"pid": os.getpid()}
