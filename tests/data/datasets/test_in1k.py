"""ImageNet-1K: class order, flat and sorted validation pictures, and the devkit's own numbers."""

import logging
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import in1k
from sigma_bench.data.datasets.in1k_val import GROUND_TRUTH, META, SOLUTION

WNIDS = ("n01440764", "n01751748", "n02119789", "n13133613")
VAL = {1: "n01751748", 2: "n13133613", 3: "n01440764", 4: "n02119789", 5: "n01751748"}


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def picture(number):
    return f"ILSVRC2012_val_{number:08d}"


def make_train(base):
    for wnid in reversed(WNIDS):
        touch(base / "train" / wnid, f"{wnid}_9.JPEG", f"{wnid}_10026.JPEG")


def make_flat(base):
    touch(base / "val", *(f"{picture(number)}.JPEG" for number in reversed(VAL)))


def make_sorted(base):
    for number, wnid in VAL.items():
        touch(base / "val" / wnid, f"{picture(number)}.JPEG")


def solution(folder, lines=None):
    lines = lines or [f"{picture(n)},{VAL[n]} 111 108 431 323 {VAL[n]} 1 2 3 4 " for n in (3, 1, 5, 2, 4)]
    (folder / SOLUTION).write_text("\n".join(["ImageId,PredictionString", *lines]) + "\n")


NUMBERS = {"n02119789": 1, "n13133613": 2, "n01751748": 3, "n01440764": 4, "n00001740": 1001}


def devkit(folder, numbers=NUMBERS, name="synsets"):
    folder.mkdir(parents=True, exist_ok=True)
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    rows = np.array([(number, wnid, "words", 0) for wnid, number in numbers.items()], dtype=kind)
    savemat(folder / META, {name: rows.reshape(-1, 1)})
    (folder / GROUND_TRUTH).write_text("".join(f"{NUMBERS[wnid]}\n" for wnid in VAL.values()))


@pytest.fixture
def toy(tmp_path):
    make_train(tmp_path)
    return tmp_path


def test_train_is_sorted_by_class_and_name(toy):
    train = in1k.read(toy, "train")
    assert (train.name, train.split, train.classes, train.notes) == ("in1k", "train", WNIDS, ())
    assert train.ids == tuple(f"{wnid}_{k}" for wnid in WNIDS for k in (10026, 9))
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert train.sample(0).path == "train/n01440764/n01440764_10026.JPEG"
    assert train.sample(0).group == train.ids[0]
    assert train.missing() == ()


def wanted(index):
    assert index.ids == tuple(picture(number) for number in VAL)
    assert [index.classes[label] for label in index.labels] == list(VAL.values())
    assert index.notes == ()
    return index


@pytest.mark.parametrize("place", ["", "ILSVRC", "val"])
def test_a_flat_val_is_labelled_by_kaggles_list(toy, place):
    make_flat(toy)
    (toy / place).mkdir(exist_ok=True)
    solution(toy / place)
    index = wanted(in1k.read(toy, "val"))
    assert index.missing() == ()


@pytest.mark.parametrize("place", ["ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", ""])
def test_a_flat_val_is_labelled_by_the_devkit_whose_numbers_are_not_the_labels(toy, place):
    make_flat(toy)
    devkit(toy / place)
    index = wanted(in1k.read(toy, "val"))
    own = [NUMBERS[wnid] - 1 for wnid in VAL.values()]
    assert index.labels.tolist() != own  # what a reader gets that takes the devkit's numbers for labels


def test_flat_and_sorted_copies_give_the_same_list(tmp_path):
    found = []
    for layout in ("csv", "devkit", "sorted"):
        base = tmp_path / layout
        make_train(base)
        (make_sorted if layout == "sorted" else make_flat)(base)
        if layout == "csv":
            solution(base)
        if layout == "devkit":
            devkit(base)
        found.append(wanted(in1k.read(base, "val")))
    assert len({index.sha256 for index in found}) == 1
    assert found[2].sample(0).path == "val/n01751748/ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize("top", ["", "ILSVRC"])
def test_kaggles_archive_is_read_as_it_is(tmp_path, top):
    base = tmp_path / top / "Data" / "CLS-LOC" if top else tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    make_train(base)
    make_flat(base)
    solution(tmp_path if not top else tmp_path / top)
    index = wanted(in1k.read(tmp_path, "val"))
    assert index.root == base
    assert in1k.splits(tmp_path) == ("train", "val")
    assert in1k.read(tmp_path / "ILSVRC", "train").root == base


