"""The command line in one of several processes, one of which gets a signal: FINETUNE_DRILL is `RANK:WHEN:SIGNAL`.

WHEN is the number of a training step, or `test` for the moment at which the classifier is there and not yet tested.
"""

import os
import signal
import sys

from sigma_bench import cli
from sigma_bench.evaluators import finetune
from sigma_bench.train.supervised import Supervised

rank, when, name = os.environ["FINETUNE_DRILL"].split(":")
mine = os.environ.get("RANK", "0") == rank
step, scores, calls = Supervised.step, finetune.scores, []


def of_a_step(self, batch):
    calls.append(batch)
    if mine and when == str(len(calls)):
        os.kill(os.getpid(), getattr(signal, name))
    return step(self, batch)


def of_the_test(*arguments, **options):
    if mine and when == "test":
        os.kill(os.getpid(), getattr(signal, name))
    return scores(*arguments, **options)


Supervised.step, finetune.scores = of_a_step, of_the_test
cli.main(sys.argv[1:])
