"""The command line in one of several processes, one of which is killed in training: FINETUNE_DRILL is `RANK:STEP`."""

import os
import signal
import sys

from sigma_bench import cli
from sigma_bench.train.supervised import Supervised

rank, step = os.environ["FINETUNE_DRILL"].split(":")
whole = Supervised.step
calls = []


def accident(self, batch):
    calls.append(batch)
    if os.environ.get("RANK", "0") == rank and len(calls) == int(step):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, batch)


Supervised.step = accident
cli.main(sys.argv[1:])