def test_names_that_end_in_the_class_are_read_as_those_without(toy, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for wnid in WNIDS:
        touch(other / "train" / wnid, f"{wnid}_9_{wnid}.JPEG", f"{wnid}_10026_{wnid}.JPEG")
    touch(other / "val", *(f"{picture(number)}_{wnid}.JPEG" for number, wnid in VAL.items()))
    for folder in (toy, other):
        solution(folder)
    make_flat(toy)
    for split in ("train", "val"):
        mine = in1k.read(other, split)
        assert (mine.missing(), mine.sha256) == ((), in1k.read(toy, split).sha256)
    name = f"{picture(2)}_{VAL[2]}.JPEG"
    (other / "val" / name).rename(other / "val" / f"{picture(2)}_{VAL[1]}.JPEG")
    with pytest.raises(UserError, match=r"_00000002_n01751748.JPEG says class n01751748 .* as n13133613"):
        in1k.read(other, "val")
    touch(other / "train" / WNIDS[0], f"{WNIDS[0]}_7_{WNIDS[1]}.JPEG")
    with pytest.raises(UserError, match=r"n01440764_7_n01751748.JPEG says class n01751748 .* as n01440764"):
        in1k.read(other, "train")


def test_listed_pictures_that_are_absent_are_missing_and_others_are_refused(toy):
    make_flat(toy)
    solution(toy)
    (toy / "val" / f"{picture(2)}.JPEG").unlink()
    assert in1k.read(toy, "val").missing() == (picture(2),)
    touch(toy / "val", "ILSVRC2012_val_00000077.JPEG")
    with pytest.raises(UserError, match=rf"{SOLUTION} does not name 1 pictures .* first is ILSVRC2012_val_00000077"):
        in1k.read(toy, "val")


def test_a_flat_val_without_a_list_says_what_to_put_where(toy):
    make_flat(toy)
    with pytest.raises(UserError, match=rf"put {SOLUTION} .*{META}\) into {toy}, or sort .* val/<wnid>/$"):
        in1k.read(toy, "val")
    touch(toy, "ILSVRC2012_devkit_t12.tar.gz")
    with pytest.raises(UserError, match=r"ILSVRC2012_devkit_t12.tar.gz is still packed"):
        in1k.read(toy, "val")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rubbish", ":3: found 'rubbish', expected 'ILSVRC2012_val_00000001,n01751748 111"),
        ("../../x,n01751748 1 2 3 4", ":3: found"),
        (f"{picture(9)},n01751748 1 2 3", ":3: found"),
        (f"{picture(9)},", ":3: found"),
        (f"{picture(9)},n01751748 1 2 3 4 n01440764 1 2 3 4", ":3: found .* all objects of one class"),
        (f"{picture(9)},tench 1 2 3 4", ":3: found"),
        (f"{picture(1)},n01751748 1 2 3 4", f":3: '{picture(1)}' stands in an earlier line too"),
        (f"{picture(9)},n00000001 1 2 3 4", f"{picture(9)} is of class n00000001, which .*train lacks"),
    ],
)
def test_malformed_lines_of_kaggles_list_are_named(toy, line, message):
    touch(toy / "val", f"{picture(1)}.JPEG")
    solution(toy, [f"{picture(1)},n01751748 1 2 3 4", line])
    with pytest.raises(UserError, match=message):
        in1k.read(toy, "val")


def test_another_or_an_empty_csv_is_refused(toy):
    make_flat(toy)
    (toy / SOLUTION).write_text("id,label\n")
    with pytest.raises(UserError, match=r":1: found 'id,label', expected 'ImageId,PredictionString'"):
        in1k.read(toy, "val")
    (toy / SOLUTION).write_text("ImageId,PredictionString\n")
    with pytest.raises(UserError, match="names no picture"):
        in1k.read(toy, "val")


def test_a_damaged_devkit_is_named(toy):
    make_flat(toy)
    place = toy / "ILSVRC2012_devkit_t12" / "data"
    devkit(place, name="other")
    with pytest.raises(UserError, match=r"meta.mat: no table 'synsets' with ILSVRC2012_ID and WNID"):
        in1k.read(toy, "val")
    devkit(place, numbers=dict.fromkeys(WNIDS, 1))
    with pytest.raises(UserError, match=r"meta.mat: synsets: found number 1 with 'n01751748'"):
        in1k.read(toy, "val")
    devkit(place, numbers={"../x": 1})
    with pytest.raises(UserError, match=r"synsets: found number 1 with '../x'"):
        in1k.read(toy, "val")
    devkit(place, numbers={"n02119789": 1.5})
    with pytest.raises(UserError, match=r"synsets: found number 1.5"):
        in1k.read(toy, "val")
    (place / META).write_bytes((place / META).read_bytes()[:200])
    with pytest.raises(UserError, match=r"meta.mat: cannot be read: could not read bytes"):
        in1k.read(toy, "val")
    (place / META).write_bytes(b"n01440764 " * 50)
    with pytest.raises(UserError, match=r"meta.mat: no table 'synsets'"):
        in1k.read(toy, "val")
    (place / META).unlink()
    with pytest.raises(UserError, match=r"meta.mat: cannot be read: .*; ILSVRC2012_validation.* needs it"):
        in1k.read(toy, "val")
    devkit(place)
    (place / GROUND_TRUTH).write_text("3\n0\n")
    with pytest.raises(UserError, match=r"ground_truth.txt:2: found '0', expected the number of a class"):
        in1k.read(toy, "val")
    (place / GROUND_TRUTH).write_text("3\n2\n")
    with pytest.raises(UserError, match="does not name 3 pictures"):
        in1k.read(toy, "val")
    (place / GROUND_TRUTH).write_text("")
    with pytest.raises(UserError, match="is empty"):
        in1k.read(toy, "val")


