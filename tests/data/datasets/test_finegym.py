"""FineGym from cut clips: element lists in their several forms, and the parts of Gym99."""

import gzip
import logging
import shutil

import pytest

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import finegym
from sigma_bench.data.datasets.known import is_official
from sigma_bench.data.subsets import class_counts

A, B, C, D = (
    "-_CCCCCCCCC_E_000123_000150_A_0003_0005",
    "-_CCCCCCCCC_E_000123_000150_A_0007_0009",
    "DDDDDDDDD_D_E_000001_000020_A_0000_0000",
    "DDDDDDDDD_D_E_000001_000020_A_0001_0001",
)
TRAIN = f"{A} 78\n{B} 6\n{C} 16\n{D} 5"
VAL = f"{A} 0\n{B} 98\n{C} 88\n{D} 74"


def cut(root, element="EEEEEEEEEEE_E_000000_000009_A_0000_0001"):
    (root / "subactions").mkdir(exist_ok=True)
    (root / "subactions" / f"{element}.mp4").touch()


@pytest.fixture
def toy(tmp_path):
    cut(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "gym99_train_element_v1.0.txt").write_text(TRAIN)
    (tmp_path / "annotations" / "gym99_val_element.txt").write_text(VAL)
    return tmp_path


def test_elements_in_the_order_of_their_list_grouped_by_video(toy):
    train = finegym.gym99(toy, "train")
    assert train.ids == (A, B, C, D)
    assert train.labels.tolist() == [78, 6, 16, 5]
    assert train.table.column("group").to_pylist() == ["-_CCCCCCCCC", "-_CCCCCCCCC", "DDDDDDDDD_D", "DDDDDDDDD_D"]
    assert (train.name, train.split, len(train.classes)) == ("gym99", "train", 99)
    assert train.missing() == train.ids


def test_parts_are_labels_of_gym99_counted_from_zero(toy):
    fx, ub = finegym.fx_s1(toy, "train"), finegym.ub_s1(toy, "val")
    assert (fx.name, fx.ids, fx.labels.tolist()) == ("fx_s1", (B, C), [0, 10])
    assert fx.classes == tuple(str(label) for label in range(6, 17))
    assert (ub.name, ub.ids, ub.labels.tolist()) == ("ub_s1", (C, D), [14, 0])
    assert ub.classes == tuple(str(label) for label in range(74, 89))


def test_a_clip_is_read_in_either_ending_the_list_has_none_say_in_it(toy, caplog):
    for name in (f"{A}.avi", f"{B}.mp4", f"{C}.avi", f"{C}.mp4", f"{A}.txt", "cut.log"):
        (toy / "subactions" / name).touch()
    with caplog.at_level(logging.WARNING):
        train = finegym.gym99(toy, "train")
    assert train.table.column("path").to_pylist() == [f"{A}.avi", f"{B}.mp4", f"{C}.mp4", f"{D}.mp4"]
    assert train.missing() == (D,)
    assert "holds 1 elements as .mp4 and .avi; .mp4 is read" in caplog.text


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_lists_with_endings_are_the_same_lists(toy, ending):
    before = finegym.gym99(toy, "train")
    (toy / "annotations" / "gym99_train_element_v1.0.txt").unlink()
    text = TRAIN.replace(" ", f"{ending} ").replace("\n", " \r\n")
    (toy / "gym99_train.txt").write_text(text)
    assert finegym.gym99(toy, "train").sha256 == before.sha256


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "gym288_train_element_v1.0.txt"),
        ("train", "gym288_train_org.txt"),
        ("train", "gym288_train.txt"),
        ("train", "gym288_train_element_v1.1.txt"),
        ("val", "gym288_val_element_v1.0.txt"),
        ("val", "gym288_val_element.txt"),
        ("val", "gym288_val_org.txt"),
        ("val", "gym288_val.txt"),
    ],
)
@pytest.mark.parametrize("place", ["", "annotations", "labels"])
def test_lists_are_found_under_their_names_in_every_place(tmp_path, split, name, place, caplog):
    cut(tmp_path)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / name).write_text(f"{A} 287\n")
    with caplog.at_level(logging.WARNING):
        assert finegym.gym288(tmp_path, split).labels.tolist() == [287]
    assert ("published counts are of v1.0" in caplog.text) == ("v1.1" in name)
    assert finegym.gym288_splits(tmp_path) == (split,)
    assert finegym.gym99_splits(tmp_path) == ()


def test_the_whole_list_of_v1_0_goes_before_the_cut_down_and_the_newer(toy, caplog):
    before = finegym.gym99(toy, "train").sha256
    (toy / "annotations" / "gym99_train.txt").write_text(f"{A} 78\n")
    (toy / "annotations" / "gym99_train_element_v1.1.txt").write_text(f"{B} 6\n")
    assert finegym.gym99(toy, "train").sha256 == before
    assert not caplog.text
    (toy / "annotations" / "gym99_train_element_v1.0.txt").unlink()
    assert finegym.gym99(toy, "train").ids == (A,)
    (toy / "gym99_train.txt").write_text(f"{B} 78\n")
    with pytest.raises(UserError, match="is there twice and differs"):
        finegym.gym99(toy, "train")


