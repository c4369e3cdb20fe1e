"""Every fault that masks can have is told, with the file it is in."""

import json

import numpy as np
import pytest
from PIL import Image

from sigma_bench.data.datasets import davis, ytvos
from sigma_bench.data.masks import mask_problems

FRAMES = ("00000", "00005", "00010")


def frame(path, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def mask(path, ids=(0, 1), size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.resize(np.array(ids, np.uint8), (size[1], size[0]))
    Image.fromarray(values).convert("L").save(path)


@pytest.fixture
def root(tmp_path):
    for name in ("good", "bad"):
        for stem in FRAMES:
            frame(tmp_path / "JPEGImages/480p" / name / f"{stem}.jpg")
            mask(tmp_path / "Annotations/480p" / name / f"{stem}.png", (0, 1, 255))
    (tmp_path / davis.LISTS).mkdir(parents=True)
    (tmp_path / davis.LISTS / "val.txt").write_text("good\nbad\n")
    return tmp_path


def problems(root):
    return mask_problems(davis.read(root, "val"))


def test_nothing_is_said_of_good_masks_and_of_absent_sequences(root):
    assert problems(root) == {}
    (root / davis.LISTS / "val.txt").write_text("good\nabsent\n")
    assert problems(root) == {}


def test_each_fault_is_named_and_the_others_are_counted(root):
    place = root / "Annotations/480p/bad"
    (place / "00005.png").unlink()
    assert problems(root) == {"bad": "Annotations/480p/bad/00005.png: no such mask"}
    (root / "JPEGImages/480p/bad/00000.jpg").unlink()
    found = problems(root)["bad"]
    assert found == "Annotations/480p/bad/00005.png: no such mask (and 1 more faults)"
    mask(place / "00005.png")
    assert problems(root) == {"bad": "Annotations/480p/bad/00000.png: has no frame of that name"}


def test_size_damage_and_colours_are_found(root):
    path = root / "Annotations/480p/bad/00010.png"
    mask(path, size=(5, 4))
    assert problems(root) == {"bad": "Annotations/480p/bad/00010.png: is 5x4, its frame 6x4"}
    path.write_bytes(path.read_bytes()[:-20])
    assert "00010.png: the PNG file is damaged or cut short" in problems(root)["bad"]
    frame(path)
    assert "00010.png: RGB of 8 bits" in problems(root)["bad"]
    mask(path)
    (root / "JPEGImages/480p/bad/00010.jpg").write_bytes(b"no picture")
    assert problems(root)["bad"].endswith("00010.jpg: the frame cannot be read")


def test_a_folder_of_masks_that_is_not_there_is_every_mask_missing(root):
    for path in (root / "Annotations/480p/bad").iterdir():
        path.unlink()
    assert problems(root) == {"bad": "Annotations/480p/bad/00000.png: no such mask (and 2 more faults)"}


@pytest.fixture
def video(tmp_path):
    base = tmp_path / "train"
    for number in range(12):
        frame(base / f"JPEGImages/0043f083b5/{number:05d}.jpg")
    objects = {"2": {"category": "dog", "frames": ["00000", "00005"]}, "4": {"category": "ape", "frames": ["00010"]}}
    (base / "meta.json").write_text(json.dumps({"videos": {"0043f083b5": {"objects": objects}}}))
    for stem in FRAMES:
        mask(base / f"Annotations/0043f083b5/{stem}.png", (0, 2, 4))
    return tmp_path


def test_of_youtube_vos_the_annotated_frames_alone_need_a_mask(video):
    assert mask_problems(ytvos.read(video, "train")) == {}
    (video / "train/Annotations/0043f083b5/00010.png").unlink()
    found = mask_problems(ytvos.read(video, "train"))
    assert found == {"0043f083b5": "Annotations/0043f083b5/00010.png: no such mask"}
    (video / "train/JPEGImages/0043f083b5/00010.jpg").unlink()
    found = mask_problems(ytvos.read(video, "train"))
    assert found["0043f083b5"].endswith("00010.png: no such mask (and 1 more faults)")


@pytest.mark.parametrize("stranger", [1, 255])
def test_ids_that_meta_does_not_name_are_found(video, stranger):
    mask(video / "train/Annotations/0043f083b5/00005.png", (0, 2, stranger))
    message = f"00005.png: holds the ids {stranger}, which the list of objects does not name"
    assert message in mask_problems(ytvos.read(video, "train"))["0043f083b5"]
