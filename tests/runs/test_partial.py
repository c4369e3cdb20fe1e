"""A copy of K400 with some videos gone is evaluated: the row says how many, and a table of the paper refuses it."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from sigma_bench.data.datasets import k400
from sigma_bench.data.miniatures import video
from sigma_bench.results.cells import FULL_PERCENT, share
from sigma_bench.runs import evaluate as evaluation
from sigma_bench.runs.check import check
from sigma_bench.runs.evaluate import evaluate
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import UNVERIFIED
from sigma_bench.spec import roots

CLASSES = [f"class {number:03d}" for number in range(400)]
NOTE = "cut by its own times"
SETS = ["clips.frames=8", "clips.stride=1", "views.train=1", "views.test_clips=1", "views.test_crops=1",
        "probe.epochs=2", "probe.rates=[0.01]", "probe.weight_decays=[0.0]"]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A data root with 400 class names, 8 training and 34 validation videos of two classes in the official form."""
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "root" / "k400"
    (folder / "annotations").mkdir(parents=True)
    (folder / "label_map_k400.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    for split, count in (("train", 8), ("val", 34)):
        rows = []
        for number in range(count):
            name, stem = CLASSES[number % 2], f"{split[0]}{number:010d}"
            clip = folder / split / name.replace(" ", "_") / f"{stem}_000001_000011.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            frames = np.full((8, 32, 32, 3), 40 + 100 * (number % 2), dtype=np.uint8)
            video.encode(clip, frames, 10)
            rows.append(f"{name},{stem},1,11,{split},0\n")
        header = "label,youtube_id,time_start,time_end,split,is_cc\n"
        (folder / "annotations" / f"{split}.csv").write_text(header + "".join(rows))
    return folder


def test_the_row_says_what_was_there_and_which_list(place, tmp_path, monkeypatch, capsys):
    own = k400.read
    monkeypatch.setattr(
        k400, "read", lambda root, split, **more: dataclasses.replace(own(root, split, **more), notes=(NOTE,))
    )
    load = evaluation.candidate
    monkeypatch.setattr(evaluation, "candidate", lambda *asked: dataclasses.replace(load(*asked), marks=(UNVERIFIED,)))
    gone, also_gone = next((place / "val" / "class_001").iterdir()), next((place / "train" / "class_001").iterdir())
    kept = [path.rename(tmp_path / path.name) for path in (gone, also_gone)]
    task = tmp_path / "k400.yaml"
    text = roots.find("tasks", "linear/ucf101").read_text()
    dataset = "{name: ucf101, train: train, test: test, split: 1}"
    assert dataset in text
    task.write_text(text.replace(dataset, "{name: k400, train: train, test: val}"))
    request = Request(["random:nano:1"], tasks=[str(task)], data_root=tmp_path / "root", sets=SETS, device="cpu",
                      workers=1, out=tmp_path / "out", results=tmp_path / "rows")  # fmt: skip
    assert evaluate(request) == 0
    with next((tmp_path / "rows").glob("*.csv")).open() as file:
        [row] = list(csv.DictReader(file))
    assert (row["status"], row["data"]) == ("partial", "custom")
    assert (row["n_expected"], row["n_present"], row["n_decoded"]) == ("34", "33", "33")
    assert share(33, 34) < FULL_PERCENT
    assert gone.stem in row["error"]
    assert (row["train_count"], row["train_present"]) == ("8", "7")
    marks = json.loads(row["marks"])
    assert marks.count("list: other than the published one of k400") == 1
    assert marks.count(NOTE) == 1
    assert marks.count(UNVERIFIED) == 1

    lines, code = check(["k400"], tmp_path / "root", workers=1)
    assert code == 1
    assert lines[-2].startswith(
        "  not complete: usable of train 87.5 %, val 97 % (every frame was decoded); an evaluation counts"
    )
    assert "a table shows no number from under 99 % of a test list" in lines[-2]

    def again():
        assert evaluate(request) == 0
        with next((tmp_path / "rows").glob("*.csv")).open() as file:
            return [(r["status"], r["n_present"], r["train_present"]) for r in csv.DictReader(file)]

    assert again() == [("partial", "33", "7")]
    assert "has a row of 33 of 34 samples, skipped" in capsys.readouterr().err
    kept[0].rename(gone)
    assert again()[1:] == [("ok", "34", "7")]
    kept[1].rename(also_gone)
    assert again()[2:] == [("ok", "34", "8")]
    gone.unlink()  # fewer than were measured: the better number stands
    assert len(again()) == 3
    assert "has a row, skipped" in capsys.readouterr().err
