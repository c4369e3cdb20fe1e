"""Time, memory and operations of each part of a pretraining step, relative to the step written out plainly.

    python benchmarks/pretrain_step.py --recipe sigma_mlp --size small --batch 2
    python benchmarks/pretrain_step.py --recipe sigma_mlp sigma_dino --size small base --batch 64 --device cuda \
        --precision bf16 --compile --set clustering.scores=bf16

Ours and the reference (`pretrain_reference.py`) begin with the same weights, clips and masks; where their losses or
gradients differ by more than rounding the script ends with exit code 1. Then they take turns with a large matrix
product of the same type, whose quickest turn is the peak that shares refer to. Times are processor time on CPUs and
time between events on GPUs; memory is what a step holds at most beyond weights and state of the optimiser; operations
are those of matrix products as torch counts them. Last, `train.loop.fit` runs over clips in memory: the share of its
time that is not forward, backward, gradient norm or optimiser is what the loop costs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from pretrain_case import RATE, Case, Read, case
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from sigma_bench.models.flops import H200_PEAK, clip_flops
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import loop
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Plan

LOSS_TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}
GRADIENT_TOLERANCE = {"fp32": 2e-2, "bf16": 0.5}
"""Largest relative difference to the reference. A token whose two best prototypes all but tie may get another class."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
WARM_UP = 5
MARK = "end of a part"


def meter(device: str) -> tuple[Read, Callable[[Any, Any], float]]:
    """Return how the time is read, and the seconds between two readings once all is done."""
    if device == "cpu":
        return time.process_time, lambda a, b: b - a

    def event() -> torch.cuda.Event:
        now = torch.cuda.Event(enable_timing=True)
        now.record()
        return now

    return event, lambda a, b: a.elapsed_time(b) / 1000


def settle(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(job: Callable[[], object], device: str) -> float:
    read, between = meter(device)
    start = read()
    job()
    end = read()
    settle(device)
    return between(start, end)


def parts_of(marks: list[tuple[str, Any]], between: Callable[[Any, Any], float]) -> dict[str, float]:
    """Return the difference of the meter over each part; a part may come in several pieces."""
    found: Counter[str] = Counter()
    for (_, before), (name, after) in itertools.pairwise(marks):
        found[name] += between(before, after)  # type: ignore[assignment]
    return dict(found)


def part_times(c: Case) -> dict[str, float]:
    read, between = meter(c.device)
    c.step(read)
    settle(c.device)
    return parts_of(c.marks, between)


def part_flops(c: Case) -> dict[str, float]:
    """Return the operations of matrix products by part, as torch counts them."""

    def in_place(_: Any, a: Any, b: Any, **__: Any) -> int:
        return 2 * a[0] * a[1] * b[1]

    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
        c.step(counter.get_total_flops)
    return parts_of(c.marks, lambda a, b: b - a)


def cpu_peaks(job: Callable[[], object]) -> list[int]:
    """Return the most bytes held between the marks of a job, beyond what was there before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        job()
    assert profiler.profiler is not None
    held, peaks = 0, [0]
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peaks[-1] = max(peaks[-1], held)
        elif event.name() == MARK:
            peaks.append(held)
    return peaks


def part_peaks(c: Case) -> tuple[dict[str, float], float]:
    """Return the most bytes held during each part of our step, and during the reference's step."""
    for optimizer in (c.optimizer, c.plain_optimizer):
        optimizer.zero_grad(set_to_none=True)
    if c.device == "cpu":

        def point() -> None:
            with record_function(MARK):
                pass

        peaks = cpu_peaks(lambda: c.step(point))[1:]
        theirs = max(cpu_peaks(c.plain_step))
    else:
        before = torch.cuda.memory_allocated()

        def most() -> int:
            peak = torch.cuda.max_memory_allocated() - before
            torch.cuda.reset_peak_memory_stats()
            return peak

        c.step(most)
        peaks = [value for _, value in c.marks[1:]]
        c.optimizer.zero_grad(set_to_none=True)
        most()
        c.plain_step()
        theirs = most()
    found: dict[str, float] = {}
    for (name, _), peak in zip(c.marks[1:], peaks, strict=False):
        found[name] = max(found.get(name, 0), peak)
    return found, theirs


def product(device: str, precision: str) -> tuple[Callable[[], object], float]:
    """Return a large matrix product, and its operations."""
    side = 1536 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device, dtype=DTYPES[precision]) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out), 2.0 * side**3


