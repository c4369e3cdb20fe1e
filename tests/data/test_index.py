from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Action, Index, Object, Sample
from sigma_bench.data.subsets import class_counts, holdout, per_class, relabel


def build(rows, classes=("a", "b", "c"), root="."):
    return Index.build("toy", "train", root, classes, rows)


@pytest.fixture
def toy():
    return build(
        Sample(f"{c}{g}{k}", f"{c}/{g}{k}.avi", "abc".index(c), f"{c}{g}")
        for c in "abc"
        for g in range(10)
        for k in range(2)
    )


def test_hash_is_of_ids_labels_and_times_alone(toy):
    other = replace(toy, name="x", split="y")
    assert other.sha256 == toy.sha256
    assert build([]).sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    one = [Sample("é1", "p.avi", 0, "g", 3, None)]
    assert build(one).sha256 == build([one[0]._replace(path="q.avi", group="h")]).sha256
    assert (
        build(one).sha256 == "6c4bd776d50a8e8c58679e76fdd6d8e0207a49ddfd53f1c9ee269fdc0925ff00"
    )  # frozen: rows written with one version are compared with later ones
    for change in ({"id": "e1"}, {"label": 1}, {"start": 4}, {"end": 9}):
        assert build([one[0]._replace(**change)]).sha256 != build(one).sha256
    assert toy.select([1, 0]).sha256 != toy.select([0, 1]).sha256


def test_rows_come_back_as_given():
    rows = [Sample("x", "d/x.avi", -1, "g"), Sample("y", "d/y.avi", 2, "g", 5, 9)]
    index = build(rows)
    assert [index.sample(0), index.sample(1)] == rows
    assert index.path(1).as_posix() == "d/y.avi"
    assert index.labels.tolist() == [-1, 2]
    with pytest.raises(IndexError):
        index.sample(2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Sample("x", "x", 0, "g"), Sample("x", "y", 0, "g")], "'x' appears twice"),
        ([Sample("x", "../x", 0, "g")], "leaves the data folder"),
        ([Sample("x", "/x", 0, "g")], "leaves the data folder"),
        ([Sample("x", "a\\x", 0, "g")], "leaves the data folder"),
        ([Sample("x", "x", 3, "g")], "label 3 names none of the 3 classes"),
        ([Sample("x", "x", -2, "g")], "label -2"),
    ],
)
def test_bad_rows_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        build(rows)


def test_missing_and_present(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.avi").touch()
    (tmp_path / "a" / "2.avi").mkdir()  # may be a folder of frames: whether it is shows when it is decoded
    index = build(
        [Sample(str(k), f"a/{k}.avi", 0, "g") for k in range(3)] + [Sample("z", "z/1.avi", 0, "g")], root=tmp_path
    )
    assert index.missing() == ("0", "z")
    assert index.present().ids == ("1", "2")


def test_relabel_joins_by_id(toy, tmp_path):
    file = tmp_path / "factors.csv"
    lines = [f"{i},{'left' if i[1] < '5' else 'right'},{int(i[1]) + 2}" for i in reversed(toy.ids)]
    file.write_text("id,side,number\n" + "\n".join(lines) + "\nelse,above,1\n", encoding="utf-8")
    side = relabel(toy, file, "side")
    assert side.classes == ("above", "left", "right")  # also the values of rows that this split does not have
    assert [side.classes[v] for v in side.labels] == ["left" if i[1] < "5" else "right" for i in toy.ids]
    assert relabel(toy, file, "number").classes[:3] == ("1", "2", "3")
    assert relabel(toy, file, "number").classes[-2:] == ("10", "11")
    assert side.ids == toy.ids


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,other\na00,1\n", "no column 'side'; the columns are id, other"),
        ("id,side\na00,1\n", "59 of the 60 ids of toy/train have no row, the first is 'a01'"),
        ("id,side\na00,1\na00,1\n", ":3: id 'a00' appears twice"),
        ("id,side\na00,\n", ":2: id 'a00' has no value"),
        ("", "no column 'id'"),
        ("id,side,side\na00,1,2\n", "csv:1: two columns 'side'; the columns are id, side, side"),
        ("id,side\na00,1,2\n", "csv:2: found 3 fields, expected 2"),
        ("id,side\na00\n", "csv:2: found 1 fields, expected 2"),
        ('id,side\na00,"1\na01,2\n', "csv:3: no table of comma-separated values"),
        ("id,side\na00," + "1" * 200000, "csv:2: no table of comma-separated values: field larger"),
    ],
)
def test_relabel_refuses(toy, tmp_path, text, message):
    file = tmp_path / "factors.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        relabel(toy, file, "side")


def test_numbers_that_are_equal_are_classes_in_one_order(tmp_path):
    file = tmp_path / "factors.csv"
    values = ["1", "01", "001", "0001", "2"]
    rows = [Sample(f"s{k}", "x", 0, "g") for k in range(len(values))]
    file.write_bytes(b"\xef\xbb\xbfid,n\r\n" + "".join(f"s{k},{v}\r\n" for k, v in enumerate(values)).encode())
    assert relabel(build(rows), file, "n").classes == ("0001", "001", "01", "1", "2")


def test_relabel_reads_text_alone(toy, tmp_path):
    (tmp_path / "factors.csv").write_bytes(b"id,side\na00,\xff\n")
    with pytest.raises(UserError, match=r"factors.csv:2: not a text file"):
        relabel(toy, tmp_path / "factors.csv", "side")
    with pytest.raises(UserError, match="cannot be read"):
        relabel(toy, tmp_path, "side")


