"""What the eight tasks of SEVERE ask for, and how long one H200 and eight of them would take: arithmetic.

    python benchmarks/severe_plan.py [--ckpt random:base] [--suite severe]

Clips follow from the lists and the settings of the tasks, operations from a forward pass of the encoder as torch counts
them (a step costs three of them), hours from 45 % of the 790 TFLOP/s of dense bf16 of an H200. Decoding is not in it:
`sigma-bench plan` measures it on the machine and the data at hand.
"""

import argparse
import tempfile
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.models.flops import H200_PEAK, UTILISATION
from sigma_bench.runs.plan import demands
from sigma_bench.runs.plan.rates import flops
from sigma_bench.runs.reading import Reading
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", default="random:base")
    parser.add_argument("--suite", default="severe")
    asked = parser.parse_args()
    encoder = candidate(asked.ckpt, None, None, None, None).encoder("cpu")
    spec, costs = encoder.spec, {}

    def clip(frames: int | None, size: int | None) -> float:
        key = (frames or spec.frames, size or spec.image_size)
        if key not in costs:
            other = Reading(*(None if a == b else a for a, b in zip(key, (spec.frames, spec.image_size), strict=True)))
            made = (
                encoder if other == Reading() else candidate(asked.ckpt, None, None, None, None, other).encoder("cpu")
            )
            costs[key] = flops(made, *key)
        return costs[key]

    print(f"{asked.suite} for {asked.ckpt}: {spec.backbone}, {spec.frames} frames of {spec.image_size} pixels")
    print(f"{'task':<20}{'decoded':>12}{'trained on':>13}{'tested':>12}{'PFLOP':>12}{'1 H200, h':>11}{'8 H200, h':>11}")
    total = 0.0
    with tempfile.TemporaryDirectory() as nowhere:  # the lists at their published length, whatever lies on this machine
        for name in load.suite(asked.suite).tasks:
            try:
                stages = demands.job(load.task(name), encoder, Path(nowhere), None).stages
            except UserError as error:
                print(f"{name:<20}  {error}")
                continue
            work = sum(s.shown * clip(s.frames, s.size) * (3 if s.trains else 1) for s in stages)
            total += work
            trained, tested = (sum(s.shown for s in stages if s.trains == kind) for kind in (True, False))
            print(line(name, sum(s.videos for s in stages), trained, tested, work))
    print(line("all", None, None, None, total))


def line(name: str, decoded: int | None, trained: int | None, tested: int | None, work: float) -> str:
    counts = "".join(f"{'' if n is None else f'{n:,}':>{w}}" for n, w in ((decoded, 12), (trained, 13), (tested, 12)))
    hours = work / (UTILISATION * H200_PEAK) / 3600
    return f"{name:<20}{counts}{work / 1e15:>12,.0f}{hours:>11.2f}{hours / 8:>11.2f}"


if __name__ == "__main__":
    main()
