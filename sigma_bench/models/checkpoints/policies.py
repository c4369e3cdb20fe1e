"""Ways of fitting position tables that a family cannot follow: refused, never ignored."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.geometry import Asked, Policy


def check(asked: Asked, followed: tuple[Policy, ...], how: str, path: Path) -> None:
    """Refuse what the user asks for where it is not one of `followed`; `how` says what the family does.

    Raises:
        UserError: Another policy is asked for.
    """
    if asked.positions is not None and asked.positions not in followed:
        instead = f"ask for {' or '.join(map(repr, followed))}, or leave it out" if followed else "leave it out"
        raise UserError(f"{path}: positions = '{asked.positions}' cannot be followed: {how}; {instead}")
