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
and K x D: one M x K matrix in float32 (4 M K bytes) plus one block of rows; with weights given, the block alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from sigma_bench.losses.sinkhorn import (
    SAFE_EXPONENT,
    add_rows,
    all_reduce,
    most_likely,
    row_blocks,
    weights_by_logarithms,
    weights_by_scaling,
)


@dataclass(frozen=True)
class ClusteringSettings:
    """How scores become assignments and losses.

    Attributes:
        epsilon: Entropy weight of the assignments.
        iterations: Sinkhorn iterations.
        temperature: Divides the scores in the cross entropy.
        hard: Use the most likely prototype as the class (the released code); otherwise the whole distribution (the
            paper's equations).
        scores: Type of the matrix products; sums, exponentials and losses are float32, or float64 with float64.
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
TakeBlock = Callable[[slice, torch.Tensor], None]
TakeLikelihoods = Callable[[slice, torch.Tensor, torch.Tensor], None]


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
        wide = _wide(settings)
        first_MD, second_MD = (F.normalize(x.to(wide), dim=-1, eps=1e-12) for x in (projected_MD, decoded_MD))
        prototypes = prototypes_KD.to(wide)
        bound = _bound((projected_MD, decoded_MD), prototypes, group)
        run = _Run(settings, bound, group, watch)
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
        prototypes = prototypes_KD.detach().to(_wide(settings))
        run = _Run(settings, _bound((*projected, *decoded), prototypes, group), group)
        longest = max(len(piece) for piece in projected)
        kernel_MK = prototypes.new_empty(sum(len(piece) for piece in projected), len(prototypes))
        room_BK = _room(longest, prototypes)
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


@dataclass(frozen=True)
class _Run:
    """Settings of a call, and how its scores may be exponentiated given that none is larger than `bound`."""

    settings: ClusteringSettings
    bound: float
    group: dist.ProcessGroup | None = None
    watch: bool = False

    @property
    def scaling(self) -> bool:
        return 2 * self.bound / self.settings.epsilon <= SAFE_EXPONENT

    @property
    def shifted(self) -> bool:
        return self.bound / self.settings.temperature > SAFE_EXPONENT / 2

    @property
    def exact(self) -> bool:
        """Whether products are taken in the type of everything else."""
        return self.settings.scores == _wide(self.settings)

    def product(self, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        if self.exact:
            return torch.mm(a, b, out=out)
        return out.copy_(torch.mm(a.to(self.settings.scores), b.to(self.settings.scores)))

    def add_product(self, total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, sign: int) -> None:
        if self.exact:
            total.addmm_(a, b, alpha=sign)
        else:
            total.add_(torch.mm(a.to(self.settings.scores), b.to(self.settings.scores)), alpha=sign)

    def logits(self, unit_BD: torch.Tensor, prototypes_KD: torch.Tensor, room_BK: torch.Tensor) -> torch.Tensor:
        """Return score / temperature, written over the room's first rows."""
        out_BK = room_BK[: len(unit_BD)]
        return self.product(unit_BD, prototypes_KD.t(), out_BK).mul_(1 / self.settings.temperature)

    def exponents(self, logits_BK: torch.Tensor, out_BK: torch.Tensor) -> torch.Tensor:
        """Return score / epsilon."""
        return torch.mul(logits_BK, self.settings.temperature / self.settings.epsilon, out=out_BK)

    def kernel(self, logits_BK: torch.Tensor, out_BK: torch.Tensor, sums_K: torch.Tensor) -> None:
        """Write what Sinkhorn reads and add it to the sums over tokens."""
        self.exponents(logits_BK, out_BK)
        if self.scaling:
            add_rows(sums_K, out_BK.exp_())

    def balance(self, kernel_MK: torch.Tensor, sums_K: torch.Tensor) -> torch.Tensor:
        """Return the log weights of the prototypes from the whole kernel."""
        if self.scaling:
            return weights_by_scaling(kernel_MK, self.settings.iterations, self.group, sums_K)
        return weights_by_logarithms(kernel_MK, self.settings.iterations, self.group)


