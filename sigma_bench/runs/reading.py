"""How a checkpoint file is read, where the file does not say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """How a checkpoint file is read beside its family and heads; None leaves it to the file (see `load_encoder`)."""

    frames: int | None = None
    image_size: int | None = None
    positions: Any = None
    weights: str | None = None
    head: str | None = None
    """"require": the classifier in the file is kept, and must be there; None drops it."""

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for: it changes numbers."""
        return {name: value for name, value in asdict(self).items() if value is not None}


AS_STORED = Reading()