def test_packed_classes_and_archives_say_to_unpack(toy, tmp_path_factory):
    touch(toy / "train", "n99999999.tar")
    with pytest.raises(UserError, match=r"n99999999.tar is still packed \(1 archives .* tar -xf n99999999.tar"):
        in1k.read(toy, "train")
    other = tmp_path_factory.mktemp("other")
    touch(other, "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
    with pytest.raises(UserError, match=r"expected the folder train .*; ILSVRC2012_img_train.tar is there, unpack it"):
        in1k.read(other, "train")
    make_train(other)
    with pytest.raises(UserError, match=r"val is empty or does not exist.*; ILSVRC2012_img_val.tar is there"):
        in1k.read(other, "val")
    assert in1k.splits(other) == ("train",)


def test_an_archive_beside_its_folder_and_other_files_are_left_out_and_counted(toy, caplog):
    touch(toy / "train", "n01440764.tar", "readme.txt", ".DS_Store")
    touch(toy / "train" / WNIDS[0], "list.txt", "Thumbs.db", "._n01440764_9.JPEG")
    with caplog.at_level(logging.WARNING):
        index = in1k.read(toy, "train")
    assert index.count == 8
    assert "2 files that are no pictures are left out, the first is readme.txt" in caplog.text
    assert "3 files that are no pictures are left out, the first is ._n01440764_9.JPEG" in caplog.text


def test_a_folder_that_is_no_class_would_shift_labels_and_is_refused(toy):
    touch(toy / "train" / "tench", "a.JPEG")
    with pytest.raises(UserError, match="tench is no class of ImageNet-1K"):
        in1k.read(toy, "val")


def test_pictures_in_the_wrong_place_are_refused(toy):
    touch(toy / "train" / WNIDS[0], f"{WNIDS[1]}_1.JPEG")
    with pytest.raises(UserError, match=r"n01440764/n01751748_1\.JPEG does not begin with its class"):
        in1k.read(toy, "train")
    make_sorted(toy)
    touch(toy / "val" / WNIDS[0], f"{picture(1)}.JPEG")
    with pytest.raises(UserError, match=r"val/n01440764/.*1.JPEG and val/n01751748/.*1.JPEG are one picture in two"):
        in1k.read(toy, "val")
    touch(toy / "val", f"{picture(6)}.JPEG")
    with pytest.raises(UserError, match=r"holds 1 pictures .*6.JPEG\) beside 4 folders"):
        in1k.read(toy, "val")


def test_one_stem_with_two_endings_is_refused(toy):
    touch(toy / "train" / WNIDS[0], f"{WNIDS[0]}_9.jpg")
    with pytest.raises(UserError, match=r"holds n01440764_9.JPEG and n01440764_9.jpg: one picture under two names"):
        in1k.read(toy, "train")


def test_empty_and_unknown_classes_are_refused_and_absent_ones_noted(toy):
    make_sorted(toy)
    shutil.rmtree(toy / "val" / WNIDS[2])
    assert in1k.read(toy, "val").notes == ("val has pictures of 3 of the 4 classes",)
    (toy / "val" / WNIDS[2]).mkdir()
    with pytest.raises(UserError, match="n02119789 holds no picture"):
        in1k.read(toy, "val")
    touch(toy / "val" / "n99999999", f"{picture(8)}.JPEG")
    shutil.rmtree(toy / "val" / WNIDS[2])
    with pytest.raises(UserError, match=r"n99999999 is a class that .*train lacks"):
        in1k.read(toy, "val")
    shutil.rmtree(toy / "train" / WNIDS[3])
    (toy / "train" / WNIDS[3]).mkdir()
    with pytest.raises(UserError, match="n13133613 holds no picture"):
        in1k.read(toy, "train")


def test_splits_folds_and_empty_folders(toy, tmp_path_factory):
    with pytest.raises(UserError, match="no split 'test'; it has train and val"):
        in1k.read(toy, "test")
    with pytest.raises(UserError, match="no fold 2"):
        in1k.read(toy, "train", fold=2)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="expected the folder train"):
        in1k.read(empty, "train")
    (empty / "train").mkdir()
    touch(empty / "val", "readme.txt")
    with pytest.raises(UserError, match="has no folder of a class"):
        in1k.read(empty, "train")
    make_train(empty)
    with pytest.raises(UserError, match="neither pictures nor folders"):
        in1k.read(empty, "val")
    assert registry.get("datasets", "in1k") is in1k.read
    assert registry.get("splits", "in1k")(toy) == ("train",)


def test_the_order_of_the_folders_is_the_order_of_the_labels(shared, tmp_path):
    wnids = (shared / "annotations" / "imagenet" / "imagenet_synsets.txt").read_text().split()
    for wnid in np.random.default_rng(0).permutation(wnids):
        touch(tmp_path / "train" / wnid, f"{wnid}_1.JPEG")
    index = in1k.read(tmp_path, "train")
    assert len(index.classes) == 1000
    assert list(index.classes) == wnids
    assert index.labels.tolist() == list(range(1000))
