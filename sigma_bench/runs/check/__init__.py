"""`sigma-bench data check`: what of a data set is there, can be decoded, and is the published thing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.runs import data as places
from sigma_bench.runs.check import lists, render
from sigma_bench.runs.check.gather import Look, check_set
from sigma_bench.runs.check.kept import keep
from sigma_bench.runs.check.report import SetReport, Unchecked

WELL, WRONG, MISTAKE = 0, 1, 2


def check(
    names: Sequence[str],
    given: Path | None,
    *,
    every: bool = False,
    data: str = "official",
    fold: int | None = None,
    workers: int = 2,
    quick: bool = False,
    classes: bool = False,
    as_json: bool = False,
) -> tuple[list[str], int]:
    """Look at data sets; return the lines to show and the exit code: 0 well, 1 something is wrong.

    Args:
        names: Data sets, or `folder:DIR`.
        given: Folder of the data sets.
        every: All data sets that are found, instead of `names`.
        data: "official", or "miniature" for the generated ones.
        fold: Look at the lists of this fold only; by default at those of all folds, each file once.
        workers: Decoding processes.
        quick: Decode nothing; an absent or empty file is found all the same.
        classes: Show every class.
        as_json: Everything that was found, as one JSON object.

    Raises:
        UserError: No such data set, it is not there, or its lists cannot be read.
    """
    if every == bool(names):
        raise UserError("give either the names of data sets or --all (sigma-bench list datasets)")
    if data not in ("official", "miniature"):
        raise UserError(f"--data {data}: expected official or miniature")
    root = roots.miniatures(given) if data == "miniature" else given
    look = Look(places.TRAINING_DECODER, workers, quick)
    reports: list[SetReport] = []
    failed: list[Unchecked] = []
    for name in lists.names() if every else names:
        try:
            reports.append(_check(name, root, fold, look))
            keep(reports[-1])
        except UserError as error:
            if not every:
                raise
            failed.append(_unchecked(name, root, error))
    if every and not reports and not any(f.there for f in failed):
        looked = " or ".join(str(base) for base in roots.bases(root))
        todo = (
            "write them: sigma-bench data miniature all"
            if data == "miniature"
            else "`sigma-bench data where` tells where each is looked for"
        )
        raise UserError(f"no data set is found in {looked}; {todo}")
    code = WRONG if any(r.wrong for r in reports) or any(f.there for f in failed) else WELL
    if as_json:
        content = {"sets": [asdict(r) for r in reports], "not_checked": [asdict(f) for f in failed], "exit_code": code}
        return [json.dumps(content, indent=1)], code
    out = [line for report in reports for line in (*render.lines(report, classes), "")]
    return [*out, *render.unchecked(failed)], code


def _check(name: str, root: roots.Given, fold: int | None, look: Look) -> SetReport:
    if name.startswith("folder:"):
        index = places.pretraining_index(name, None)
        return check_set(name, index.root, "as given", [lists.ReadList(index.split, 1, index)], [], look)
    if name in lists.NOT_DATA_SETS:
        raise UserError(f"{name} is the reader of any folder, not a data set; check a folder with folder:DIR")
    if name not in lists.names() and roots.find(name, root) is None:
        registry.get("datasets", name)
    place = roots.find(name, root)
    if place is None:
        raise UserError(roots.missing(name, root))
    found, said = lists.read_all(name, place.folder, fold)
    return check_set(name, place.folder, place.rule, found, said, look)


def _unchecked(name: str, root: roots.Given, error: UserError) -> Unchecked:
    """Tell a data set that is not there from one with a faulty place or faulty lists."""
    try:
        looked = ", ".join(str(place) for place in roots.places(name, root))
        there = roots.find(name, root) is not None
    except UserError:
        return Unchecked(name, True, str(error))
    return Unchecked(name, there, str(error) if there else f"looked at {looked}")