def test_class_names_are_taken_where_they_are(toy):
    path = toy / "annotations" / "gym99_label_map.txt"
    path.write_text("".join(f"(FX) element {min(i, 97)}\n" for i in range(99)))
    classes = finegym.gym99(toy, "train").classes
    assert classes[:2] == ("(FX) element 0", "(FX) element 1")
    assert classes[97:] == ("(FX) element 97 (label 97)", "(FX) element 97 (label 98)")
    assert finegym.fx_s1(toy, "train").classes[0] == "(FX) element 6"
    lines = [f"Clabel: {i}; set: 1; Glabel: {2 * i}; (VT) a; b, {i}" for i in range(99)]
    (toy / "gym99_categories.txt").write_text("\n".join(lines))
    assert finegym.gym99(toy, "train").classes[98] == "(VT) a; b, 98"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gym99_label_map.txt", "a\nb\n", "gym99_label_map.txt names 2 classes, gym99 has 99"),
        ("gym99_categories.txt", "Clabel: 0; set: 1; Glabel: 1; a\n\nb\n", r"gym99_categories.txt:3: found 'b'"),
        (
            "gym99_categories.txt",
            "Clabel: 1; set: 1; Glabel: 1; a\n",
            r"gym99_categories.txt:1: .*expected 'Clabel: 0;",
        ),
        ("gym99_val_element.txt", "\n", "gym99_val_element.txt is empty"),
        ("gym99_val_element.txt", f"{A} 0\n\n{B}\n", rf"gym99_val_element.txt:3: found '{B}', expected"),
        ("gym99_val_element.txt", f"{A[1:]} 0", r"element.txt:1: found"),
        ("gym99_val_element.txt", f"../{A} 0", r"element.txt:1: found"),
        ("gym99_val_element.txt", f"{A}.webm 0", r"element.txt:1: found"),
        ("gym99_val_element.txt", f"{A} -1", r"element.txt:1: found"),
        ("gym99_val_element.txt", f"{A} 98\n{B} 99", r"element.txt:2: label 99 is out of range.* 0 to 98"),
        ("gym99_val_element.txt", f"{B} 1\n{A} 1\n{A}.avi 1", rf"element.txt:3: '{A}' is in line 2 too"),
    ],
)
def test_malformed_lists_name_file_and_line(toy, name, text, message):
    (toy / "annotations" / name).write_text(text)
    with pytest.raises(UserError, match=message):
        finegym.gym99(toy, "val")


def test_a_list_that_is_no_text_names_the_line(toy):
    (toy / "annotations" / "gym99_val_element.txt").write_bytes(f"{A} 0\n".encode() + b"\xff\xfe")
    with pytest.raises(UserError, match=r"gym99_val_element.txt:2: not a text file"):
        finegym.gym99(toy, "val")


def test_absent_things_are_named_with_where_they_were_looked_for(toy):
    with pytest.raises(UserError, match="ub_s1 has no split 'test'; it has train and val"):
        finegym.ub_s1(toy, "test")
    with pytest.raises(UserError, match="gym99 has no fold 2"):
        finegym.gym99(toy, "val", fold=2)
    with pytest.raises(UserError, match=r"no element list of gym288/val: expected .*gym288_val_element.txt or .* in"):
        finegym.gym288(toy, "val")
    with pytest.raises(UserError, match=r"has no element of fx_s1 \(labels 6 to 16\)"):
        finegym.fx_s1(toy, "val")


@pytest.mark.parametrize("names", [None, [], ["cut.log", "CCCCCCCCCCC.mp4", f"{A}.txt"]])
@pytest.mark.parametrize("place", ["videos", "raw_videos"])
def test_without_a_clip_and_without_a_video_both_places_are_named(toy, names, place):
    shutil.rmtree(toy / "subactions")
    for name in names or []:
        cut(toy, "x")
        (toy / "subactions" / "x.mp4").rename(toy / "subactions" / name)
    if names is not None:
        (toy / place).mkdir()
    with pytest.raises(
        UserError, match=r"neither .*subactions holds a clip, .*, nor .*/videos or .*/raw_videos an untr"
    ):
        finegym.gym99(toy, "train")


@pytest.fixture(scope="module")
def official(shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("finegym")
    cut(root)
    source = shared / "annotations" / "finegym"
    for packed in source.glob("*.txt.gz"):
        (root / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    (root / "gym99_label_map.txt").write_bytes((source / "gym99_label_map.txt").read_bytes())
    return root


@pytest.mark.parametrize(
    ("name", "train", "val", "classes"),
    [
        ("gym99", 20484, 8521, 99),
        ("gym288", 22671, 9646, 288),
        ("fx_s1", 1882, 777, 11),
        ("ub_s1", 3511, 1471, 15),
    ],
)
def test_official_lists_have_the_official_counts_and_hashes(official, name, train, val, classes):
    assert registry.get("splits", name)(official) == ("train", "val")
    for split, count in (("train", train), ("val", val)):
        index = registry.get("datasets", name)(official, split)
        assert index.count == count
        assert len(set(index.classes)) == len(index.classes) == classes
        assert is_official(name, split, 1, index)
        assert not is_official(name, split, 1, index.select(range(1, count)))
        if name != "gym288":
            assert min(class_counts(index).values()) > 0
        if name.endswith("_s1"):
            assert {c[:4] for c in index.classes} == {{"fx_s1": "(FX)", "ub_s1": "(UB)"}[name]}


def test_one_class_of_gym288_has_no_training_element(official):
    counts = class_counts(finegym.gym288(official, "train"))
    assert [c for c in counts.values() if not c] == [0]


def test_gym99_is_divided_by_element_not_by_video(official):
    train, val = (finegym.gym99(official, split) for split in ("train", "val"))
    events = [{name.rpartition("_A_")[0] for name in index.ids} for index in (train, val)]
    assert len(events[0] & events[1]) == 265
    assert len({event[:11] for event in events[0]} & {event[:11] for event in events[1]}) == 39
