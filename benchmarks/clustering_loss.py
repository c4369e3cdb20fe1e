"""Processor time and memory of the clustering loss, relative to the released rule written out step by step.

    python benchmarks/clustering_loss.py [--tokens 2816 11264] [--prototypes 3000] [--dim 256] [--device cuda]
    python benchmarks/clustering_loss.py --dtypes

The named rule holds the whole matrix of scores of either branch, divides all of it twice an iteration, and leaves
cross entropy and gradients to autograd. Both sides take turns, on one thread; times are processor time (on a GPU: time
between events), a ratio is the median over the rounds of rule / ours.

The second form tells how many hard assignments change when the scores are bfloat16 or float16 instead of float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from sigma_bench.losses.clustering import ClusteringSettings, clustering_loss
from sigma_bench.losses.sinkhorn import balance, codes

TEMPERATURE, ITERATIONS = 0.1, 10
Job = Callable[[], object]


def released_sinkhorn(scores_MK: torch.Tensor, epsilon: float, iterations: int = ITERATIONS) -> torch.Tensor:
    """Balance by dividing the whole matrix: rows to 1/K, columns to 1/M, and so on; columns to 1 at the end."""
    with torch.no_grad():
        q_KM = torch.exp(scores_MK / epsilon).t()
        q_KM /= q_KM.sum()
        for _ in range(iterations):
            q_KM /= q_KM.sum(1, keepdim=True)
            q_KM /= q_KM.shape[0]
            q_KM /= q_KM.sum(0, keepdim=True)
            q_KM /= q_KM.shape[1]
        q_KM /= q_KM.sum(0, keepdim=True)
        return q_KM.t()


def released_loss(
    projected_MD: torch.Tensor, decoded_MD: torch.Tensor, prototypes_KD: torch.Tensor, epsilon: float
) -> torch.Tensor:
    scores1 = F.normalize(projected_MD, dim=-1) @ prototypes_KD.t()
    scores2 = F.normalize(decoded_MD, dim=-1) @ prototypes_KD.detach().t()
    labels1 = released_sinkhorn(scores1.detach(), epsilon).argmax(1)
    labels2 = released_sinkhorn(scores2.detach(), epsilon).argmax(1)
    return F.cross_entropy(scores1 / TEMPERATURE, labels2) + F.cross_entropy(scores2 / TEMPERATURE, labels1)


def clock(job: Job, device: str) -> float:
    """Return the seconds of one call."""
    if device == "cpu":
        start = time.process_time()
        job()
        return time.process_time() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    job()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000


def peak_bytes(job: Job, device: str) -> int:
    """Return the most memory that a call held at a time beyond what was there before."""
    if device != "cpu":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        job()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        job()
    assert profiler.profiler is not None
    held = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def rounds(jobs: Sequence[Job], repeats: int, device: str) -> list[list[float]]:
    """Time the jobs in turns; one list a job, the first turn left out."""
    turns = [[clock(job, device) for job in jobs] for _ in range(repeats + 1)][1:]
    return [list(times) for times in zip(*turns, strict=True)]


def ratio(rule: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(rule, ours, strict=True))


def compare(tokens: int, prototypes: int, dim: int, epsilon: float, repeats: int, device: str) -> None:
    torch.manual_seed(0)
    projected, decoded = (torch.randn(tokens, dim, device=device, requires_grad=True) for _ in range(2))
    centres = F.normalize(torch.randn(prototypes, dim, device=device), dim=-1).requires_grad_()
    inputs = (projected, decoded, centres)
    scores = (F.normalize(projected, dim=-1) @ centres.t()).detach()
    settings = ClusteringSettings(epsilon=epsilon, iterations=ITERATIONS, temperature=TEMPERATURE)

    def rule() -> tuple[torch.Tensor, ...]:
        loss = released_loss(*inputs, epsilon)
        return loss.detach(), *torch.autograd.grad(loss, inputs)

    def ours() -> tuple[torch.Tensor, ...]:
        loss = clustering_loss(*inputs, settings).total
        return loss.detach(), *torch.autograd.grad(loss, inputs)

    def floor() -> None:
        with torch.no_grad():
            for _ in range(2):
                torch.mm(projected, centres.t())
                torch.mm(scores, centres)
            torch.mm(scores.t(), projected)

    def our_sinkhorn() -> torch.Tensor:
        return codes(scores, balance(scores, epsilon, ITERATIONS), epsilon)

    jobs: list[Job] = [lambda: released_sinkhorn(scores, epsilon).argmax(1), our_sinkhorn, rule, ours, floor]
    times = rounds(jobs, repeats, device)
    matrix = tokens * prototypes * 4
    apart = [float((a - b).norm() / a.norm()) for a, b in zip(rule(), ours(), strict=True)]
    print(
        f"M {tokens} K {prototypes} D {dim} epsilon {epsilon}: sinkhorn {ratio(times[0], times[1]):.2f}, "
        f"scores to gradients {ratio(times[2], times[3]):.2f} (five products alone {ratio(times[2], times[4]):.2f}; "
        f"ours {1000 * statistics.median(times[3]):.0f} ms)"
    )
    print(
        f"  peak memory in float32 matrices M x K: rule {peak_bytes(rule, device) / matrix:.2f}, "
        f"ours {peak_bytes(ours, device) / matrix:.2f}; relative differences: loss {apart[0]:.1e}, gradients of "
        f"projected {apart[1]:.1e}, decoded {apart[2]:.1e}, prototypes {apart[3]:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2 * 1408, 8 * 1408])
    parser.add_argument("--prototypes", type=int, nargs="+", default=[3000, 4000])
    parser.add_argument("--dim", type=int, nargs="+", default=[256, 768])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.05])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", action="store_true")
    found = parser.parse_args()
    torch.set_num_threads(1)
    for tokens in found.tokens:
        for prototypes in found.prototypes:
            for dim in found.dim:
                for epsilon in found.epsilon:
                    compare(tokens, prototypes, dim, epsilon, found.repeats, found.device)


if __name__ == "__main__":
    main()
