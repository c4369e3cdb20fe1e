"""The tasks of a suite shared out among the cards of one machine: a queue, one process and one card a task."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.runs.evaluate import chosen
from sigma_bench.spec import load

OWN = ("--gpus", "--tasks", "--ckpt", "--seeds", "--device")
"""Options that a process of the queue is not given as they were."""
Start = Callable[[Sequence[str], Mapping[str, str], Path], int]
"""(arguments, variables, log) -> exit code."""


def on_cards(
    gpus: str,
    suite: str | None,
    only: Sequence[str],
    checkpoints: Sequence[str],
    seeds: int | None,
    out: Path,
    specs: Path | None,
    words: Sequence[str],
    start: Start | None = None,
) -> int:
    """Evaluate every checkpoint on every task of a suite, as many at a time as there are cards.

    The rows go through the store's lock into the same files as without cards, so what has a row is skipped, and the
    same command goes on where it was. A task that fails stops no other.

    Args:
        gpus: Numbers of the cards, `0-7` or `0,2,5`, among those that CUDA_VISIBLE_DEVICES names if it does.
        suite: Name of the suite.
        only: Tasks of it; empty: all.
        checkpoints: As on the command line.
        seeds: Seeds of each task, which one process measures in turn.
        out: Folder of the logs.
        specs: Folder of own specs.
        words: The command line.
        start: Runs a process; for tests.

    Returns:
        0 all went well, 1 some did not, 2 none did.

    Raises:
        UserError: The cards are no numbers or not there, or no suite is named.
    """
    cards = numbers(gpus)
    if suite is None:
        raise UserError(f"--gpus {gpus} shares out the tasks of a suite; give --suite")
    if start is None:
        check(gpus, cards)
    found = load.suite(suite, specs=specs)
    tasks = chosen(found.tasks, [name.strip() for name in only if name.strip()], found.name)
    jobs: queue.Queue[tuple[str, str]] = queue.Queue()
    for checkpoint in checkpoints:
        for task in tasks:
            jobs.put((checkpoint, task))
    total, kept = jobs.qsize(), _without(words, OWN)
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    say(f"{total} evaluations on cards {', '.join(map(str, cards))}; logs: {logs}")
    codes: list[int] = []

    def work(card: int) -> None:
        while True:
            try:
                checkpoint, task = jobs.get_nowait()
            except queue.Empty:
                return
            began = time.perf_counter()
            log = logs / f"{_plain(task)}.{_plain(checkpoint)}.log"
            more = ["--ckpt", checkpoint, "--tasks", task, "--device", "cuda"]
            more += [] if seeds is None else ["--seeds", str(seeds)]
            code = (start or _start)([*kept, *more], {"CUDA_VISIBLE_DEVICES": visible(card)}, log)
            codes.append(code)
            how = f"{'done' if code == 0 else f'ended with {code}, see {log}'}, {time.perf_counter() - began:.0f} s"
            say(f"[{len(codes)}/{total}] card {card}: {task} of {checkpoint}: {how}")

    threads = [threading.Thread(target=work, args=(card,), daemon=True) for card in cards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if not any(codes) else 2 if all(codes) else 1


def numbers(text: str) -> list[int]:
    """Return the numbers of `0-3` or `0,2`, each once.

    Raises:
        UserError: It is of another form.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})(?:-(\d{1,3}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"--gpus {text}: expected numbers of cards, such as 0-7 or 0,2")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return list(dict.fromkeys(found))


def check(gpus: str, cards: Sequence[int]) -> None:
    """Refuse cards that this machine does not have.

    Raises:
        UserError: One of them is not there.
    """
    import torch

    there = torch.cuda.device_count()
    if lacking := [card for card in cards if card >= there]:
        have = f"cards 0 to {there - 1}" if there else "no card that torch can use"
        raise UserError(
            f"--gpus {gpus}: this machine has {have}, asked for {', '.join(map(str, lacking))} too; name those it has, "
            "or leave --gpus out"
        )


def visible(card: int) -> str:
    """Return a card as the driver knows it; where CUDA_VISIBLE_DEVICES names some, cards are counted among these."""
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return given[card] if card < len(given) and given[card] else str(card)


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return a command line without some options and their values; `--ckpt A B` has several."""
    kept: list[str] = []
    leaving = False
    for word in words:
        if word.startswith("-"):
            leaving = word.partition("=")[0] in options
        if not leaving:
            kept.append(word)
    return kept


def _start(arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
    with log.open("w", encoding="utf-8") as file:
        return subprocess.run(
            [sys.executable, "-m", "sigma_bench.cli", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            check=False,
        ).returncode


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")[-80:]
