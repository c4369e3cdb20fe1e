"""Balanced soft assignments by Sinkhorn-Knopp, stable at any epsilon, over one process or many.

The result of the usual loop (divide all by the sum, rows to 1/K, columns to 1/M, ... , columns to 1) depends on the
scores only through two scaling vectors, so the K x M matrix is never rewritten: each iteration is two matrix-vector
products. Where exp(range / epsilon) would leave float32 the same iteration runs on logarithms.
"""

from __future__ import annotations

import torch
import torch.distributed as dist

SAFE_EXPONENT = 68.0
"""Largest (max - min) / epsilon of the scaling form. With the prototype weights at most 1, every sum it takes then
stays within e^-68 and M e^68, and of a sum over 3000 prototypes less than 1e-4 can underflow in the worst case. Cosine
scores at epsilon 0.03 stay below it whatever they are (2 / 0.03 = 66.7)."""
FLOOR = -1e30
"""Lowest exponent of the logarithmic form; keeps differences of any float32 scores finite."""


def sinkhorn(
    scores_MK: torch.Tensor, epsilon: float, iterations: int, group: dist.ProcessGroup | None = None
) -> torch.Tensor:
    """Return the assignments q (M, K), float32, without gradient: each token's row sums to 1, prototypes are balanced.

    Args:
        scores_MK: Similarities of M tokens to K prototypes, any float type.
        epsilon: Entropy weight; the smaller, the harder the assignment.
        iterations: Sinkhorn iterations; 0 gives a softmax over the prototypes.
        group: Processes that share the balance; sums over tokens then run over all their tokens, which gives the result
            of one process on their union. None balances the tokens of this process alone.

    Raises:
        ValueError: `epsilon` is not positive, `iterations` negative, or the scores are no matrix with entries.
        FloatingPointError: A score is infinite or not a number.
    """
    if epsilon <= 0 or iterations < 0 or scores_MK.ndim != 2 or scores_MK.numel() == 0:
        raise ValueError(
            f"sinkhorn needs a filled matrix, epsilon > 0 and iterations >= 0; "
            f"got shape {tuple(scores_MK.shape)}, epsilon {epsilon}, iterations {iterations}"
        )
    with torch.no_grad(), torch.autocast(scores_MK.device.type, enabled=False):
        scores = scores_MK.detach().float()
        ends = torch.stack((scores.amax(), -scores.amin()))
        _all_reduce(ends, dist.ReduceOp.MAX, group)
        high, negative_low = ends.tolist()
        if not (abs(high) < float("inf") and abs(negative_low) < float("inf")):
            raise FloatingPointError("scores hold infinite or undefined values")
        exponent = ((scores - high) / epsilon).clamp_(min=FLOOR)
        if (high + negative_low) / epsilon <= SAFE_EXPONENT:
            return _by_scaling(exponent.exp_(), iterations, group)
        return _by_logarithms(exponent, iterations, group)


def _by_scaling(kernel_MK: torch.Tensor, iterations: int, group: dist.ProcessGroup | None) -> torch.Tensor:
    tokens_M = kernel_MK.new_ones(kernel_MK.shape[0])
    prototypes_K = kernel_MK.new_ones(kernel_MK.shape[1])
    for _ in range(iterations):
        sums_K = kernel_MK.t().mv(tokens_M)
        _all_reduce(sums_K, dist.ReduceOp.SUM, group)
        prototypes_K = sums_K.amin() / sums_K
        tokens_M = kernel_MK.mv(prototypes_K).reciprocal_()
    q_MK = kernel_MK.mul_(prototypes_K)
    return q_MK.div_(q_MK.sum(1, keepdim=True))


def _by_logarithms(exponent_MK: torch.Tensor, iterations: int, group: dist.ProcessGroup | None) -> torch.Tensor:
    tokens_M1 = exponent_MK.new_zeros(exponent_MK.shape[0], 1)
    prototypes_K = exponent_MK.new_zeros(exponent_MK.shape[1])
    for _ in range(iterations):
        prototypes_K = -_log_sum_over_tokens(exponent_MK + tokens_M1, group)
        prototypes_K -= prototypes_K.amax()
        tokens_M1 = -torch.logsumexp(exponent_MK + prototypes_K, 1, keepdim=True)
    return torch.softmax(exponent_MK + prototypes_K, 1)


def _log_sum_over_tokens(values_MK: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    high_K = values_MK.amax(0)
    _all_reduce(high_K, dist.ReduceOp.MAX, group)
    sums_K = (values_MK - high_K).exp_().sum(0)
    _all_reduce(sums_K, dist.ReduceOp.SUM, group)
    return high_K + sums_K.log_()


def _all_reduce(values: torch.Tensor, op: dist.ReduceOp.RedOpType, group: dist.ProcessGroup | None) -> None:
    if group is not None:
        dist.all_reduce(values, op=op, group=group)