def loop_share(c: Case, steps: int) -> dict[str, float]:
    """Return the seconds of a step inside `train.loop.fit`, and the share of them that no step needs.

    One step of `steps` is logged; opening, the first step and checkpoints are left out. On a GPU nothing can be timed
    inside without changing it: there the same number of steps, one after the other, is what is needed.
    """
    cpu, inside, window = c.device == "cpu", Counter[str](), []
    now = time.process_time if cpu else time.perf_counter

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            start = now()
            found = call(*args, **kwargs)
            inside[name] += now() - start  # type: ignore[assignment]
            return found

        return measured

    def at(number: int) -> None:
        if number == 2:
            settle(c.device)
            inside.clear()
            window.append(now())

    def on_log(_: dict[str, Any]) -> None:
        settle(c.device)
        window.append(now())

    c.loader.on_next = at
    whole = steps + 1
    rates = np.full(whole, RATE)
    plan = Plan(rates, whole, 1, len(c.frames), c.recipe.train.precision, log_every=whole, save_every=whole)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        if cpu:
            for owner, name in (
                (c.objective, "step"),
                (torch.Tensor, "backward"),
                (loop, "gradient_norm"),
                (c.optimizer, "step"),
            ):
                stack.enter_context(mock.patch.object(owner, name, timed(name, getattr(owner, name))))
        loop.fit(c.objective, c.optimizer, plan, Path(folder), {}, Processes(device=c.device), on_log=on_log)
    total = window[1] - window[0]
    if not cpu:
        start = now()
        for _ in range(steps):
            c.step()
        settle(c.device)
        inside["steps"] = now() - start  # type: ignore[assignment]
    return {"steps": steps, "s_per_step": total / steps, "share_outside": 1 - sum(inside.values()) / total}


def measure(recipe: Recipe, device: str, repeats: int, loop_steps: int) -> dict[str, Any]:
    c, precision, clips = case(recipe, device), recipe.train.precision, recipe.train.global_batch
    loss_apart, gradients_apart = c.differences()
    same = loss_apart <= LOSS_TOLERANCE[precision] and gradients_apart <= GRADIENT_TOLERANCE[precision]
    multiply, operations = product(device, precision)
    for _ in range(1 if device == "cpu" else WARM_UP):
        c.step()
        c.plain_step()
        multiply()
    turns: list[dict[str, float]] = []
    theirs, products = [], []
    for _ in range(repeats):
        theirs.append(seconds(c.plain_step, device))
        turns.append(part_times(c))
        products += [seconds(multiply, device) for _ in range(5)]
    ours = [sum(turn.values()) for turn in turns]
    flops, (peaks, their_peak) = part_flops(c), part_peaks(c)
    best, peak_rate = min(theirs) / min(ours), operations / min(products)
    parts = {
        name: {
            "ms": 1000 * statistics.median(turn[name] for turn in turns),
            "ms_min": 1000 * min(turn[name] for turn in turns),
            "gflop": flops[name] / 1e9,
            "of_matmul_peak": flops[name] / min(turn[name] for turn in turns) / peak_rate,
            "peak_mb": peaks[name] / 1e6,
        }
        for name in turns[0]
    }
    arithmetic = clip_flops(recipe).total * clips
    return {
        "case": f"{recipe.name} {recipe.model.size}, {clips} clips, {device}, {precision}",
        "loss_apart": loss_apart,
        "gradients_apart": gradients_apart,
        "same": same,
        "parts": parts,
        "ms": 1000 * statistics.median(ours),
        "ms_min": 1000 * min(ours),
        "clips_per_s": clips / min(ours),
        "reference_ms": 1000 * statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(theirs, ours, strict=True)),
        "ratio_min": best,
        "peak_mb": max(peaks.values()) / 1e6,
        "reference_peak_mb": their_peak / 1e6,
        "matmul_tflops": peak_rate / 1e12,
        "gflop": sum(flops.values()) / 1e9,
        "gflop_arithmetic": arithmetic / 1e9,
        "of_matmul_peak": sum(flops.values()) / min(ours) / peak_rate,
        "h200_limit_clips_per_s": H200_PEAK * clips / arithmetic,
        "loop": loop_share(c, loop_steps),
    }


