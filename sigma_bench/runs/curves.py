"""Curves of one or several runs from their logs, as a figure or as a table of all points."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.results.store import Store, latest
from sigma_bench.train import log
from sigma_bench.train.quantities import EPOCHS, EVAL, WARNING, numbers, ordered, quantity

FORMATS = ("png", "pdf", "svg", "csv")
LEFT_OUT = ("loss1", "loss2", "eval_seconds", "memory_gib", "gpu_memory_gib")
"""Quantities that are drawn only where they are asked for."""
COLUMNS = ("run", "step", "epochs", "quantity", "unit", "value")
"""Of the table of points."""


@dataclass(frozen=True)
class Request:
    """What is to be drawn.

    Attributes:
        runs: Run folders, or log files.
        out: File; None: `figures/curves.FORMAT`.
        form: One of `FORMATS`; empty: as the name of `out` ends, else png.
        keys: Quantities; none: all but `LEFT_OUT`. `eval/` stands for all metrics.
        smooth: Records of a running mean; 1: none.
        axis: `step` or `epoch`.
        rows: Folder of row CSVs that hold measurements of the runs' checkpoints.
        metrics: `TASK:METRIC`, of what was measured; none: all.
    """

    runs: Sequence[Path]
    out: Path | None = None
    form: str = ""
    keys: Sequence[str] = ()
    smooth: int = 1
    axis: str = "step"
    rows: Path | None = None
    metrics: Sequence[str] = ()


@dataclass
class Curves:
    """What the log of one run holds: of each quantity step -> value, of each step its epochs, and the warnings."""

    label: str
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    epochs: dict[int, float] = field(default_factory=dict)
    warnings: dict[int, str] = field(default_factory=dict)
    miniature: bool = False


def curves(request: Request) -> Path:
    """Draw the curves, or write their points; return the file.

    Raises:
        UserError: A folder without a log, a quantity that no run has, or a file of another format.
    """
    file, form = _file(request)
    if request.axis not in ("step", "epoch"):
        raise UserError(f"--x {request.axis}: expected step or epoch")
    runs = [read(path, label) for path, label in zip(request.runs, labels(request.runs), strict=True)]
    if request.rows is not None:
        for path, run in zip(request.runs, runs, strict=True):
            _measured(path, run, request.rows)
    names = _chosen(runs, request)
    if request.axis == "epoch":
        for run in runs:
            if not run.epochs:
                raise UserError(f"--x epoch: the log of {run.label} does not say epochs; draw it over steps")
    file.parent.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        _write_points(file, runs, names)
    else:
        from sigma_bench.runs.curve_figure import draw

        draw(runs, names, file, form, request.smooth, request.axis)
    return file


def read(path: Path, label: str) -> Curves:
    """Return the curves of a run folder, or of a log file.

    Of a step that stands in the log several times the last record counts. Damaged lines are named and left out.

    Raises:
        UserError: There is no log, or not one record in it.
    """
    file = path / log.NAME if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{path}: no run folder, it has no {log.NAME}")
    found = log.read(file)
    if found.damaged:
        shown = ", ".join(map(str, found.damaged[:5])) + (" ..." if len(found.damaged) > 5 else "")
        say(f"note: {file}: {len(found.damaged)} damaged lines left out ({shown})")
    if not found.records:
        raise UserError(f"{file}: holds no record yet")
    run = Curves(label, miniature=_miniature(file.parent))
    for record in found.records:
        step = record["step"]
        for name, value in numbers(record).items():
            run.values.setdefault(name, {})[step] = value
        if isinstance(epochs := record.get(EPOCHS), int | float):
            run.epochs[step] = float(epochs)
        if record.get(WARNING):
            run.warnings[step] = str(record[WARNING])
    run.values = {name: dict(sorted(points.items())) for name, points in run.values.items()}
    return run


def labels(paths: Sequence[Path]) -> list[str]:
    """Return a short name of each run: its folder's, with as many folders above as tell it from the others."""
    whole = [(p if p.is_dir() or p.name != log.NAME else p.parent).resolve().parts for p in paths]
    for count in range(1, max((len(parts) for parts in whole), default=1) + 1):
        labels = ["/".join(parts[-count:]) for parts in whole]
        if len(set(labels)) == len(labels):
            return labels
    raise UserError("a run is named twice; name each once")


