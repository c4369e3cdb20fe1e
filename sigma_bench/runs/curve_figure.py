"""Curves as small multiples: one panel a quantity, one colour and line style a run, warnings marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from sigma_bench.train.quantities import EVAL, quantity

if TYPE_CHECKING:
    from sigma_bench.runs.curves import Curves

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without yellow: told apart with any colour vision, and on white paper."""
STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
"""Line styles, so that runs are told apart in grey too."""
LOGARITHMIC = ("loss", "loss1", "loss2", "grad_norm")
"""Quantities above zero that are drawn on a logarithmic axis where they span more than `SPAN`."""
SPAN = 50
ACROSS, PANEL, NOTE = 3, (3.3, 2.3), 0.17
"""Panels in a row; width and height of one, and height of a line of notes, in inches."""
MINIATURE = "miniature: synthetic data, not comparable with the paper"
STYLE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "sigma-bench",
}


def draw(runs: Sequence[Curves], names: Sequence[str], file: Path, form: str, smooth: int, axis: str) -> None:
    """Write the figure.

    Args:
        runs: The curves of each run.
        names: Quantities, one panel each.
        file: Replaced where it exists.
        form: png, pdf or svg.
        smooth: Records of a running mean, drawn over the values; 1: none.
        axis: `step` or `epoch`.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    across = min(ACROSS, len(names))
    down = math.ceil(len(names) / across)
    width = max(across * PANEL[0], 4.5)
    notes = _notes(runs, axis, int(width * 17))
    legend = math.ceil(len(runs) / _beside(runs, width)) if len(runs) > 1 else 0
    title = wrap(_title(runs), int(width * 12))
    top = 0.15 + 0.17 * len(title) + 0.2 * legend
    height = down * PANEL[1] + NOTE * len(notes) + 0.1 + top
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=200, layout="constrained")
        engine: Any = figure.get_layout_engine()
        bottom = (NOTE * len(notes) + (0.08 if notes else 0)) / height
        engine.set(rect=(0, bottom, 1, 1 - bottom - top / height), h_pad=0.06, w_pad=0.06)
        axes = figure.subplots(down, across, squeeze=False, sharex=True).flatten()
        handles: dict[str, Any] = {}
        for panel, name in zip(axes, names, strict=False):
            _panel(panel, runs, name, smooth, axis, handles)
        for number, panel in enumerate(axes):
            panel.tick_params(labelbottom=number + across >= len(names))
            panel.set_visible(number < len(names))
            if number + across >= len(names):
                panel.set_xlabel("epoch" if axis == "epoch" else "step")
        words: dict[str, Any] = {"fontsize": 10, "fontweight": "bold", "ha": "center", "va": "top"}
        figure.text(0.5, 1 - 0.1 / height, "\n".join(title), parse_math=False, **words)
        if len(runs) > 1:
            found = [handles[run.label] for run in runs if run.label in handles]
            figure.legend(
                handles=found,
                loc="upper center",
                bbox_to_anchor=(0.5, 1 - (0.1 + 0.17 * len(title)) / height),
                ncols=_beside(runs, width),
                frameon=False,
                handlelength=2.8,
            )
        for number, (colour, text) in enumerate(reversed(notes)):
            y = (NOTE * (number + 0.5)) / height
            figure.text(0.08 / width, y, text, color=colour, fontsize=7, va="center", parse_math=False)
        figure.savefig(file, format=form)


def smoothed(values: np.ndarray, records: int) -> np.ndarray:
    """Return the running mean over `records` values around each; at the ends over those that are there."""
    before, after = (records - 1) // 2, records // 2
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    place = np.arange(len(values))
    first, last = np.maximum(place - before, 0), np.minimum(place + after + 1, len(values))
    mean: np.ndarray = (total[last] - total[first]) / (last - first)
    return mean


def _panel(panel: Any, runs: Sequence[Curves], name: str, smooth: int, axis: str, handles: dict[str, Any]) -> None:
    known = quantity(name)
    panel.set_title(known.title + (f" ({known.unit})" if known.unit else ""), loc="left", parse_math=False)
    measured = name.startswith(EVAL)
    low, high = math.inf, -math.inf
    for number, run in enumerate(runs):
        points = run.values.get(name, {})
        colour, style = COLOURS[number % len(COLOURS)], STYLES[number % len(STYLES)]
        kept = [(x, value) for step, value in points.items() if (x := _place(run, step, axis)) is not None]
        if not kept:
            continue
        for step in run.warnings:
            if (x := _place(run, step, axis)) is not None:
                panel.axvline(x, color=colour, linewidth=0.9, linestyle=":", zorder=1)
        xs, ys = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
        low, high = min(low, ys.min()), max(high, ys.max())
        common = {"color": colour, "label": run.label, "zorder": 3}
        if measured:
            drawn = panel.plot(xs, ys, marker="o", markersize=3.5, linewidth=1.2, linestyle=style, **common)
        elif smooth > 1 and len(ys) > 1:
            panel.plot(xs, ys, color=colour, linewidth=0.7, alpha=0.3, zorder=2)
            drawn = panel.plot(xs, smoothed(ys, smooth), linewidth=1.4, linestyle=style, **common)
        else:
            marker = "o" if len(ys) == 1 else None
            drawn = panel.plot(xs, ys, linewidth=1.2, linestyle=style, marker=marker, markersize=3.5, **common)
        handles.setdefault(run.label, drawn[0])
    if name in LOGARITHMIC and low > 0 and high > SPAN * low:
        panel.set_yscale("log")
    elif high - low < 1e-12:
        panel.margins(y=0.5)
    panel.margins(x=0.02)


def _place(run: Curves, step: int, axis: str) -> float | None:
    return float(step) if axis == "step" else run.epochs.get(step)


def _title(runs: Sequence[Curves]) -> str:
    words = runs[0].label if len(runs) == 1 else "Training curves"
    small = [run for run in runs if run.miniature]
    if not small:
        return words
    return f"{words} ({MINIATURE})" if len(small) == len(runs) else f"{words} (some runs are a {MINIATURE})"


def _notes(runs: Sequence[Curves], axis: str, letters: int) -> list[tuple[str, str]]:
    """Return the warnings as (colour, line), wrapped."""
    notes = []
    for number, run in enumerate(runs):
        for step, text in sorted(run.warnings.items()):
            x = _place(run, step, axis)
            place = f"step {step}" if axis == "step" or x is None else f"epoch {x:.4g}"
            words = f"Dotted line, {run.label}, {place}: {text}."
            notes += [(COLOURS[number % len(COLOURS)], line) for line in wrap(words, letters)]
    return notes


def _beside(runs: Sequence[Curves], width: float) -> int:
    """Return how many names of the legend stand beside each other."""
    longest = max(len(run.label) for run in runs)
    return max(1, min(len(runs), int(width / (0.075 * longest + 0.5))))
