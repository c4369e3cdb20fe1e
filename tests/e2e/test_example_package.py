"""The example package of the documentation, installed and evaluated as its reader would."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sigma_bench.data.miniatures import video

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "patch_colours"
COLOURS = {"blue": (20, 20, 230), "red": (230, 20, 20)}
TASK = EXAMPLE / "specs" / "tasks" / "nearest" / "class_folders.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    place = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, place / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(place / "target"), str(place / "source")]  # fmt: skip
    subprocess.run(command, check=True, timeout=120)
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": str(place / "target") + (f"{os.pathsep}{before}" if before else "")}


@pytest.fixture
def videos(tmp_path):
    noise = np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 2)):
        for name, colour in COLOURS.items():
            folder = tmp_path / "data" / "class_folders" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                frames = np.array(colour) + noise.integers(-20, 20, (10, 32, 32, 3))
                video.encode(folder / f"{number}.mp4", frames.clip(0, 255).astype(np.uint8))
    return tmp_path / "data"


def rows(folder):
    with next(folder.glob("*.csv")).open() as file:
        return list(csv.DictReader(file))


def test_encoder_evaluator_and_data_set_of_another_package(cli, installed, videos, tmp_path):
    (videos / "class_folders" / "test" / "red" / "9.mp4").write_bytes(b"no video")
    done = cli("eval", "--ckpt", "patch_colours", "--task", "nearest/class_folders", "--specs", EXAMPLE / "specs",
               "--data-root", videos, env=installed)  # fmt: skip
    assert "nearest_top1 100.00 (4 of 5 samples, custom" in done.stderr
    row = rows(tmp_path / "results" / "rows")[0]
    assert (row["system"], row["evaluator"], row["metric"]) == ("patch_colours", "nearest", "nearest_top1")
    assert (row["value"], row["status"], row["train_count"]) == ("100.0", "partial", "6")
    for what in ("encoder", "evaluator", "data set"):
        assert f"{what} of patch-colours 0.1.0" in row["marks"]
    listed = cli("list", "datasets", env=installed).stdout
    assert "patch_colours:class_folders (from patch-colours 0.1.0)" in listed


def test_the_same_by_modules_and_objects_beside_a_reader_that_fails(cli, installed, videos, tmp_path):
    specs = tmp_path / "specs" / "tasks"
    specs.mkdir(parents=True)
    text = TASK.read_text().replace("evaluator: nearest", "evaluator: patch_colours:nearest")
    (specs / "named.yaml").write_text(text.replace("name: class_folders", "name: patch_colours:class_folders"))
    (specs / "reader.yaml").write_text(text.replace("name: class_folders", "name: wrong:class_folders"))
    (tmp_path / "wrong.py").write_text("def class_folders(root, split, *, fold=1): return split[99]\n")
    env = {"PYTHONPATH": f"{installed['PYTHONPATH']}{os.pathsep}{tmp_path}"}
    done = cli("eval", "--ckpt", "patch_colours:PatchColours", "--task", "reader", "--task", "named", "--specs",
               tmp_path / "specs", "--data-root", videos, env=env, expect=1)  # fmt: skip
    assert "data set 'wrong:class_folders' of wrong:class_folders: reading 'train'" in done.stderr
    assert "nearest_top1 100.00 (4 of 4 samples" in done.stderr
    assert [(r["task"], r["status"]) for r in rows(tmp_path / "results" / "rows")] == [("named", "ok")]