def _miniature(place: Path) -> bool:
    """Tell whether a run folder says that it was trained on generated data."""
    try:
        content = json.loads((place / "data.json").read_text(encoding="utf-8"))
        return bool(content.get("miniature_sha256"))
    except (OSError, ValueError, AttributeError):
        return False


def _measured(path: Path, run: Curves, rows: Path) -> None:
    """Add the rows that were measured of a run's checkpoints: the mean over the seeds of an evaluation."""
    from sigma_bench.train import folder

    if not rows.is_dir():
        raise UserError(f"--rows {rows}: no such folder")
    steps = {_sha256(file): step for step, file in folder.checkpoints(path / "checkpoints")}
    found: dict[tuple[str, int], list[float]] = {}
    for row in latest(Store(rows).read()):
        if row.checkpoint_sha256 in steps and row.value is not None:
            found.setdefault((f"{EVAL}{row.task}/{row.metric}", steps[row.checkpoint_sha256]), []).append(row.value)
    for (name, step), values in sorted(found.items()):
        run.values.setdefault(name, {})[step] = fmean(values)
        last = max(run.epochs, default=0)
        if last > 0 and step not in run.epochs:  # nothing was logged at this step; epochs are even in steps
            run.epochs[step] = round(run.epochs[last] / last * step, 4)
        run.values[name] = dict(sorted(run.values[name].items()))


def _sha256(file: Path) -> str:
    from sigma_bench.models.checkpoints import digest

    now = digest.stamp(file)
    kept = digest.known(file, now)
    if kept is None:
        kept = digest.compute(file)
        digest.keep(file, now, kept)
    return kept


def _chosen(runs: Iterable[Curves], request: Request) -> list[str]:
    """Return the quantities to draw, in the order of the table of quantities, or as asked for."""
    there = ordered({name for run in runs for name in run.values})
    metrics = [f"{EVAL}{text.replace(':', '/')}" for text in request.metrics]
    unknown = [m for m in metrics if m not in there] + [k for k in request.keys if k not in there and k != EVAL]
    if unknown:
        raise UserError(f"{', '.join(unknown)}: no run has it; there are {', '.join(there)}")
    evaluated = [name for name in there if name.startswith(EVAL) and (not metrics or name in metrics)]
    if request.keys:
        return [n for key in dict.fromkeys(request.keys) for n in (evaluated if key == EVAL else [key])] + [
            name for name in metrics if EVAL not in request.keys and name not in request.keys
        ]
    return [name for name in there if name in evaluated or (not name.startswith(EVAL) and name not in LEFT_OUT)]


def _file(request: Request) -> tuple[Path, str]:
    ending = request.out.suffix.lower().removeprefix(".") if request.out is not None else ""
    form = request.form or ending or FORMATS[0]
    if form not in FORMATS or (ending and ending != form):
        raise UserError(
            f"--out {request.out}, --format {request.form or 'not given'}: expected a file that ends in "
            f"{', '.join(f'.{f}' for f in FORMATS)}, and the same format"
        )
    return request.out or Path("figures") / f"curves.{form}", form


def _write_points(file: Path, runs: Iterable[Curves], names: Iterable[str]) -> None:
    """Write every point as it was logged, one a line."""
    names = list(names)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for run in runs:
            for name in names:
                for step, value in run.values.get(name, {}).items():
                    writer.writerow((run.label, step, run.epochs.get(step, ""), name, quantity(name).unit, value))
