"""The low-shot data sets: the published rows in the published order, from the folders of the whole data sets."""

import gzip
import shutil

import pytest

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import lowshot_sets
from sigma_bench.data.datasets.known import is_official


@pytest.fixture
def ucf101(shared, tmp_path):
    source = shared / "annotations" / "ucf101"
    (tmp_path / "UCF-101" / "Archery").mkdir(parents=True)
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    shutil.copy(source / "classInd.txt", lists)
    for packed in source.glob("*.gz"):
        (lists / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


@pytest.fixture
def finegym(shared, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "AAAAAAAAAAA.mp4").touch()
    for file in ("gym99_train.txt", "gym99_val.txt", "event_annotation.json"):
        packed = shared / "annotations" / "finegym" / f"{file}.gz"
        (tmp_path / file).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


def published(path):
    return [tuple(line.rsplit(" ", 1)) for line in path.read_text().splitlines()]


def test_ucf101_1000_is_the_published_list_and_the_whole_test_list(shared, ucf101):
    read = registry.get("datasets", "ucf101_1000")
    train, test = read(ucf101, "train"), read(ucf101, "test")
    rows = published(shared / "annotations" / "lowshot" / "ucf101_split1_1000_train.txt")
    paths = train.table.column("path").to_pylist()
    assert [(p, str(label)) for p, label in zip(paths, train.labels, strict=True)] == rows
    assert (train.count, test.count, train.name, test.name) == (1010, 3783, "ucf101_1000", "ucf101_1000")
    assert is_official("ucf101_1000", "train", 1, train)
    assert is_official("ucf101_1000", "test", 1, test)
    other = read(ucf101, "train", fold=2)
    assert other.count == 1010
    assert not is_official("ucf101_1000", "train", 1, other)
    assert not is_official("ucf101_1000", "train", 2, other)


def test_gym99_1000_is_the_published_list_and_the_whole_val_list(shared, finegym):
    read = registry.get("datasets", "gym99_1000")
    train, val = read(finegym, "train"), read(finegym, "val")
    rows = published(shared / "annotations" / "lowshot" / "gym99_1000_train.txt")
    assert [(i, str(label)) for i, label in zip(train.ids, train.labels, strict=True)] == rows
    assert (train.count, val.count, train.name, val.name) == (1089, 8521, "gym99_1000", "gym99_1000")
    assert is_official("gym99_1000", "train", 1, train)
    assert is_official("gym99_1000", "val", 1, val)
    assert train.notes == val.notes != ()
    assert train.sample(0).end_s > train.sample(0).start_s
    assert registry.get("splits", "gym99_1000")(finegym) == ("train", "val")


def toy(root):
    (root / "UCF-101").mkdir()
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    names = [f"{c}/v_{c}_g{g:02d}_c01.avi" for c in ("Archery", "Biking") for g in range(1, 21)]
    (lists / "classInd.txt").write_text("1 Archery\n2 Biking\n")
    (lists / "trainlist01.txt").write_text("".join(f"{n} {1 + n.startswith('Biking')}\n" for n in names))
    (lists / "testlist01.txt").write_text("".join(f"Biking/v_Biking_g{g}_c01.avi\n" for g in (21, 22, 23)))
    return names


def test_what_is_drawn_does_not_depend_on_the_files_that_are_there(tmp_path):
    names = toy(tmp_path)
    small = lowshot_sets.LowShot("ucf101", 10)
    before = small.read(tmp_path, "train")
    assert (before.count, before.name, len(before.missing())) == (10, "ucf101_10", 10)
    for name in names[5:30]:
        (tmp_path / "UCF-101" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "UCF-101" / name).touch()
    after = small.read(tmp_path, "train")
    assert after.ids == before.ids
    assert 0 < len(after.missing()) < 10
    assert lowshot_sets.LowShot("ucf101", 1).read(tmp_path, "test").count == 3


def test_a_mistake_is_that_of_the_data_set_it_is_drawn_from(tmp_path):
    toy(tmp_path)
    with pytest.raises(UserError, match="ucf101 has no split 'val'"):
        lowshot_sets.ucf101_1000(tmp_path, "val")
    with pytest.raises(UserError, match="no element list of gym99/train"):
        lowshot_sets.gym99_1000(tmp_path, "train")


@pytest.mark.parametrize("name", ["ucf101_1000", "gym99_1000"])
def test_they_are_read_from_the_folder_of_the_whole(name):
    assert registry.DRAWN_FROM[name] == {"ucf101_1000": "ucf101", "gym99_1000": "finegym"}[name]