class _Branch:
    """One branch: its tokens, and what `read` and `assign` leave of their scores.

    Attributes:
        unit_MD: Tokens of unit length.
        lse_M: log sum over prototypes of exp(score / temperature).
        pull_MD: The prototypes' mean under softmax(score / temperature), p C; None unless the tokens need a gradient.
        labels_M: Most likely prototype of each token under the balanced assignment.
        mean_MD: The prototypes' mean under that assignment, q C.
        entropy: Sum of the entropies of the tokens' assignments, or None.
    """

    def __init__(self, run: _Run, unit_MD: torch.Tensor, prototypes_KD: torch.Tensor, needs_gradient: bool) -> None:
        self._run, self.unit_MD, self._prototypes = run, unit_MD, prototypes_KD
        self.lse_M = unit_MD.new_empty(len(unit_MD))
        self.pull_MD = torch.empty_like(unit_MD) if needs_gradient else None
        self.labels_M = torch.empty(len(unit_MD), dtype=torch.long, device=unit_MD.device)
        self._mean_MD = None if run.settings.hard else torch.empty_like(unit_MD)
        self.entropy: torch.Tensor | None = None

    @property
    def mean_MD(self) -> torch.Tensor:  # noqa: N802
        return self._prototypes[self.labels_M] if self._mean_MD is None else self._mean_MD

    def read(self, room_BK: torch.Tensor, keep: TakeBlock, learn: TakeLikelihoods | None) -> None:
        """Go once over the scores: fill `lse_M` and `pull_MD`, hand blocks to `keep` and to what learns from p."""
        run = self._run
        for rows in row_blocks(len(self.unit_MD), len(self._prototypes), self.unit_MD.device):
            logits_BK = run.logits(self.unit_MD[rows], self._prototypes, room_BK)
            keep(rows, logits_BK)
            high_B1 = logits_BK.amax(1, keepdim=True) if run.shifted else None
            likelihoods_BK = (logits_BK if high_B1 is None else logits_BK.sub_(high_B1)).exp_()
            sums_B1 = likelihoods_BK.sum(1, keepdim=True)
            self.lse_M[rows] = (sums_B1.log() if high_B1 is None else sums_B1.log().add_(high_B1)).squeeze(1)
            if not run.exact:  # a narrow type needs values of at most 1
                likelihoods_BK, sums_B1 = likelihoods_BK.div_(sums_B1), torch.ones_like(sums_B1)
            if self.pull_MD is not None:
                run.product(likelihoods_BK, self._prototypes, self.pull_MD[rows]).div_(sums_B1)
            if learn is not None:
                learn(rows, likelihoods_BK, sums_B1)

    def assign(self, rows: slice, values_BK: torch.Tensor, exponential: bool, learn: TakeBlock | None) -> None:
        """Take the weighted exponents of a block, or their exponentials, as its assignments, which may be taught."""
        self.labels_M[rows] = most_likely(values_BK)
        if self._mean_MD is None and self.entropy is None:
            return
        q_BK = values_BK.div_(values_BK.sum(1, keepdim=True)) if exponential else torch.softmax(values_BK, 1)
        if self.entropy is not None:
            self.entropy += torch.special.entr(q_BK).sum()
        if self._mean_MD is not None:
            self._run.product(q_BK, self._prototypes, self._mean_MD[rows])
            if learn is not None:
                learn(rows, q_BK)


def _scan(
    branch: _Branch,
    run: _Run,
    given_K: torch.Tensor | None,
    space: _Space,
    learn_p: TakeLikelihoods | None,
    learn_q: TakeBlock | None,
) -> None:
    """Read a branch and assign its tokens, by the given log weights or by those that balance them."""
    room_BK, kernel_MK = space.room_BK, space.kernel_MK
    if given_K is not None:
        weights_K = given_K

        def at_once(rows: slice, logits_BK: torch.Tensor) -> None:
            values_BK = run.exponents(logits_BK, kernel_MK[: len(logits_BK)]).add_(weights_K)
            branch.assign(rows, values_BK, False, learn_q)

        branch.read(room_BK, at_once, learn_p)
        return
    sums_K = kernel_MK.new_zeros(kernel_MK.shape[1])
    branch.read(room_BK, lambda rows, logits_BK: run.kernel(logits_BK, kernel_MK[rows], sums_K), learn_p)
    balanced_K = run.balance(kernel_MK, sums_K)
    if run.scaling:
        balanced_K.exp_()
    weigh = torch.mul if run.scaling else torch.add
    for rows in row_blocks(len(kernel_MK), len(balanced_K), kernel_MK.device):
        values_BK = weigh(kernel_MK[rows], balanced_K, out=room_BK[: rows.stop - rows.start])
        branch.assign(rows, values_BK, run.scaling, learn_q)


@dataclass(frozen=True)
class _Space:
    """Memory that both branches use: a block of scores, and what Sinkhorn reads (a block where nothing is balanced)."""

    room_BK: torch.Tensor
    kernel_MK: torch.Tensor


def _room(rows: int, prototypes_KD: torch.Tensor) -> torch.Tensor:
    block = row_blocks(rows, len(prototypes_KD), prototypes_KD.device)[0]
    return prototypes_KD.new_empty(block.stop, len(prototypes_KD))


class _Clustering(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        first_MD: torch.Tensor,
        second_MD: torch.Tensor,
        prototypes_KD: torch.Tensor,
        run: _Run,
        weights: Weights | None,
    ) -> tuple[torch.Tensor | None, ...]:
        wants_first, wants_second, wants_prototypes = ctx.needs_input_grad[:3]
        scale = len(first_MD) * run.settings.temperature
        push_KD = torch.zeros_like(prototypes_KD)
        first = _Branch(run, first_MD, prototypes_KD, wants_first)
        second = _Branch(run, second_MD, prototypes_KD, wants_second)
        first.entropy = first_MD.new_zeros(()) if run.watch else None

        def learn_p(rows: slice, likelihoods_BK: torch.Tensor, sums_B1: torch.Tensor) -> None:
            if run.settings.hard:
                likelihoods_BK.scatter_add_(1, second.labels_M[rows].unsqueeze(1), -sums_B1)
            run.add_product(push_KD, likelihoods_BK.t(), first_MD[rows] / sums_B1, 1)

        def learn_q(rows: slice, q_BK: torch.Tensor) -> None:
            run.add_product(push_KD, q_BK.t(), first_MD[rows], -1)

        room_BK = _room(len(first_MD), prototypes_KD)
        kernel_MK = torch.empty_like(room_BK) if weights else room_BK.new_empty(len(first_MD), len(prototypes_KD))
        space = _Space(room_BK, kernel_MK)
        given1_K, given2_K = weights or (None, None)
        _scan(second, run, given2_K, space, None, learn_q if wants_prototypes else None)
        _scan(first, run, given1_K, space, learn_p if wants_prototypes else None, None)

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


def _wide(settings: ClusteringSettings) -> torch.dtype:
    return torch.promote_types(settings.scores, torch.float32)


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
