"""Processor time and memory of the clustering loss, relative to the released rule written out step by step.

    python benchmarks/clustering_loss.py [--tokens 2816 11264] [--prototypes 3000] [--dim 256] [--device cuda]
    python benchmarks/clustering_loss.py --dtypes

The named rule (`plain_clustering_loss` of pretrain_reference.py) does what the released code does: it holds the whole
matrix of scores of either branch, sums and scales all of a transposed copy twice an iteration, takes the cross entropy
of scores (B, K, N) over their second dimension, and leaves gradients to autograd. Both sides take turns, on one thread;
times are processor time (on a GPU: time between events), a ratio is the median over the rounds of rule / ours.

The second form tells how many hard assignments change when the scores are bfloat16 or float16 instead of float32.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from pretrain_reference import plain_clustering_loss, plain_sinkhorn
from torch.profiler import ProfilerActivity, profile

from sigma_bench.losses.clustering import ClusteringSettings, clustering_loss
from sigma_bench.losses.sinkhorn import balance, codes

TEMPERATURE, ITERATIONS = 0.1, 10
MASKED = 1408
"""Masked tokens of a clip."""
Job = Callable[[], object]


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
    clips = max(1, tokens // MASKED)
    scores = (F.normalize(projected, dim=-1) @ centres.t()).detach()
    settings = ClusteringSettings(epsilon=epsilon, iterations=ITERATIONS, temperature=TEMPERATURE)

    def rule() -> tuple[torch.Tensor, ...]:
        views = [tokens_MD.view(clips, -1, dim) for tokens_MD in (projected, decoded)]
        loss = plain_clustering_loss(views[0], views[1], centres, epsilon, ITERATIONS, TEMPERATURE)
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

    jobs: list[Job] = [lambda: plain_sinkhorn(scores, epsilon, ITERATIONS).argmax(1), our_sinkhorn, rule, ours, floor]
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


def concentrated(tokens: int, centres_KD: torch.Tensor, cosine: float) -> torch.Tensor:
    """Return unit tokens around randomly drawn prototypes, at the given cosine to them on average."""
    noise = F.normalize(torch.randn(tokens, centres_KD.shape[1]), dim=-1)
    drawn = centres_KD[torch.randint(len(centres_KD), (tokens,))]
    return F.normalize(cosine * drawn + (1 - cosine**2) ** 0.5 * noise, dim=-1)


def trained(tokens: int, prototypes: int, dim: int, epsilon: float, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit tokens and prototypes after a short training of two small networks on noisy views of 500 classes."""
    torch.manual_seed(0)
    classes = torch.randn(500, 64)
    networks = [
        torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, dim)) for _ in range(2)
    ]
    centres = F.normalize(torch.randn(prototypes, dim), dim=-1).requires_grad_()
    optimizer = torch.optim.AdamW([centres, *networks[0].parameters(), *networks[1].parameters()], 1e-3)
    settings = ClusteringSettings(epsilon=epsilon)

    def view() -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            centres.copy_(F.normalize(centres, dim=-1))
        clean = classes[torch.randint(500, (tokens,))] + 0.5 * torch.randn(tokens, 64)
        return networks[0](clean), networks[1](clean + 0.5 * torch.randn(tokens, 64))

    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(clustering_loss(*view(), centres, settings).total)
        optimizer.step()
    with torch.no_grad():
        return F.normalize(view()[0], dim=-1), F.normalize(centres, dim=-1)


def changed(unit_MD: torch.Tensor, centres_KD: torch.Tensor, epsilon: float, kind: torch.dtype, wide: bool) -> float:
    """Return the share of hard assignments that differ from those of float32 scores."""
    narrow = [values.to(kind).float() if wide else values.to(kind) for values in (unit_MD, centres_KD)]
    both = [unit_MD @ centres_KD.t(), (narrow[0] @ narrow[1].t()).float()]
    labels = [codes(scores, balance(scores, epsilon, ITERATIONS), epsilon) for scores in both]
    return float((labels[0] != labels[1]).float().mean())


def dtypes(tokens: int, prototypes: int, dim: int, steps: int) -> None:
    torch.manual_seed(0)
    centres = F.normalize(torch.randn(prototypes, dim), dim=-1)
    sets = {"random directions": (F.normalize(torch.randn(tokens, dim), dim=-1), centres)}
    for cosine in (0.3, 0.6, 0.9):
        sets[f"cosine {cosine} to a prototype"] = (concentrated(tokens, centres, cosine), centres)
    print(f"M {tokens} K {prototypes} D {dim}: changed hard assignments, %; rounded scores / only rounded factors")
    for epsilon in (0.03, 0.05):
        found = {**sets, f"{steps} steps of training": trained(tokens, prototypes, dim, epsilon, steps)}
        for name, (unit, used) in found.items():
            spread = float((unit @ used.t()).std())
            shares = [
                f"{str(kind).removeprefix('torch.')} {100 * changed(unit, used, epsilon, kind, False):.2f} / "
                f"{100 * changed(unit, used, epsilon, kind, True):.2f}"
                for kind in (torch.bfloat16, torch.float16)
            ]
            print(f"  epsilon {epsilon}, {name} (deviation of scores {spread:.3f}): {', '.join(shares)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2 * MASKED, 8 * MASKED])
    parser.add_argument("--prototypes", type=int, nargs="+", default=[3000, 4000])
    parser.add_argument("--dim", type=int, nargs="+", default=[256, 768])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.05])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", action="store_true", help="compare assignments by type instead, at the first sizes")
    parser.add_argument("--steps", type=int, default=100, help="of the short training of --dtypes")
    found = parser.parse_args()
    torch.set_num_threads(1)
    if found.dtypes:
        dtypes(found.tokens[0], found.prototypes[0], found.dim[0], found.steps)
        return
    for sizes in itertools.product(found.tokens, found.prototypes, found.dim, found.epsilon):
        compare(*sizes, found.repeats, found.device)


if __name__ == "__main__":
    main()
