"""RandAugment of whole clips, on frames as they were decoded; it runs in decoding processes, without torch.

The operations are timm's, on pictures; which of them and how strong is drawn once a clip, from seed words.
"""

from __future__ import annotations

import importlib.util
import re
import threading
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sigma_bench.contracts import UserError

FILL = (128, 128, 128)
"""Colour of what a shift, shear or turn brings into the frame."""
STREAM = 0x52414E44
"""Last seed word: keeps these draws apart from those of frames and boxes."""
KEYS = {"m": "magnitude", "n": "layers", "mstd": "deviation", "p": "probability", "inc": "increasing"}
EXAMPLE = "rand-m7-n4-mstd0.5-inc1"
_ONE_AT_A_TIME = threading.Lock()


class Operation(NamedTuple):
    """An operation that was drawn: its name in timm, and its arguments."""

    name: str
    arguments: tuple[float, ...]


@dataclass(frozen=True)
class RandAugment:
    """Some operations on the colours or the geometry of a clip (Cubuk et al., 2020), the same ones for all its frames.

    The defaults are those of the VideoMAE family, rand-m7-n4-mstd0.5-inc1; SIGMA's paper has magnitude 9. The
    set of operations, their strengths and the order of draws are those of timm's `rand_augment_transform`, with
    bicubic interpolation.

    Attributes:
        magnitude: Mean strength, 0 to 10.
        layers: Operations drawn, with replacement.
        deviation: Standard deviation of the strength, which is then clipped to 0 to 10.
        probability: Share of the drawn operations that are carried out.
        increasing: Draw from the operations that all grow stronger with the magnitude.
    """

    magnitude: float = 7
    layers: int = 4
    deviation: float = 0.5
    probability: float = 0.5
    increasing: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: One is out of its range.
        """
        wrong = [
            f"{field.name} {getattr(self, field.name)} (expected {expected})"
            for field, expected, holds in zip(
                fields(self)[:4],
                ("0 to 10", "at least 1", "at least 0", "0 to 1"),
                (0 <= self.magnitude <= 10, self.layers >= 1, self.deviation >= 0, 0 <= self.probability <= 1),
                strict=True,
            )
            if not holds
        ]
        if wrong:
            raise UserError(f"RandAugment: {', '.join(wrong)}")

    @classmethod
    def parse(cls, text: str) -> RandAugment:
        """Return what timm's short form means ("rand-m7-n4-mstd0.5-inc1"); what it leaves out is timm's default.

        Raises:
            UserError: It is not of that form, or has a part that is not supported.
        """
        found: dict[str, float] = {"m": 10, "n": 2, "mstd": 0, "p": 0.5, "inc": 0}
        head, *parts = text.split("-")
        for part in parts:
            match = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)", part)
            if match is None or match[1] not in found:
                raise UserError(f"RandAugment '{text}': part '{part}' is unknown; expected a form like {EXAMPLE}")
            found[match[1]] = float(match[2])
        if head != "rand" or found["n"] % 1 or found["inc"] not in (0, 1):
            raise UserError(f"RandAugment '{text}': expected a form like {EXAMPLE}, with a whole n and inc0 or inc1")
        values: dict[str, Any] = {KEYS[key]: value for key, value in found.items()}
        return cls(**{**values, "layers": int(found["n"]), "increasing": bool(found["inc"])})

    def draw(self, words: tuple[int, ...]) -> list[Operation]:
        """Return the operations of the clip with these seed words, in the order in which they are carried out."""
        timm = _timm()
        names = timm._RAND_INCREASING_TRANSFORMS if self.increasing else timm._RAND_TRANSFORMS
        choices, strengths = streams(words)
        drawn: list[Operation] = []
        with _ONE_AT_A_TIME:
            timm.random = strengths
            for name in choices.choice(names, self.layers).tolist():
                if self.probability < 1 and strengths.random() > self.probability:
                    continue
                level = strengths.gauss(self.magnitude, self.deviation) if self.deviation else self.magnitude
                of_level = timm.LEVEL_TO_ARG[name]
                drawn.append(Operation(name, of_level(max(0.0, min(level, 10.0)), {}) if of_level else ()))
        return drawn

    def __call__(self, frames: np.ndarray, words: tuple[int, ...]) -> np.ndarray:
        """Return the augmented frames of one clip, of the same size.

        Args:
            frames: uint8 (T, h, w, 3), as decoded: before they are cropped.
            words: Seed words of the clip.

        Raises:
            ValueError: `frames` are not uint8 (T, h, w, 3).
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"frames are {frames.dtype} {frames.shape}; expected uint8 (T, h, w, 3)")
        return carry_out(frames, self.draw(words))


def carry_out(frames: np.ndarray, operations: list[Operation]) -> np.ndarray:
    """Return frames, uint8 (T, h, w, 3), after the same operations on each."""
    if not operations:
        return frames
    known = _timm().NAME_TO_OP
    changed = np.empty_like(frames)
    for place, frame in enumerate(frames):
        picture = Image.fromarray(np.ascontiguousarray(frame))
        for name, arguments in operations:
            if name.startswith("Posterize") and arguments[0] < 1:
                picture = Image.new(picture.mode, picture.size)  # Pillow refuses to keep 0 bits; that is black
            else:
                picture = known[name](picture, *arguments, fillcolor=FILL, resample=Image.Resampling.BICUBIC)
        changed[place] = picture
    return changed


def streams(words: tuple[int, ...]) -> tuple[np.random.RandomState, Random]:
    """Return what is drawn from for a clip: which operations, and how strong they are."""
    state = np.random.SeedSequence((*words, STREAM)).generate_state(8)
    return np.random.RandomState(state[:4]), Random(int.from_bytes(state[4:].tobytes(), "little"))


@cache
def _timm() -> Any:
    """Return a copy of timm's module of operations that is ours alone.

    To import it in the usual way would import all of timm, and torch with it; and its draws come from the module
    `random`, for which `draw` puts a generator of its own.
    """
    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("timm is not installed; it belongs to the dependencies of sigma-bench")
    path = Path(package.origin).parent / "data" / "auto_augment.py"
    spec = importlib.util.spec_from_file_location(f"{__name__}_operations", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{path}: timm's operations are not there; install the version that is asked for")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
