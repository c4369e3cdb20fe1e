"""What a row costs at the end of a long file of rows, and what all tables of the paper and the report cost over it.

    python benchmarks/results.py [--rows 100000] [--folder DIR]

Seconds of this process (not of the clock), so that other jobs on the machine count less; the clock beside them. Every
row holds the grid of a linear probe, about 1 kB. A first reading keeps what it read for the next one. Tables and report
read the file, too; the report also as a first reading. Python's own csv module over the same file is the yardstick.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from sigma_bench.results import line as lines
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store

TASKS = ("linear/ssv2", "linear/k400", "linear/ucf101", "finetune/ssv2", "finetune/k400", "severe/gym_1e3", "seg/davis")
SYSTEMS = 250
GRID = [[rate, decay, 50.0] for rate in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1) for decay in (0.0, 0.0001, 0.01)]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make(number: int) -> Row:
    """Return the row of a number: tasks, systems and seeds in turn."""
    task, system = TASKS[number % len(TASKS)], number // len(TASKS) % SYSTEMS
    return Row(
        system=f"system_{system}",
        method="SIGMA-DINO" if system < 3 else "",
        backbone="ViT-B",
        pretrain_data="K400",
        epochs=str(800 + system),
        motion_guidance="no",
        frames="16",
        params_m=86.2,
        checkpoint_sha256=sha256(f"weights {system}"),
        suite="paper",
        task=task,
        task_version=1,
        evaluator="linear_released" if task.startswith("linear/") else task.partition("/")[0],
        selection={"grid": GRID, "rate": 0.001},
        settings_sha256=sha256(task),
        train_count=1000,
        train_sha256=sha256(f"train {task}"),
        test_count=2000,
        test_sha256=sha256(f"test {task}"),
        views="2x3",
        metric="miou" if task.startswith("seg/") else "top1",
        value=50 + number % 997 / 100,
        seed=number // len(TASKS) // SYSTEMS,
        n_expected=2000,
        n_present=2000,
        n_decoded=2000,
        data="official",
        decoder="decord:2000",
        device="cpu",
        seconds=12.3,
        status="ok",
        artifacts={"samples": f"samples/{number}.parquet"},
    )


def timed(what: str, call) -> None:
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    print(f"{what:<42} {time.process_time() - cpu:7.2f} s of the process, {time.perf_counter() - clock:7.2f} s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--folder", type=Path, help="Where the rows are written; default: a temporary folder")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        os.environ["SIGMA_BENCH_CACHE"] = f"{scratch}/cache"
        from sigma_bench.runs.report import Request, report
        from sigma_bench.runs.tables import tables

        store = Store(Path(scratch) / "rows")
        store.folder.mkdir()
        file = store.folder / "paper.csv"
        with open(file, "wb") as stream:
            stream.write(lines.header())
            stream.writelines(lines.encode(make(number)) for number in range(asked.rows))
        print(f"{asked.rows} rows, {file.stat().st_size / 1e6:.0f} MB")
        costs, own = [], []
        for number in range(200):
            row = make(asked.rows + number)
            clock, cpu = time.perf_counter(), time.process_time()
            store.append("paper", [row])
            costs.append(time.perf_counter() - clock)
            own.append(time.process_time() - cpu)
        print(
            f"append, lock and fsync included: median {1e3 * statistics.median(costs):.2f} ms, of the process "
            f"{1e3 * statistics.median(own):.2f} ms; the slowest of 200 {1e3 * max(costs):.1f} ms"
        )
        with open(file, newline="", encoding="utf-8") as stream:
            timed("Python's csv module, nothing checked", lambda: list(csv.reader(stream)))
        timed("read for the first time", store.read)
        timed("read again", store.read)
        out = Path(scratch) / "tables"
        timed("all tables as Markdown", lambda: tables(store.folder, out, ["md"], None))
        page, nowhere = Path(scratch) / "report.html", Path(scratch) / "none"
        timed("the report", lambda: report(Request(page, store.folder, (), nowhere, nowhere)))
        shutil.rmtree(f"{scratch}/cache")
        timed("the report, rows never read before", lambda: report(Request(page, store.folder, (), nowhere, nowhere)))
        print(f"the report has {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
