"""Half of Something-Something v2: the rule of the draw, pinned on a made-up list."""

import hashlib
import json

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import mini_ssv2, ssv2
from sigma_bench.data.subsets import class_counts

CLASSES = ("Closing something", "Opening something", "Pushing something off something", "Showing something")
COUNTS = (40, 7, 1, 0)


def write(root, entries):
    for name, content in {"train": entries, "validation": entries[:3], "labels": labels()}.items():
        (root / f"something-something-v2-{name}.json").write_text(json.dumps(content))
    (root / "videos").mkdir(exist_ok=True)
    (root / "videos" / "1.webm").touch()


def labels():
    return {name: str(index) for index, name in enumerate(CLASSES)}


@pytest.fixture
def entries():
    names = [name for name, count in zip(CLASSES, COUNTS, strict=True) for _ in range(count)]
    return [
        {"id": str(7 * n + 1), "template": name.replace("something", "[something]")} for n, name in enumerate(names)
    ]


def test_the_half_is_pinned(tmp_path, entries):
    write(tmp_path, entries)
    train = mini_ssv2.read(tmp_path, "train")
    assert (train.name, train.split, train.count) == ("mini_ssv2", "train", 25)
    assert class_counts(train) == dict(zip(CLASSES, (20, 4, 1, 0), strict=True))
    assert list(train.ids) == sorted(train.ids, key=int)
    assert (
        hashlib.sha256(",".join(train.ids).encode()).hexdigest()
        == "e02b0a1cc7cc53f6a4cfec4d1903f73cdaa13e3908fac1a463a5bb9f4e0335e2"
    )


def test_the_draw_depends_neither_on_the_files_nor_on_the_order_of_the_list(tmp_path, entries):
    write(tmp_path, entries)
    before = mini_ssv2.read(tmp_path, "train")
    (tmp_path / "videos" / "8.webm").touch()
    write(tmp_path, entries[::-1])
    assert mini_ssv2.read(tmp_path, "train").sha256 == before.sha256


def test_the_draw_of_a_class_depends_on_its_own_videos_alone(tmp_path, entries):
    write(tmp_path, entries)
    before = mini_ssv2.read(tmp_path, "train")
    write(tmp_path, [e for e in entries if not e["template"].startswith("Opening")])
    after = mini_ssv2.read(tmp_path, "train")
    kept = np.array(before.ids)[before.labels != 1]
    assert list(after.ids) == kept.tolist()


def test_val_is_that_of_ssv2(tmp_path, entries):
    write(tmp_path, entries)
    val = mini_ssv2.read(tmp_path, "validation")
    assert (val.name, val.split, val.sha256) == ("mini_ssv2", "val", ssv2.read(tmp_path, "val").sha256)
    assert mini_ssv2.splits(tmp_path) == ("train", "val")


def test_only_the_official_list_is_halved(tmp_path, entries):
    write(tmp_path, entries)
    (tmp_path / "something-something-v2-train.json").unlink()
    (tmp_path / "train.csv").write_text("videos/1.webm 0\n")
    assert mini_ssv2.splits(tmp_path) == ("val",)
    with pytest.raises(UserError, match="no list of ssv2/train"):
        mini_ssv2.read(tmp_path, "train")
    with pytest.raises(UserError, match="no split 'test'; it has train, val"):
        mini_ssv2.read(tmp_path, "test")
    with pytest.raises(UserError, match="no fold 2"):
        mini_ssv2.read(tmp_path, "train", fold=2)
