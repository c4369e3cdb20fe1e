"""The command line in one of several processes, one of which gets a signal: COUNTING_DRILL is `RANK:STEP:SIGNAL`."""

import os
import signal
import sys

from sigma_bench import cli
from sigma_bench.evaluators.counting.objective import Counting

rank, when, name = os.environ["COUNTING_DRILL"].split(":")
mine = os.environ.get("RANK", "0") == rank
step, calls = Counting.step, []


def of_a_step(self, batch):
    calls.append(batch)
    if mine and when == str(len(calls)):
        os.kill(os.getpid(), getattr(signal, name))
    return step(self, batch)


Counting.step = of_a_step
cli.main(sys.argv[1:])
