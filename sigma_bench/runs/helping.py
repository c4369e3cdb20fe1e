"""Evaluation on several processes: the first measures, the others wait until it wants features, and take a share.

Only the first reads lists, prints, fits probes and writes rows, so evaluators need not know that there are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.ranks import OtherFailed, Ranks
from sigma_bench.progress import say
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.systems import Candidate
from sigma_bench.spec.task import Task

Load = Callable[[int, DecodePool], tuple[Encoder, Run]]
"""(number of a checkpoint on the command line, decoding processes) -> its encoder on this process's device, and how."""


@contextmanager
def served(ranks: Ranks) -> Iterator[None]:
    """Tell the other processes at the end to end too, whatever happens to this one."""
    try:
        yield
    finally:
        ranks.send({"do": "end"})


def device_of(asked: str, ranks: Ranks) -> str:
    """Return the torch device of this process: of several on a machine each takes the GPU of its own number.

    Raises:
        UserError: It is not here, or one GPU was named for all.
    """
    device = torch_device(asked)
    if ranks.world == 1 or not device.startswith("cuda"):
        return device
    if device != "cuda":
        raise UserError(f"--device {asked}: each of the {ranks.world} processes takes a GPU of its own; say cuda")
    return torch_device(f"cuda:{ranks.local}")


def helpers(ranks: Ranks, system: Candidate, here: str, number: int) -> Any:
    """Have the other processes load a system; return what `Run.helpers` takes.

    Args:
        ranks: The processes.
        system: As loaded here.
        here: The device of its encoder in this process.
        number: Which checkpoint of the command line it is. The others have the same command line, and load nothing
            that another process names.
    """
    if ranks.world == 1:
        return None
    from sigma_bench.features import Helpers
    from sigma_bench.models.fingerprint import fingerprint

    ranks.send({"do": "load", "checkpoint": number})
    return Helpers(ranks, fingerprint(system.encoder(here)))


def help_out(ranks: Ranks, workers: int, load: Load, tasks: Callable[[], list[Task]]) -> int:
    """Do what rank 0 asks for until it ends; return the exit code: 0, or 1 where rank 0 is lost.

    That is a share of some features, or the whole of a task whose evaluator trains: then all processes run it.

    What fails here is reported there. Its exit code is that of the command: were it this one's too, torchrun would take
    this process for the one that failed, and might end rank 0 before it has said why.
    """
    from sigma_bench.evaluators import together
    from sigma_bench.features import contribute

    set_threads(None, workers)
    number = 0
    loaded: list[tuple[Encoder, Run]] = []
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:

        def system() -> tuple[Encoder, Run]:
            if not loaded:
                loaded.append(load(number, pool))
            return loaded[0]

        def part(message: dict[str, Any]) -> dict[str, Any]:
            encoder, run = system()
            return contribute(encoder, message, run, ranks)

        def evaluate(message: dict[str, Any]) -> None:
            own = ranks.job()
            try:
                encoder, run = system()
                together.follow(encoder, tasks(), run, own, message)
            except BaseException as error:
                own.refuse(error)
                raise

        try:
            while (message := ranks.receive())["do"] != "end":
                if message["do"] == "load":
                    number = message["checkpoint"]
                    loaded.clear()
                    continue
                with suppress(Exception):  # rank 0 has been told
                    if message["do"] == "evaluate":
                        evaluate(message)
                    else:
                        ranks.together(partial(part, message))
        except OtherFailed as error:
            say(f"process {ranks.rank} of {ranks.world} ends: {error}")
            return 1
    return 0
