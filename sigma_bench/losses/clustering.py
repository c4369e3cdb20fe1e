"""The clustering loss of SIGMA from network outputs to gradients, with at most one M x K matrix.

loss = CE(s1 / temperature, q2) + CE(s2 / temperature, q1), with s = normalize(x) C^T (paper, Eq. 5 to 7).

What is computed, and what is not. With p = softmax(s / temperature) of one branch and q the assignments of the other,
loss and gradient of a token x need the scores only through four things:

    loss = lse - x (q C) / temperature        d loss / dx = (p C - q C) / temperature
    d loss / dC = (p - q)^T x / temperature   log weights of the prototypes (see `sinkhorn`)

so the scores of a block of rows are computed, turned into p, lse, p C and exp(s / epsilon) while they are in cache,
and dropped. Only exp(s / epsilon) is kept, because Sinkhorn reads it at each iteration; the other branch then takes its
place. Hard assignments make q C a look-up of rows of C. That leaves the five matrix products which no implementation
can avoid (s1, s2, d x1, d x2, dC); soft assignments cost three more.

Gradients are ready when the loss is, so nothing of size M x K outlives the call. Peak memory, beside tensors of M x D
and K x D: one M x K matrix in float32 (4 M K bytes) and a block of rows; with weights given, two blocks alone. A block
is 4 MiB on a processor and 64 MiB on other devices, at most; watching, soft assignments and narrow products take up to
three more of them. Autograd over whole matrices holds five M x K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from sigma_bench.losses.branch import Branch, Call, Space, room, scan, wide_type
from sigma_bench.losses.sinkhorn import all_reduce, row_blocks


@dataclass(frozen=True)
class ClusteringSettings:
    """How scores become assignments and losses.

    Attributes:
        epsilon: Entropy weight of the assignments.
        iterations: Sinkhorn iterations.
        temperature: Divides the scores in the cross entropy.
        hard: Use the most likely prototype as the class (the released code); otherwise the whole distribution (the
            paper's equations).
        scores: Type of the matrix products; sums, exponentials and losses are float32, or float64 with float64. On a
            GPU bfloat16 and float16 round the factors, elsewhere the scores too; benchmarks/clustering_loss.py tells
            how many assignments that changes (0.3 % and 3 % with bfloat16 at epsilon 0.03 after a short training).
    """

    epsilon: float = 0.05
    iterations: int = 10
    temperature: float = 0.1
    hard: bool = True
    scores: torch.dtype = torch.float32


class ClusteringLoss(NamedTuple):
    """The loss and what it was made of; only `total` carries a gradient.

    Attributes:
        total: Sum of both cross entropies.
        first: Cross entropy of the projected targets against the decoder's assignments.
        second: Cross entropy of the decoder against the assignments of the projected targets.
        labels1_M: Most likely prototype of each projected target.
        labels2_M: Most likely prototype of each decoded token.
        entropy1: Mean entropy of a projected target's assignment, nats; None unless asked for.
    """

    total: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    labels1_M: torch.Tensor
    labels2_M: torch.Tensor
    entropy1: torch.Tensor | None


Weights = tuple[torch.Tensor, torch.Tensor]


def clustering_loss(
    projected_MD: torch.Tensor,
    decoded_MD: torch.Tensor,
    prototypes_KD: torch.Tensor,
    settings: ClusteringSettings,
    group: dist.ProcessGroup | None = None,
    weights: Weights | None = None,
    watch: bool = False,
) -> ClusteringLoss:
    """Return the swapped clustering loss of M tokens; its gradients are computed along the way.

    Args:
        projected_MD: Projected targets as the network gives them, any float type; scaled to unit length here, and the
            gradient passes through that. Trains the projection and the prototypes.
        decoded_MD: Decoder outputs of the same tokens. Trains encoder and decoder; sees the prototypes as constants.
        prototypes_KD: Prototypes as they are used; their owner scales them to unit length beforehand.
        settings: Assignments and cross entropy.
        group: Processes that share the balance of the assignments; None balances over these tokens alone.
        weights: Log weights of the prototypes for the assignments of either branch, from `balance_weights`. Given them,
            nothing is balanced here and `group` is only asked whether its inputs are finite.
        watch: Also return `entropy1`.

    Raises:
        ValueError: The inputs are not M x D, M x D and K x D, or a setting is out of its range.
        FloatingPointError: An input of some process of the group is infinite, not a number, or so large that the
            square of its length is.
    """
    _check(projected_MD, decoded_MD, prototypes_KD, settings)
    with torch.autocast(prototypes_KD.device.type, enabled=False):
        wide = wide_type(settings)
        first_MD, second_MD = (F.normalize(x.to(wide), dim=-1, eps=1e-12) for x in (projected_MD, decoded_MD))
        prototypes = prototypes_KD.to(wide)
        bound = _bound((projected_MD, decoded_MD), prototypes, group)
        run = Call(settings, bound, group, watch)
        found = _Clustering.apply(first_MD, second_MD, prototypes, run, weights)
        return ClusteringLoss(*found)


def balance_weights(
    projected: Sequence[torch.Tensor],
    decoded: Sequence[torch.Tensor],
    prototypes_KD: torch.Tensor,
    settings: ClusteringSettings,
    group: dist.ProcessGroup | None = None,
) -> Weights:
    """Return the log weights (K,) of either branch, balanced over the union of the pieces of all processes.

    The first pass of an exact accumulation: `clustering_loss` with these weights on each piece, averaged, is the loss
    of all pieces at once. Holds one matrix of all tokens x K in float32, one branch at a time.

    Args:
        projected: Projected targets of every micro-batch, (M_i, D) each.
        decoded: Decoder outputs of every micro-batch.
        prototypes_KD: Prototypes as they are used.
        settings: Assignments.
        group: Processes that share the balance.

    Raises:
        ValueError: A piece has no D columns, or a setting is out of its range.
        FloatingPointError: As for `clustering_loss`.
    """
    for pair in zip(projected, decoded, strict=True):
        _check(*pair, prototypes_KD, settings)
    with torch.no_grad(), torch.autocast(prototypes_KD.device.type, enabled=False):
        prototypes = prototypes_KD.detach().to(wide_type(settings))
        run = Call(settings, _bound((*projected, *decoded), prototypes, group), group)
        longest = max(len(piece) for piece in projected)
        kernel_MK = prototypes.new_empty(sum(len(piece) for piece in projected), len(prototypes))
        room_BK = room(longest, prototypes)
        found = []
        for pieces in (decoded, projected):
            sums_K, start = prototypes.new_zeros(len(prototypes)), 0
            for piece in pieces:
                unit_MD = F.normalize(piece.detach().to(prototypes.dtype), dim=-1, eps=1e-12)
                for rows in row_blocks(len(piece), len(prototypes), prototypes.device):
                    block = kernel_MK[start : start + rows.stop - rows.start]
                    run.kernel(run.logits(unit_MD[rows], prototypes, room_BK), block, sums_K)
                    start += len(block)
            found.append(run.balance(kernel_MK, sums_K))
        return found[1], found[0]


class _Clustering(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        first_MD: torch.Tensor,
        second_MD: torch.Tensor,
        prototypes_KD: torch.Tensor,
        run: Call,
        weights: Weights | None,
    ) -> tuple[torch.Tensor | None, ...]:
        wants_first, wants_second, wants_prototypes = ctx.needs_input_grad[:3]
        scale = len(first_MD) * run.settings.temperature
        push_KD = torch.zeros_like(prototypes_KD)
        first = Branch(run, first_MD, prototypes_KD, wants_first)
        second = Branch(run, second_MD, prototypes_KD, wants_second)
        first.entropy = first_MD.new_zeros(()) if run.watch else None

        def learn_p(rows: slice, likelihoods_BK: torch.Tensor, sums_B1: torch.Tensor) -> None:
            if run.settings.hard:
                each = torch.arange(len(likelihoods_BK), device=likelihoods_BK.device)
                likelihoods_BK[each, second.labels_M[rows]] -= sums_B1.squeeze(1)
            run.add_product(push_KD, likelihoods_BK.t(), first_MD[rows] / sums_B1, 1)

        def learn_q(rows: slice, q_BK: torch.Tensor) -> None:
            run.add_product(push_KD, q_BK.t(), first_MD[rows], -1)

        room_BK = room(len(first_MD), prototypes_KD)
        kernel_MK = torch.empty_like(room_BK) if weights else room_BK.new_empty(len(first_MD), len(prototypes_KD))
        space = Space(room_BK, kernel_MK)
        given1_K, given2_K = weights or (None, None)
        scan(second, run, given2_K, space, None, learn_q if wants_prototypes else None)
        scan(first, run, given1_K, space, learn_p if wants_prototypes else None, None)

        losses, gradients = [], []
        for branch, other in ((first, second), (second, first)):
            mean_MD = other.mean_MD
            agreement_M = (branch.unit_MD * mean_MD).sum(1)
            losses.append((branch.lse_M - agreement_M / run.settings.temperature).mean())
            pull_MD = branch.pull_MD
            gradients.append(None if pull_MD is None else pull_MD.sub_(mean_MD).div_(scale))
        ctx.save_for_backward(*gradients, push_KD.div_(scale) if wants_prototypes else None)
        entropy = None if first.entropy is None else first.entropy / len(first_MD)
        rest = (*losses, first.labels_M, second.labels_M, entropy)
        ctx.mark_non_differentiable(*(value for value in rest if value is not None))
        return (losses[0] + losses[1], *rest)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        return *(None if saved is None else saved * grad for saved in ctx.saved_tensors), None, None


def _bound(tokens: Sequence[torch.Tensor], prototypes_KD: torch.Tensor, group: dist.ProcessGroup | None) -> float:
    """Return the largest absolute score that unit tokens can have, the same on all processes of the group."""
    with torch.no_grad():
        longest = torch.linalg.vector_norm(prototypes_KD, dim=1).amax()
        lengths = [torch.linalg.vector_norm(x.to(prototypes_KD.dtype), dim=-1).amax() for x in tokens]
        undefined = ~torch.stack((*lengths, longest)).isfinite().all()
        ends = torch.stack((longest, undefined.to(longest.dtype)))
        all_reduce(ends, dist.ReduceOp.MAX, group)
        bound, undefined_somewhere = ends.tolist()
    if undefined_somewhere:
        raise FloatingPointError("network outputs or prototypes hold infinite or undefined values")
    return float(bound)


def _check(
    projected_MD: torch.Tensor, decoded_MD: torch.Tensor, prototypes_KD: torch.Tensor, settings: ClusteringSettings
) -> None:
    shapes = [tuple(values.shape) for values in (projected_MD, decoded_MD, prototypes_KD)]
    fitting = all(len(shape) == 2 and min(shape) for shape in shapes)
    if not fitting or shapes[0] != shapes[1] or shapes[0][1] != shapes[2][1]:
        raise ValueError(f"clustering needs filled tensors M x D, M x D and K x D; got shapes {shapes}")
    if settings.epsilon <= 0 or settings.temperature <= 0 or settings.iterations < 0:
        raise ValueError(f"clustering needs epsilon > 0, temperature > 0 and iterations >= 0; got {settings}")
