"""Fitting a position table to the sizes an encoder is asked for, and saying so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import PositionReport
from sigma_bench.models.checkpoints.geometry import Policy
from sigma_bench.models.positions import Grid, interpolate, sincos_1d, sincos_3d

SAME, SAME_HALF = 1e-5, 1e-3
"""Largest difference of a stored table from the computed one that is rounding, in float32 and in half precision."""


@dataclass(frozen=True)
class Kind:
    """A fixed table: what it is called and how it is computed from grid and width."""

    name: str
    compute: Callable[[Grid, int], torch.Tensor]


FLAT = Kind("flat sine-cosine", lambda grid, dim: sincos_1d(math.prod(grid), dim))
SPACE_TIME = Kind("3-D sine-cosine", sincos_3d)


@dataclass(frozen=True)
class Request:
    """The grid a table is wanted for, the grid of the file's training (None: unknown) and how the two are reconciled.

    `policy` is the user's, `usual` that of the family's own code, taken where the user says nothing.
    """

    grid: Grid
    own: Grid | None
    dim: int
    policy: Policy | None
    usual: Policy
    path: Path


def fit(kind: Kind, request: Request, stored: torch.Tensor | None = None) -> tuple[torch.Tensor, PositionReport]:
    """Return the table (1, N, dim) in float32 and what was done to get it.

    Args:
        kind: The table of the family.
        request: The grids and the policy.
        stored: The table in the file (1, N_own, dim), without the row of a class token; its values are used as they
            are, also where they differ from the computed ones.

    Raises:
        UserError: The stored table does not fit the file's grid, or the policy cannot be followed.
    """
    own = _own_grid(request, stored)
    note, computable = "", True
    if stored is not None and own is not None:
        note, computable = _compared(kind, stored, own, request)
    if own is None or own == request.grid:
        if request.policy is not None and own is None:
            raise UserError(
                f"{request.path}: positions = '{request.policy}' asked for, but the file does not say for which frames "
                "and image size it was trained, so there is nothing to start from; leave it out"
            )
        table = kind.compute(request.grid, request.dim) if stored is None else stored.float()
        return table, _report(kind, request, stored, None if stored is None else own, "as is", note)
    policy = request.policy or request.usual
    if policy == "recompute":
        if not computable:
            raise UserError(
                f"{request.path}: its position table is not the computed one (it {note}), so it "
                f"cannot be recomputed for {_text(request.grid)}; ask for positions 'interpolate' or 'slice'"
            )
        table = kind.compute(request.grid, request.dim)
        return table, _report(kind, request, None, own, policy, note)
    base = kind.compute(own, request.dim) if stored is None else stored.float()
    table = interpolate(base, own, request.grid) if policy == "interpolate" else _first_rows(base, own, request)
    return table, _report(kind, request, stored, own, policy, note)


def _own_grid(request: Request, stored: torch.Tensor | None) -> Grid | None:
    if stored is None:
        return request.own
    for grid in (request.own, request.grid):
        if grid is not None and stored.shape == (1, math.prod(grid), request.dim):
            return grid
    wanted = request.own or request.grid
    raise UserError(
        f"{request.path}: its position table has shape {tuple(stored.shape)}; expected (1, {math.prod(wanted)}, "
        f"{request.dim}) for a grid of {_text(wanted)} tokens; give the frames and image size it was trained with"
    )


def _compared(kind: Kind, stored: torch.Tensor, own: Grid, request: Request) -> tuple[str, bool]:
    """Return how far a stored table is from the computed one, in words, and whether it is the same but for rounding."""
    difference = float((stored.float() - kind.compute(own, request.dim)).abs().max())
    same = difference <= (SAME if stored.dtype == torch.float32 else SAME_HALF)
    return ("equal to the computed one" if same else f"differs from the computed one by up to {difference:.3g}"), same


def _first_rows(base: torch.Tensor, own: Grid, request: Request) -> torch.Tensor:
    if own[1:] != request.grid[1:] or request.grid[0] > own[0]:
        raise UserError(
            f"{request.path}: positions = 'slice' takes the first rows of the table, so it needs the same height and "
            f"width and no more frames; the file has {_text(own)} tokens (time x height x width), asked are "
            f"{_text(request.grid)}"
        )
    return base[:, : math.prod(request.grid)]


def _report(
    kind: Kind, request: Request, stored: torch.Tensor | None, own: Grid | None, policy: str, note: str
) -> PositionReport:
    return PositionReport(kind.name, "computed" if stored is None else "stored", request.grid, own, policy, note)


def _text(grid: Grid) -> str:
    return "x".join(map(str, grid))