def test_relabel_needs_the_file(toy, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        relabel(toy, tmp_path / "none.csv", "side")


def test_per_class_is_balanced_and_seeded(toy):
    few = per_class(toy, 4, seed=1)
    assert class_counts(few) == {"a": 4, "b": 4, "c": 4}
    assert few.ids == per_class(toy, 4, seed=1).ids
    assert few.ids != per_class(toy, 4, seed=2).ids
    assert list(few.ids) == sorted(few.ids)
    without_a = toy.select(np.flatnonzero(toy.labels != 0))
    with pytest.raises(UserError, match="class 'a' has 0 samples, 4 a class"):
        per_class(without_a, 4, seed=1)
    with pytest.raises(UserError, match="labelled"):
        per_class(build([Sample("x", "x", -1, "g")]), 1, seed=1)


def test_a_class_is_drawn_by_its_own_rows_and_apart_from_others(toy):
    few = per_class(toy, 4, seed=1)
    without = toy.select([row for row in range(toy.count) if toy.labels[row] != 1 or row % 2])
    fewer = per_class(without, 4, seed=1)
    assert [i for i in few.ids if i[0] != "b"] == [i for i in fewer.ids if i[0] != "b"]
    assert len({tuple(i[1:] for i in few.ids if i[0] == c) for c in "abc"}) == 3


def test_counts_are_of_labelled_samples(toy):
    rows = [Sample("x", "x", -1, "g"), Sample("y", "y", 1, "g")]
    assert class_counts(build(rows)) == {"a": 0, "b": 1, "c": 0}


def test_holdout_serves_the_class_of_few_groups_first():
    """Were the common class served first, its share would be full before the group that has the rare one comes."""
    common = [Sample(f"a{g}", f"a{g}", 0, f"g{g}") for g in range(10)]
    index = build([*common, Sample("b0", "b0", 1, "g0"), Sample("b1", "b1", 1, "g1")], classes=("a", "b"))
    for seed in range(20):
        assert class_counts(holdout(index, 0.1, seed)[1]) == {"a": 1, "b": 1}


def test_holdout_takes_whole_groups_of_every_class(toy):
    kept, held = holdout(toy, 0.25, seed=0)
    assert class_counts(kept) != {}
    assert set(class_counts(held).values()) <= {4, 6}  # 25 % of 20, groups of 2
    assert sorted(kept.ids + held.ids) == sorted(toy.ids)
    assert holdout(toy, 0.25, seed=1)[1].ids != held.ids
    assert not {i[:2] for i in kept.ids} & {i[:2] for i in held.ids}


def test_holdout_keeps_a_class_of_one_group_for_training(toy):
    index = build([*(toy.sample(r) for r in range(8)), Sample("b", "b", 1, "only"), Sample("c", "c", 2, "c0")])
    kept, held = holdout(index, 0.5, seed=0)
    assert set(kept.labels) == {0, 1, 2}
    assert set(held.labels) == {0}
    with pytest.raises(UserError, match="no group can be held out"):
        holdout(index.select([8, 9]), 0.5, seed=0)
    with pytest.raises(ValueError, match="share"):
        holdout(toy, 1.0, seed=0)


@given(
    cells=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=2, max_size=80),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_holdout_never_tears_a_group_nor_empties_a_class(cells, share, seed):
    index = build([Sample(str(k), f"{k}", label, str(group)) for k, (label, group) in enumerate(cells)])
    try:
        kept, held = holdout(index, share, seed)
    except UserError:
        return
    groups = [set(part.table.column("group").to_pylist()) for part in (kept, held)]
    assert not groups[0] & groups[1]
    assert kept.count + held.count == index.count
    assert set(kept.labels) == set(index.labels)


def test_annotations_come_back_and_are_hashed_only_where_given():
    plain = Sample("x", "p.avi", -1, "g")
    full = plain._replace(
        start_s=0.5,
        end_s=2.25,
        fps=24.0,
        labels=(0, 2),
        actions=(Action(2, 0.0, 1.5), Action(0, 1.0, 2.0)),
        boundaries=(3, 9),
        masks="m/x",
        objects=(Object(7, 1), Object(9, -1)),
    )
    index = build([full, plain._replace(id="y", labels=())])
    assert [index.sample(0), index.sample(1)] == [full, plain._replace(id="y", labels=())]
    where = {"start_s": 0.0, "end_s": 3.0, "fps": 25.0, "masks": "n", "objects": None, "path": "q.avi"}
    what = {"labels": (0,), "actions": (Action(2, 0.0, 1.0),), "boundaries": (3, 8)}
    for change, same in [({k: v}, True) for k, v in where.items()] + [({k: v}, False) for k, v in what.items()]:
        assert (build([full._replace(**change)]).sha256 == build([full]).sha256) is same, change
    assert build([plain]).sha256 != build([plain._replace(labels=())]).sha256


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample("x", "x", -1, "g", labels=(0, 3)), "label 3 names none"),
        (Sample("x", "x", -1, "g", labels=(-1, 0)), "label -1 names none"),
        (Sample("x", "x", -1, "g", actions=(Action(2, 0.0, 1.0), Action(3, 0.0, 1.0))), "label 3 names none"),
        (Sample("x", "x", -1, "g", actions=(Action(-1, 0.0, 1.0),)), "label -1 names none"),
        (Sample("x", "x", -1, "g", objects=(Object(1, 2), Object(2, 3))), "label 3 names none"),
        (Sample("x", "x", -1, "g", objects=(Object(1, -2),)), "label -2 names none"),
        (Sample("x", "x", -1, "g", masks="../m"), "leaves the data folder"),
    ],
)
def test_annotations_are_checked(sample, message):
    with pytest.raises(UserError, match=message):
        build([sample])


def test_the_label_map_has_a_hash():
    assert build([]).classes_sha256 == build([], classes=["a", "b", "c"]).classes_sha256
    assert build([]).classes_sha256 != build([], classes=("b", "a", "c")).classes_sha256
