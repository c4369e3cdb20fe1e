"""The command line in one of several processes, of which one has an accident: RANK_DRILL is `RANK:STEP:WHAT`."""

import os
import signal
import sys

from sigma_bench import cli
from sigma_bench.pretrain.objectives import MaskedObjective

rank, step, what = os.environ["RANK_DRILL"].split(":")
whole = MaskedObjective.step
calls = []


def accident(self, batch):
    calls.append(batch)
    if os.environ.get("RANK", "0") == rank and len(calls) == int(step):
        if what == "raise":
            raise ValueError("the 17th clip is purple")
        os.kill(os.getpid(), getattr(signal, what))
    return whole(self, batch)


MaskedObjective.step = accident
cli.main(sys.argv[1:])
