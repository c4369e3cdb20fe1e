"""Balanced soft assignments by Sinkhorn-Knopp, stable at any epsilon, over one process or many.

The result of the usual loop (divide all by the sum, rows to 1/K, columns to 1/M, ... , columns to 1) depends on the
scores only through one weight a prototype: a token's assignment is softmax over K of score / epsilon + log weight. The
K x M matrix is therefore never rewritten. An iteration reads it once, a block of rows at a time: the tokens' weights
of the block, then what the block adds to the prototypes' sums. Where exp(range / epsilon) would leave float32 the same
iteration runs on logarithms.
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
BLOCK, LARGE_BLOCK = 1 << 20, 1 << 24
"""Entries of a block of rows: on a processor what its last cache holds, on other devices memory they can spare."""
CHUNKS = 8
"""Parts of a row in the search for its largest entry."""


def row_blocks(rows: int, columns: int, device: torch.device) -> list[slice]:
    """Return slices that cut a matrix into blocks of whole rows, as large as is quick on the device; the first is full.

    On a processor a block is one that stays in cache; elsewhere it bounds the memory of what is computed on the way.
    """
    step = max(1, (BLOCK if device.type == "cpu" else LARGE_BLOCK) // columns)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


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
    return soft_codes(scores_MK, balance(scores_MK, epsilon, iterations, group), epsilon)


def balance(
    scores_MK: torch.Tensor, epsilon: float, iterations: int, group: dist.ProcessGroup | None = None
) -> torch.Tensor:
    """Return the log weights of the prototypes (K,), float32, without gradient: all that an assignment needs.

    They are fixed up to a constant, which no assignment depends on. Takes one scratch matrix of M x K float32.

    Args:
        scores_MK: As for `sinkhorn`, as are the other arguments and the errors.
        epsilon: Entropy weight.
        iterations: Sinkhorn iterations; 0 gives zeros.
        group: Processes that share the balance.

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
        low, high = torch.aminmax(scores)
        ends = torch.stack((high, -low))
        all_reduce(ends, dist.ReduceOp.MAX, group)
        top, negative_bottom = ends.tolist()
        if not (abs(top) < float("inf") and abs(negative_bottom) < float("inf")):
            raise FloatingPointError("scores hold infinite or undefined values")
        scratch_MK, sums_K = torch.empty_like(scores), scores.new_zeros(scores.shape[1])
        scaling = (top + negative_bottom) / epsilon <= SAFE_EXPONENT
        for rows in row_blocks(len(scores), len(sums_K), scores.device):
            block = torch.sub(scores[rows], top, out=scratch_MK[rows]).div_(epsilon)
            if scaling:
                add_rows(sums_K, block.exp_())
            else:
                block.clamp_(min=FLOOR)
        if scaling:
            return weights_by_scaling(scratch_MK, iterations, group, sums_K)
        return weights_by_logarithms(scratch_MK, iterations, group)


def soft_codes(scores_MK: torch.Tensor, log_weights_K: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return the assignments q (M, K), without gradient, of scores under the prototypes' log weights."""
    q_MK = torch.empty_like(scores_MK, dtype=log_weights_K.dtype)
    for rows in row_blocks(len(q_MK), len(log_weights_K), q_MK.device):
        q_MK[rows] = torch.softmax(_exponents(scores_MK[rows], log_weights_K, epsilon), 1)
    return q_MK


def codes(scores_MK: torch.Tensor, log_weights_K: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return the most likely prototype of each token (M,) under the prototypes' log weights."""
    labels_M = torch.empty(len(scores_MK), dtype=torch.long, device=scores_MK.device)
    for rows in row_blocks(len(scores_MK), len(log_weights_K), labels_M.device):
        labels_M[rows] = most_likely(_exponents(scores_MK[rows], log_weights_K, epsilon))
    return labels_M


def most_likely(values_BK: torch.Tensor) -> torch.Tensor:
    """Return the place of the largest entry of each row, of equal ones the first.

    Finding the largest value is several times quicker than finding its place, so the place is only sought within the
    part of the row that holds it.
    """
    rows, columns = values_BK.shape
    if columns % CHUNKS or columns <= CHUNKS**2:
        return values_BK.argmax(1)
    parts = values_BK.view(rows, CHUNKS, columns // CHUNKS)
    part = parts.amax(2).argmax(1)
    return parts[torch.arange(rows, device=part.device), part].argmax(1) + part * (columns // CHUNKS)


def add_rows(sums_K: torch.Tensor, values_BK: torch.Tensor) -> None:
    """Add the rows of a matrix to a vector."""
    sums_K.addmv_(values_BK.t(), values_BK.new_ones(len(values_BK)))


def _exponents(scores_BK: torch.Tensor, log_weights_K: torch.Tensor, epsilon: float) -> torch.Tensor:
    scores = scores_BK.detach().to(log_weights_K.dtype)
    return (scores - scores.amax(1, keepdim=True)).div_(epsilon).clamp_(min=FLOOR).add_(log_weights_K)


def weights_by_scaling(
    kernel_MK: torch.Tensor,
    iterations: int,
    group: dist.ProcessGroup | None,
    sums_K: torch.Tensor,
) -> torch.Tensor:
    """Return the log weights from exp(score / epsilon + constant), whose range must stay within e^`SAFE_EXPONENT`.

    Args:
        kernel_MK: The exponentials; they are read once an iteration.
        iterations: Sinkhorn iterations.
        group: Processes that share the balance.
        sums_K: Sums of the kernel over the tokens of this process; overwritten.
    """
    if iterations == 0:
        return kernel_MK.new_zeros(kernel_MK.shape[1])
    all_reduce(sums_K, dist.ReduceOp.SUM, group)
    for _ in range(iterations - 1):
        weights_K = sums_K.amin() / sums_K
        sums_K.zero_()
        for rows in row_blocks(len(kernel_MK), len(sums_K), kernel_MK.device):
            tokens = kernel_MK[rows].mv(weights_K).reciprocal_()
            sums_K.addmv_(kernel_MK[rows].t(), tokens)
        all_reduce(sums_K, dist.ReduceOp.SUM, group)
    return sums_K.amin().log() - sums_K.log()


def weights_by_logarithms(
    exponent_MK: torch.Tensor, iterations: int, group: dist.ProcessGroup | None = None
) -> torch.Tensor:
    """Return the log weights from score / epsilon + constant, whatever the range."""
    weights_K = exponent_MK.new_zeros(exponent_MK.shape[1])
    for iteration in range(iterations):
        high_K, sums_K = torch.full_like(weights_K, -torch.inf), torch.zeros_like(weights_K)
        for rows in row_blocks(len(exponent_MK), len(weights_K), exponent_MK.device):
            block = exponent_MK[rows]
            if iteration:
                block = block - torch.logsumexp(block + weights_K, 1, keepdim=True)
            higher_K = torch.maximum(high_K, block.amax(0))
            sums_K.mul_((high_K - higher_K).exp_()).add_((block - higher_K).exp_().sum(0))
            high_K = higher_K
        highest_K = high_K.clone()
        all_reduce(highest_K, dist.ReduceOp.MAX, group)
        sums_K.mul_((high_K - highest_K).exp_())
        all_reduce(sums_K, dist.ReduceOp.SUM, group)
        weights_K = -(highest_K + sums_K.log_())
        weights_K -= weights_K.amax()
    return weights_K


def all_reduce(values: torch.Tensor, op: dist.ReduceOp.RedOpType, group: dist.ProcessGroup | None) -> None:
    """Reduce in place over the processes of the group; None leaves the values as they are."""
    if group is not None:
        dist.all_reduce(values, op=op, group=group)
