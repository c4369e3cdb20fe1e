"""What a check counted stands in the table of data set sizes."""

import csv

import numpy as np
import pytest

from sigma_bench import cache
from sigma_bench.data.miniatures import video
from sigma_bench.runs.check import check
from sigma_bench.runs.check.kept import KeptList, kept
from sigma_bench.runs.counted import LISTS, counted
from sigma_bench.runs.tables import tables
from sigma_bench.spec import load


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """A UCF101 of two classes, ten training clips and two test clips, one of them missing."""
    folder = tmp_path / "root" / "ucf101"
    (folder / "ucfTrainTestlist").mkdir(parents=True)
    (folder / "ucfTrainTestlist" / "classInd.txt").write_text("1 Run\n2 Jump\n")
    train, test = [], []
    for label, name in enumerate(("Run", "Jump"), 1):
        (folder / "UCF-101" / name).mkdir(parents=True)
        for number in range(1, 7):
            clip = f"{name}/v_{name}_g{number:02d}_c01.avi"
            (test if number == 6 else train).append(clip if number == 6 else f"{clip} {label}")
            frames = np.random.default_rng(label).integers(0, 255, (16, 32, 32, 3), dtype=np.uint8)
            video.encode(folder / "UCF-101" / clip, frames, 10)
    (folder / "UCF-101" / test[0]).unlink()
    (folder / "ucfTrainTestlist" / "trainlist01.txt").write_text("\n".join(train))
    (folder / "ucfTrainTestlist" / "testlist01.txt").write_text("\n".join(test))
    return tmp_path / "root"


def test_every_task_of_the_table_has_its_lists():
    assert set(LISTS) == set(load.layout().tables["T8"].row_facts)


def test_before_a_check_nothing_is_counted():
    assert set(counted()) == set(LISTS)
    assert not any(found.counts for found in counted().values())


def test_the_last_check_stands_in_the_table(root, tmp_path):
    check(["ucf101"], root, workers=1, quick=True)
    assert kept("ucf101")["test", 1] == KeptList("test", 1, 2, 1, 2, "other, published: 3,783")
    check(["ucf101_1000"], root, workers=1, quick=True)
    found = counted()["severe/ucf_1e3"]
    assert dict(found.counts) == {"classes": 2, "finetuning_samples": kept("ucf101_1000")["train", 1].listed,
                                  "testing_samples": 2}  # fmt: skip
    assert found.notes["testing_samples"].endswith("1 of its samples missing or unreadable")
    tables(tmp_path / "rows", tmp_path / "out", ["csv"], ["8"])
    with open(tmp_path / "out" / "T8.csv", encoding="utf-8", newline="") as stream:
        lines = [line for line in csv.DictReader(stream) if line["kind"] == "measured"]
    assert [(line["Task"], line["metric"], line["text"], line["difference"]) for line in lines][2] == (
        "ucf101_1000 (counted)", "testing_samples", "2", "-3781",
    )  # fmt: skip


def test_lists_of_other_checks_stay_while_the_folder_is_the_same(root, tmp_path):
    lists = root / "ucf101" / "ucfTrainTestlist"
    for part in ("train", "test"):
        (lists / f"{part}list02.txt").write_text((lists / f"{part}list01.txt").read_text())
    check(["ucf101"], root, workers=1, quick=True)
    check(["ucf101"], root, workers=1, quick=True, fold=1)
    assert set(kept("ucf101")) == {(part, fold) for part in ("train", "test") for fold in (1, 2)}
    (tmp_path / "other").mkdir()
    (root / "ucf101").rename(tmp_path / "other" / "ucf101")
    check(["ucf101"], tmp_path / "other", workers=1, quick=True, fold=1)
    assert set(kept("ucf101")) == {("train", 1), ("test", 1)}


def test_generated_data_are_not_counted(root):
    (root / "ucf101" / "miniature.json").write_text("{}")
    check(["ucf101"], root, workers=1, quick=True)
    assert kept("ucf101") == {}


def test_a_damaged_file_counts_nothing(capsys):
    file = cache.home() / "counted" / "ucf101.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 1, "lists": [{}]}')
    assert kept("ucf101") == {}
    assert "cannot be read" in capsys.readouterr().err