def table(found: dict[str, Any]) -> str:
    lines = [found["case"], f"  {'part':<28}{'ms':>9}{'min':>9}{'%':>6}{'GFLOP':>9}{'% of peak':>11}{'peak MB':>9}"]
    for name, part in [*found["parts"].items(), ("step", found)]:
        lines.append(
            f"  {name:<28}{part['ms']:9.1f}{part['ms_min']:9.1f}{100 * part['ms'] / found['ms']:6.1f}"
            f"{part['gflop']:9.2f}{100 * part['of_matmul_peak']:11.1f}{part['peak_mb']:9.1f}"
        )
    inside, limit = found["loop"], found["h200_limit_clips_per_s"]
    return "\n".join(
        [
            *lines,
            f"  reference {found['reference_ms']:.1f} ms, {found['reference_peak_mb']:.0f} MB; reference / ours: time "
            f"{found['ratio']:.2f} (quickest turns {found['ratio_min']:.2f}), memory "
            f"{found['reference_peak_mb'] / found['peak_mb']:.2f}",
            f"  differences: loss {found['loss_apart']:.1e}, gradients {found['gradients_apart']:.1e}: "
            f"{'the same' if found['same'] else 'NOT THE SAME'}",
            f"  largest product {found['matmul_tflops']:.3f} TFLOP/s; operations by arithmetic "
            f"{found['gflop_arithmetic']:.2f} GFLOP; {found['clips_per_s']:.2f} clips/s, arithmetic limit of an H200 "
            f"{limit:.0f} ({100 * found['clips_per_s'] / limit:.2f} %)",
            f"  loop: {1000 * inside['s_per_step']:.1f} ms a step over {inside['steps']} steps, one of them logged, "
            f"{100 * inside['share_outside']:.2f} % outside the step",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recipes, sizes = ("sigma_mlp", "sigma_dino", "videomae"), ("nano", "small", "base")
    parser.add_argument("--recipe", nargs="+", choices=recipes, default=["sigma_mlp"])
    parser.add_argument("--size", nargs="+", choices=sizes, default=["small"])
    parser.add_argument("--batch", type=int, default=2, help="clips of a step")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loop-steps", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument("--json", action="store_true")
    found = parser.parse_args()
    torch.set_num_threads(found.threads)
    train = {"global_batch": found.batch, "precision": found.precision, "compile": found.compile}
    train["checkpointing"] = found.checkpointing
    sets = [f"train.{key}={str(value).lower()}" for key, value in train.items()]
    same = True
    for name, size in itertools.product(found.recipe, found.size):
        teacher = ["target.weights=random"] if name == "sigma_dino" else []
        data = "miniature" if size == "nano" else "k400"
        recipe = load.recipe(name, data=data, size=size, sets=[*sets, *teacher, *found.sets])
        result = measure(recipe, found.device, found.repeats, found.loop_steps)
        same = same and result["same"]
        print(json.dumps(result) if found.json else table(result), flush=True)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
