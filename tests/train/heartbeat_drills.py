"""What the tests of the heartbeat do to processes: each drill forks some, and tells how and when they ended."""

import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist

from sigma_bench.contracts import UserError
from sigma_bench.data.ranks import joined
from sigma_bench.train.distributed import together
from sigma_bench.train.heartbeat import Heartbeat
from sigma_bench.train.signals import Noticed

BEAT_S, SILENCE_S, WORLD = 0.5, 6.0, 3


class Agreed(UserError):
    """An end that all processes come to together."""


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def quiet_end(rank, beating):
    time.sleep(0.8 * rank)


def quiet_end_of_the_first_last(rank, beating):
    time.sleep(0.8 * (2 - rank))


def agreed_end(rank, beating):
    time.sleep(0.3 * rank)
    raise Agreed


def exception(rank, beating):
    if rank == 1:
        raise ValueError("the 17th clip is purple")
    time.sleep(60)


def exception_of_the_first(rank, beating):
    if rank == 0:
        raise ValueError("the 17th clip is purple")
    time.sleep(60)


def told_to_stop(rank, beating):
    if rank == 0:
        raise Noticed("SIGTERM")
    time.sleep(60)


def mistake(rank, beating):
    if rank == 2:
        raise UserError("the disk of the third is empty")
    time.sleep(60)


def killed(rank, beating):
    if rank == 1:
        die()
    time.sleep(60)


def killed_first(rank, beating):
    if rank == 0:
        die()
    time.sleep(60)


def killed_in_a_collective(rank, beating):
    dist.all_reduce(torch.ones(1))
    if rank == 1:
        die()
    dist.all_reduce(torch.ones(1))


def first_killed_in_a_collective(rank, beating):
    dist.all_reduce(torch.ones(1))
    if rank == 0:
        die()
    dist.all_reduce(torch.ones(1))


def exception_before_a_collective(rank, beating):
    dist.all_reduce(torch.ones(1))
    if rank == 1:
        raise ValueError("the 17th clip is purple")
    dist.all_reduce(torch.ones(1))


def standing_still(rank, beating):
    if rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def first_standing_still(rank, beating):
    if rank == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def long_step(rank, beating):
    """Longer than the silence allowed, the interpreter free but for a part of it."""
    time.sleep(1.5 * SILENCE_S)
    if rank == 1:
        ctypes.PyDLL(None).usleep(int(0.5 * SILENCE_S * 1e6))  # a call that keeps the interpreter to itself


def amid_a_save(rank, beating):
    if rank == 0:
        with beating.undisturbed():
            time.sleep(2.0)
            Path(f"{os.environ['DRILL']}.saved").write_text("whole")
        time.sleep(60)
    time.sleep(0.5)
    raise ValueError("the 17th clip is purple")


COLLECTIVE = (killed_in_a_collective, first_killed_in_a_collective, exception_before_a_collective)
DRILLS = (*COLLECTIVE, quiet_end, quiet_end_of_the_first_last, agreed_end, exception, exception_of_the_first,
          told_to_stop, mistake, killed, killed_first, standing_still,
          first_standing_still, long_step, amid_a_save)  # fmt: skip


def meet(rank):
    """Wait until all are here, by files: a barrier needs the store, which an accident of the first takes away."""
    base = os.environ["DRILL"]
    Path(f"{base}.here.{rank}").touch()
    while not all(Path(f"{base}.here.{other}").exists() for other in range(WORLD)):
        time.sleep(0.02)


STILL = {"standing_still": 1, "first_standing_still": 0}
"""Which process of a drill stands still, to be killed when the others are gone."""


def process(drill, rank):
    try:
        with joined() as ranks:
            beating = Heartbeat(ranks, BEAT_S, SILENCE_S, agreed=(Agreed,))
            if drill in COLLECTIVE:
                with together(ranks, "cpu"), beating:
                    meet(rank)
                    drill(rank, beating)
            else:
                with beating:
                    meet(rank)
                    drill(rank, beating)
    except (Agreed, Noticed):
        return 75
    except UserError as error:
        print(f"mistake: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def start(drill, folder, port):
    pids, base = [], folder / drill.__name__
    for rank in range(WORLD):
        pid = os.fork()
        if pid == 0:
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(WORLD), "MASTER_ADDR": "localhost",
                           "MASTER_PORT": port, "DRILL": str(base)}  # fmt: skip
            os.dup2(os.open(f"{base}.{rank}", os.O_WRONLY | os.O_CREAT), 2)
            code = 1
            try:
                code = process(drill, rank)
            except BaseException:  # noqa: BLE001 - as the interpreter would, then end without what a fork inherited
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    return pids


def said(file):
    """Return what a process said, without torch's warnings, as of names that this machine does not know."""
    return "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("[W"))


def main():
    folder = Path(tempfile.mkdtemp())
    free = [socket.socket() for _ in DRILLS]  # all at once, so that no two are the same
    for one in free:
        one.bind(("localhost", 0))
    ports = {drill: str(one.getsockname()[1]) for drill, one in zip(DRILLS, free, strict=True)}
    for one in free:
        one.close()
    begun = {drill.__name__: (time.monotonic(), start(drill, folder, ports[drill])) for drill in DRILLS}
    waiting = {pid: (name, rank) for name, (_, pids) in begun.items() for rank, pid in enumerate(pids)}

    def give_up(*_):
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(240)
    found = {name: {"codes": {}, "seconds": {}} for name in begun}
    while waiting:
        pid, status = os.wait()
        name, rank = waiting.pop(pid)
        found[name]["codes"][rank] = os.waitstatus_to_exitcode(status)
        found[name]["seconds"][rank] = time.monotonic() - begun[name][0]
        if name in STILL and len(found[name]["codes"]) == WORLD - 1 and rank != STILL[name]:
            os.kill(begun[name][1][STILL[name]], signal.SIGKILL)
    for name, result in found.items():
        result["said"] = [said(folder / f"{name}.{rank}") for rank in range(WORLD)]
        result["codes"] = [result["codes"][rank] for rank in range(WORLD)]
        result["seconds"] = max(s for r, s in result["seconds"].items() if r != STILL.get(name))
    found["amid_a_save"]["saved"] = (folder / "amid_a_save.saved").exists()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
