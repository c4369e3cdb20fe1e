"""One branch of the clustering loss: from its tokens to likelihoods, assignments and what gradients need of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from sigma_bench.losses.sinkhorn import (
    SAFE_EXPONENT,
    add_rows,
    most_likely,
    row_blocks,
    weights_by_logarithms,
    weights_by_scaling,
)

if TYPE_CHECKING:
    from sigma_bench.losses.clustering import ClusteringSettings

TakeBlock = Callable[[slice, torch.Tensor], None]
TakeLikelihoods = Callable[[slice, torch.Tensor, torch.Tensor], None]


def wide_type(settings: ClusteringSettings) -> torch.dtype:
    """Return the type of all that is no matrix product: float32, or float64 where products are."""
    return torch.promote_types(settings.scores, torch.float32)


def room(rows: int, prototypes_KD: torch.Tensor) -> torch.Tensor:
    """Return memory for the scores of the longest block of so many rows."""
    block = row_blocks(rows, len(prototypes_KD), prototypes_KD.device)[0]
    return prototypes_KD.new_empty(block.stop, len(prototypes_KD))


@dataclass(frozen=True)
class Space:
    """Memory that both branches use: a block of scores, and what Sinkhorn reads (a block where nothing is balanced)."""

    room_BK: torch.Tensor
    kernel_MK: torch.Tensor


@dataclass(frozen=True)
class Call:
    """Settings of a call, and how its scores may be exponentiated given that none is larger than `bound`."""

    settings: ClusteringSettings
    bound: float
    group: dist.ProcessGroup | None = None
    watch: bool = False

    @property
    def scaling(self) -> bool:
        """Whether exp(score / epsilon) fits its type, so that Sinkhorn need not run on logarithms."""
        return 2 * self.bound / self.settings.epsilon <= SAFE_EXPONENT

    @property
    def shifted(self) -> bool:
        """Whether exp(score / temperature) may leave its type unless the row's largest is taken off first."""
        return self.bound / self.settings.temperature > SAFE_EXPONENT / 2

    @property
    def exact(self) -> bool:
        """Whether products are taken in the type of everything else."""
        return self.settings.scores == wide_type(self.settings)

    def product(self, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Write a matrix product, taken in the type of the scores."""
        return torch.mm(a, b, out=out) if self.exact else out.copy_(self._narrow_product(a, b))

    def add_product(self, total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, sign: int) -> None:
        """Add or subtract a matrix product."""
        if self.exact:
            total.addmm_(a, b, alpha=sign)
        else:
            total.add_(self._narrow_product(a, b), alpha=sign)

    def _narrow_product(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = a.to(self.settings.scores), b.to(self.settings.scores)
        return torch.mm(a, b, out_dtype=torch.float32) if a.is_cuda else torch.mm(a, b)

    def logits(self, unit_BD: torch.Tensor, prototypes_KD: torch.Tensor, room_BK: torch.Tensor) -> torch.Tensor:
        """Return score / temperature, written over the room's first rows."""
        return self.product(unit_BD / self.settings.temperature, prototypes_KD.t(), room_BK[: len(unit_BD)])

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


class Branch:
    """One branch: its tokens, and what `read` and `assign` leave of their scores.

    Attributes:
        unit_MD: Tokens of unit length.
        lse_M: log sum over prototypes of exp(score / temperature).
        pull_MD: The prototypes' mean under softmax(score / temperature), p C; None unless the tokens need a gradient.
        labels_M: Most likely prototype of each token under the balanced assignment.
        mean_MD: The prototypes' mean under that assignment, q C.
        entropy: Sum of the entropies of the tokens' assignments, or None.
    """

    def __init__(self, run: Call, unit_MD: torch.Tensor, prototypes_KD: torch.Tensor, needs_gradient: bool) -> None:
        self._run, self.unit_MD, self._prototypes = run, unit_MD, prototypes_KD
        self.lse_M = unit_MD.new_empty(len(unit_MD))
        self.pull_MD = torch.empty_like(unit_MD) if needs_gradient else None
        self.labels_M = torch.empty(len(unit_MD), dtype=torch.long, device=unit_MD.device)
        self._mean_MD = None if run.settings.hard else torch.empty_like(unit_MD)
        self.entropy: torch.Tensor | None = None

    @property
    def mean_MD(self) -> torch.Tensor:  # noqa: D102, N802
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


def scan(
    branch: Branch,
    run: Call,
    given_K: torch.Tensor | None,
    space: Space,
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
