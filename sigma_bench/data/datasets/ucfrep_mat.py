"""One annotation of UCFRep: a MATLAB file with the struct `label`."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from sigma_bench.contracts import UserError


class Repetitions(NamedTuple):
    """The annotated stretch of a video and the boundaries of its cycles, frames counted from 0.

    `end` is the first frame after the stretch. A boundary is the frame at which a cycle begins; the last one is the
    last frame of the last cycle. So n boundaries are n - 1 repetitions.
    """

    start: int
    end: int
    boundaries: tuple[int, ...]


def read(path: Path) -> Repetitions:
    """Return what a file says, its frames counted from 0.

    The numbers are stored from 1, unsigned and as narrow as they fit, column by column; whether they agree with one
    another is checked. The distances that are stored too are not read: they follow from the boundaries
    (`sigma_bench.data.repetition`).

    Raises:
        UserError: The file is no such annotation, or contradicts itself.
    """
    label = _label(path)
    start, end, duration, number = (
        int(_integers(label, name, path, single=True)[0])
        for name in ("start_frame", "end_frame", "duration", "temporal_bound_num")
    )
    bounds = _integers(label, "temporal_bound", path)
    if not 1 <= start <= end:
        raise UserError(f"{path}: found start_frame {start} and end_frame {end}, expected 1 <= start <= end")
    if duration != end - start + 1:
        raise UserError(f"{path}: found duration {duration}, expected {end - start + 1} (frames {start} to {end})")
    if number != len(bounds):
        raise UserError(f"{path}: found temporal_bound_num {number}, expected {len(bounds)}, as temporal_bound has")
    return repetitions(bounds.tolist(), f"{path}: temporal_bound", start, end)


def repetitions(bounds: list[int], where: str, start: int | None = None, end: int | None = None) -> Repetitions:
    """Return a stretch whose boundaries are counted from 1, checked.

    Args:
        bounds: Boundaries, counted from 1.
        where: What to name in a message.
        start: First frame, from 1; None for the first boundary, where all official stretches begin.
        end: Last frame, from 1; None for the last boundary.

    Raises:
        UserError: There are fewer than two boundaries, they do not ascend, or they lie outside the stretch.
    """
    if len(bounds) < 2:
        raise UserError(f"{where}: found {len(bounds)} boundaries, expected at least 2")
    if any(after <= before for before, after in pairwise(bounds)):
        raise UserError(f"{where}: found {_short(bounds)}, expected ascending frames")
    start, end = bounds[0] if start is None else start, bounds[-1] if end is None else end
    if not 1 <= start <= bounds[0] or bounds[-1] > end:
        raise UserError(f"{where}: found {_short(bounds)}, expected frames in {max(start, 1)} to {end}")
    return Repetitions(start - 1, end, tuple(frame - 1 for frame in bounds))


def _label(path: Path) -> NDArray[np.void]:
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        label = loadmat(content, variable_names=["label"])["label"]
    except Exception as error:
        raise UserError(
            f"{path}: no MATLAB file with the struct 'label' ({type(error).__name__}: {str(error)[:120]}); unpack the "
            "annotations anew"
        ) from error
    if not isinstance(label, np.ndarray) or label.dtype.names is None or label.size != 1:
        raise UserError(f"{path}: 'label' is no single struct; expected one with start_frame, end_frame, ...")
    return np.asarray(label.reshape(-1)[0])


def _integers(label: NDArray[np.void], name: str, path: Path, *, single: bool = False) -> NDArray[np.int64]:
    if name not in (label.dtype.names or ()):
        raise UserError(f"{path}: the struct 'label' has no field {name}; it has {', '.join(label.dtype.names or ())}")
    values = np.asarray(label[name].item() if label[name].dtype == object else label[name])
    if values.dtype.kind not in "uif" or values.size != max(values.shape, default=1) or (single and values.size != 1):
        shape = " x ".join(map(str, values.shape))
        raise UserError(
            f"{path}: {name} is {shape} of {values.dtype}; expected {'one number' if single else 'a column of numbers'}"
        )
    exact = values.reshape(-1).astype(np.float64)
    if not (np.abs(exact) < 1e9).all() or (exact != np.round(exact)).any():
        raise UserError(f"{path}: {name} is {_short(exact.tolist())}; expected frame numbers")
    return exact.astype(np.int64)


def _short(values: list[int] | list[float]) -> str:
    return str(values)[:120]
