"""Everything a report can show, made up: rows of each kind of data, samples, curves, pictures, and hostile names."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from tests.results import made_up

HOSTILE = (
    "<script>window.hit=1</script>",
    "\"><img src=x onerror='window.hit=1'>",
    "</script><script>window.hit=1</script>",
    "{{ 7*7 }}${7*7}<!--",
    "javascript:window.hit=1//\u2028\u202e\x00",
    "=cmd|' /C calc'!A0",
)
CLASSES = ("archery", "bowling", "<b>class & co</b>", "a class with a very long name that no chart has room for")
LONG = "/data/checkpoints/" + "a_very_long_folder_name/" * 6 + "checkpoint-00799.pth"


def samples(seed: int, failed: int, classes: int = 4, n: int = 120) -> pd.DataFrame:
    """Return records of samples as the linear probe writes them."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n)
    predictions = np.where(draw.random(n) < 0.6, labels, draw.integers(0, classes, n))
    names = [CLASSES[label] if classes == len(CLASSES) else f"class {label:03d}" for label in labels]
    errors = [f"DecodeError: {HOSTILE[0]} at byte {i}\nmore" if i < failed else None for i in range(n)]
    predictions = np.where([error is not None for error in errors], -1, predictions)
    columns = {"id": [f"v_{i} <i>" for i in range(n)], "label": labels, "label_name": names, "prediction": predictions}
    return pd.DataFrame({**columns, "error": errors})


def write(folder: Path, make_row) -> Path:
    """Write `results/rows`, `runs/` and `figures/` under `folder` and return it."""
    store = Store(folder / "results" / "rows")
    rows = [row for row in made_up.rows(make_row) if row.data == "official"]
    rows += [
        make_row(
            system=name,
            checkpoint_sha256=f"{n:064x}",
            task="linear/ssv2",
            value=5.0 + n,
            marks=[name],
            error="",
            seed=n,
        )
        for n, name in enumerate(HOSTILE, start=100)
    ]
    rows.append(make_row(system=LONG, checkpoint_sha256="9" * 64, value=33.0, interval_low=31.0, interval_high=35.0))
    rows.append(
        make_row(system=HOSTILE[1], task="linear/in1k", status="failed", value=None, n_decoded=0, error=HOSTILE[2] * 20)
    )
    common = {"data": "miniature", "n_expected": 120, "n_present": 120, "test_count": 120, "evaluator": "linear"}
    for n, system in enumerate(("random:nano", "sigma_mlp", HOSTILE[0])):
        for seed in range(2):
            for task in ("controls/motion", "controls/category_8", "linear/ucf101"):
                failed = 3 if system == "sigma_mlp" else 0
                row = make_row(
                    **{**common, "system": system, "checkpoint_sha256": f"{n + 1:x}" * 64, "task": task, "seed": seed},
                    suite="quick",
                    value=20.0 + 13 * n + 2 * seed + len(task),
                    n_decoded=120 - failed,
                    status="partial" if failed else "ok",
                    error=f"{failed} samples not decoded" if failed else "",
                )
                rows.append(
                    with_samples(store, row, samples(n + 7 * seed, failed, 30 if task == "linear/ucf101" else 4))
                )
    picture = folder / "runs" / "eval" / "masks <b>.png"
    picture.parent.mkdir(parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)).resize((640, 360)).save(
        picture
    )
    rows.append(
        make_row(
            **{**common, "data": "custom", "task": "seg/mine/clustering", "metric": "miou", "suite": "mine"},
            value=41.0,
            n_decoded=120,
            artifacts={"masks": str(picture), "outside": "/etc/passwd.png"},
        )
    )
    by_suite: dict[str, list[Row]] = {}
    for row in rows:
        by_suite.setdefault(row.suite, []).append(row)
    for suite, members in by_suite.items():
        store.append(suite, members)
    with open(store.folder / "quick.csv", "ab") as stream:
        stream.write(b"<<<<<<< torn\n")
    for n in range(2):
        run(folder / "runs" / f"sigma_mlp.seed{n}", n)
    (folder / "figures").mkdir()
    Image.new("RGB", (300, 120), "#446688").save(folder / "figures" / "prototypes.png")
    return folder


def with_samples(store: Store, row: Row, frame: pd.DataFrame) -> Row:
    """Return the row with its samples kept."""
    name = store.write_samples(row.id, frame).relative_to(store.folder).as_posix()
    return row.model_copy(update={"artifacts": {"samples": name}})


def run(folder: Path, seed: int, steps: int = 1200) -> None:
    """Write a run folder with a log of `steps` records."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    with open(folder / "log.jsonl", "w", encoding="utf-8") as stream:
        for step in range(1, steps + 1):
            noise = float(draw.normal() * 0.05)
            record = {
                "step": step,
                "epochs": step / 100,
                "loss": 8 * 0.997**step + 1 + noise,
                "lr": 1e-3 * step / steps,
            }
            if step == 700 and seed:
                record["warning"] = f"loss equals that of uniform assignments {HOSTILE[0]}"
            stream.write(json.dumps(record) + "\n")
    (folder / "data.json").write_text('{"miniature_sha256": "a"}', encoding="utf-8")
