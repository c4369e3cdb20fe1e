"""`sigma-bench report`: gather rows, curves and pictures, and write the page that shows them."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sigma_bench import __version__
from sigma_bench.contracts import UserError
from sigma_bench.results import published, report_pictures, tables
from sigma_bench.results.parsed import undisturbed
from sigma_bench.results.reading import Rows
from sigma_bench.results.report import Material, render
from sigma_bench.results.report_curves import Axis, Curve
from sigma_bench.results.report_pictures import Pictures, Wanted, is_picture
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import stacked
from sigma_bench.results.store import Store, latest
from sigma_bench.runs import curves
from sigma_bench.runs.counted import counted
from sigma_bench.runs.curve_figure import LOGARITHMIC
from sigma_bench.spec import load, roots
from sigma_bench.train import log
from sigma_bench.train.quantities import ordered, quantity

MOST_RUNS = 24
"""Runs whose curves are shown where none are named."""
CHECKSUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Request:
    """What the command line asked for.

    Attributes:
        out: The page.
        rows: Folder of the row files.
        runs: Run folders, or folders of run folders; none: those under `home` whose checkpoints were measured.
        figures: Folder whose pictures are shown, too, where it is there.
        home: Folder in which runs are looked for.
    """

    out: Path = Path("results/report.html")
    rows: Path = Path("results/rows")
    runs: Sequence[Path] = ()
    figures: Path = Path("figures")
    home: Path = Path("runs")


@undisturbed()
def report(request: Request) -> list[str]:
    """Write the page and return lines for a person.

    Raises:
        UserError: `rows` is a file, a named run holds no log, published data cannot be read, or `out` is a folder.
    """
    if request.rows.exists() and not request.rows.is_dir():
        raise UserError(f"{request.rows} is a file; expected the folder that holds the row files (<suite>.csv)")
    if request.out.is_dir():
        raise UserError(f"--out {request.out}: a folder; name the file, such as {request.out / 'report.html'}")
    text, rows, notes = page(request)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    draft = request.out.with_name(f".{request.out.name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        os.replace(draft, request.out)
    finally:
        draft.unlink(missing_ok=True)
    lines = [f"{part}: {note}" for part, found in notes.items() for note in found]
    if not any(request.rows.glob("*.csv")):
        lines.append(f"no row files in {request.rows}: printed values only")
    if damaged := len(rows.problems):
        lines.append(
            f"damaged lines of the row files, which count nowhere: {damaged}; the overview of the page names them"
        )
    size = request.out.stat().st_size
    return [*lines, f"written: {request.out} ({len(rows)} measurements, {size / 1e6:.1f} MB)"]


def page(request: Request) -> tuple[str, Rows, dict[str, list[str]]]:
    """Return the page, the rows that count with the lines that are none, and by part what is absent and why."""
    folder = roots.find("published", "published.csv").parent
    layout, zoo, values = load.layout(), load.zoo().entries, published.read(folder)
    rows = Store(request.rows).read()
    newest = latest(rows)
    stacks = stacked(newest)
    paper = tables.build_stacked(list(layout.tables), stacks, values, layout, zoo, counted())
    files = list(checkpoint_sums(request, newest))
    notes: dict[str, list[str]] = {}
    chosen = runs_of(request, newest, files, notes.setdefault("curves", []))
    drawn, axes = _curves(chosen, notes["curves"], strict=bool(request.runs))
    pictures = _pictures(request, newest, chosen)
    material = Material(
        folder=request.rows,
        stacks=stacks,
        superseded=len(rows) - len(newest),
        problems=rows.problems,
        paper=paper,
        published=values,
        layout=layout,
        suites={name: load.suite(name) for name, _ in load.listing("suites")},
        curves=drawn,
        axes=axes,
        pictures=pictures,
        weights={sha256: str(file) for sha256, file in files},
        notes=notes,
    )
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return render(material, made_at, __version__), Rows(newest, rows.problems), notes


def checkpoint_sums(request: Request, rows: Sequence[Row]) -> Iterable[tuple[str, Path]]:
    """Yield (SHA-256, checkpoint) of the run folders at hand whose weights have rows; the sums stand beside them."""
    measured = {row.checkpoint_sha256 for row in rows}
    places = [run for folder in (*request.runs, request.home) for run in _folders(folder)]
    for run in dict.fromkeys(places):
        for file in sorted(run.glob("checkpoints/step-*.pt.sha256")):
            found = CHECKSUM.match(file.read_text(encoding="utf-8", errors="replace"))
            if found and found[0] in measured:
                yield found[0], file.with_suffix("")


def runs_of(request: Request, rows: Sequence[Row], files: Sequence[tuple[str, Path]], notes: list[str]) -> list[Path]:
    """Return the run folders whose curves are shown: those named, or those whose checkpoints were measured last."""
    if request.runs:
        return [run for folder in request.runs for run in _folders(folder) or [folder]]
    when: dict[str, str] = {}
    for row in rows if files else ():
        when[row.checkpoint_sha256] = max(row.measured_at, when.get(row.checkpoint_sha256, ""))
    newest: dict[Path, str] = {}
    for sha256, file in files:
        run = file.parent.parent
        newest[run] = max(when[sha256], newest.get(run, ""))
    found = [run for run in sorted(newest, key=lambda run: newest[run], reverse=True) if (run / log.NAME).is_file()]
    if not found:
        notes.append(f"no run under {request.home}/ has a checkpoint that was measured; name run folders with --runs")
    if len(found) > MOST_RUNS:
        notes.append(f"the {MOST_RUNS} runs measured last, of {len(found)}; name others with --runs")
    return found[:MOST_RUNS]


def _folders(folder: Path) -> list[Path]:
    """Return `folder` where it is a run folder or a log, else the run folders in it."""
    if folder.is_file() or (folder / log.NAME).is_file():
        return [folder]
    return sorted(file.parent for file in folder.glob(f"*/{log.NAME}"))


def _curves(runs: Sequence[Path], notes: list[str], *, strict: bool) -> tuple[list[Curve], list[Axis]]:
    found = []
    for path, label in zip(runs, curves.labels(runs), strict=True) if runs else ():
        try:
            run = curves.read(path, label)
        except UserError as error:
            if strict:
                raise
            notes.append(str(error))
            continue
        found.append(Curve(run.label, run.values, run.epochs, run.warnings, run.miniature))
    names = ordered({name for run in found for name in run.values})
    known = [(name, quantity(name)) for name in names if name not in curves.LEFT_OUT]
    return found, [Axis(name, one.title, one.unit, one.meaning, name in LOGARITHMIC) for name, one in known]


def _pictures(request: Request, rows: Sequence[Row], runs: Sequence[Path]) -> Pictures:
    """Return the pictures that rows name among their files, and those in the run folders and the folder of figures."""
    named: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        for name, path in row.artifacts.items():
            if is_picture(path):
                named.setdefault((path, name, f"{row.system}, {row.task}"), []).append(row)
    wanted = [
        Wanted(_place(path, request.rows), f"{name}: {of}", tuple(found)) for (path, name, of), found in named.items()
    ]
    folders = [request.figures, *(run / "figures" for run in runs if run.is_dir())]
    for folder in folders:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and is_picture(file.name))
        wanted += [Wanted(file, file.as_posix()) for file in files]
    within = [request.rows.parent, request.figures, request.home, *(run for run in runs if run.is_dir())]
    return report_pictures.embed(wanted, within)


def _place(path: str, rows: Path) -> Path:
    """Return where a file of a row lies: beside the rows, or as the evaluation was told."""
    beside = rows / path
    return beside if os.path.exists(beside) else Path(path)  # a name that is too long is not there
