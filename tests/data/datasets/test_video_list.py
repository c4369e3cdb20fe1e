"""Lists of `path label`: what may be read in one way only is read, everything else is refused by file and line."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import video_list


def written(root, text, split="train"):
    (root / f"{split}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def pairs(index):
    return list(zip(index.ids, index.labels.tolist(), strict=True))


def test_relative_paths_are_below_the_list(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").touch()
    index = video_list.read(written(tmp_path, "a/x.mp4 1\nb/x.mp4 0\n"), "train")
    assert pairs(index) == [("a/x.mp4", 1), ("b/x.mp4", 0)]  # names repeat across folders
    assert index.root == tmp_path
    assert index.classes == ("0", "1")
    assert index.missing() == ("b/x.mp4",)
    assert index.table.column("group").to_pylist() == list(index.ids)


@pytest.mark.parametrize(
    "text",
    [
        "a b/x.mp4 3\ny.mp4 0",
        "a b/x.mp4  3\ny.mp4  0\n",
        "a b/x.mp4\t3\ny.mp4\t0\n",
        "a b/x.mp4 3\r\ny.mp4 0\r\n",
        "\ufeffa b/x.mp4 3\n\n  y.mp4 0  \n\n",
        "a b/x.mp4\t \t3\ny.mp4 \t0\n",
        "./a b//x.mp4 3\ny.mp4 00\n",
    ],
)
def test_what_can_be_read_in_one_way_only_is_read(tmp_path, text):
    index = video_list.read(written(tmp_path, text), "train")
    assert pairs(index) == [("a b/x.mp4", 3), ("y.mp4", 0)]
    assert len(index.classes) == 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.from_regex(r"[A-Za-z0-9_\[\]#!,'(). -]{0,12}[a-z]\.mp4", fullmatch=True), st.integers(0, 999)),
        min_size=1,
        unique_by=lambda pair: pair[0].strip(),
    ),
    st.sampled_from([" ", "  ", "\t", " \t "]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_paths_come_back_as_they_were_written(tmp_path, entries, gap, end):
    entries = [(name.strip(), label) for name, label in entries if name.strip()[0] != "'"]
    if entries:
        text = end.join(f"{name}{gap}{label}" for name, label in entries)
        assert pairs(video_list.read(written(tmp_path, text), "train")) == entries


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x.mp4,3", "put a space instead of the comma"),
        ("a b.mp4,3", "put a space instead of the comma"),
        ("x.mp4, 3.5", "the label '3.5' is none"),
        ("x.mp4 3.0", "the label '3.0' is none"),
        ("x.mp4 1e2", "the label '1e2' is none"),
        ("x.mp4 -2", "the label '-2' is none"),
        ("x.mp4 +3", "the label '+3' is none"),
        ("x.mp4 12345678", "the label '12345678' is none"),
        ("x.mp4 archery", "the label 'archery' is no number"),
        ("x.mp4", "is the label missing?"),
        ("a b.mp4", "is the label missing?"),
        ("3", "is the label missing?"),
        ("x.mp4 ٣", "expected `path label`"),
        ("x.mp4 120 3", "may be a third column"),
        ("abseiling/x_000010_000020 300 0", "may be a third column"),
        ('"a b.mp4" 3', "remove the quotes"),
        ("'x.mp4' 3", "remove the quotes"),
        ("C:\\videos\\x.mp4 3", "backslash"),
        ("a\0b.mp4 3", "control character"),
        ("a\u2028b.mp4 3", "control character"),
        ("../x.mp4 3", "leads through '..'"),
        ("a/../../x.mp4 3", "leads through '..'"),
        ("/data/../etc/x.mp4 3", "leads through '..'"),
        ("first.mp4 2", "'first.mp4' is in line 1 too"),
        ("./first.mp4 0", "'first.mp4' is in line 1 too"),
        ("x.mp4 -1", "label -1 says that there is none; 1 of 3 lines"),
    ],
)
def test_what_could_be_misread_is_refused_by_file_and_line(tmp_path, line, said):
    written(tmp_path, f"first.mp4 0\n{line}\nlast.mp4 1\n")
    with pytest.raises(UserError, match=rf"train\.csv:2: .*{re.escape(said)}"):
        video_list.read(tmp_path, "train")


@pytest.mark.parametrize("header", ["path label", "video\tclass"])
def test_a_header_is_refused(tmp_path, header):
    with pytest.raises(UserError, match=r"train\.csv:1: .*a header does not belong there: delete the line"):
        video_list.read(written(tmp_path, f"{header}\nx.mp4 1\n"), "train")


def test_a_list_that_is_absent_empty_or_no_text_is_named(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}/val\.csv: no such list"):
        video_list.read(tmp_path, "val")
    with pytest.raises(UserError, match=r"train\.csv is empty"):
        video_list.read(written(tmp_path, "\r\n \n"), "train")
    with pytest.raises(UserError, match=r"train\.csv:2: not a text file"):
        video_list.read(written(tmp_path, b"x.mp4 1\n\xff.mp4 2\n"), "train")
    with pytest.raises(UserError, match="no fold 2"):
        video_list.read(tmp_path, "train", fold=2)
    with pytest.raises(UserError, match="no name of a split"):
        video_list.read(tmp_path, "../train")


def test_names_may_be_of_any_script(tmp_path):
    name = "vidéo\u00a0\u65e5\u672c\u3000\u8a9e/\U0001f3b8.mp4"
    assert pairs(video_list.read(written(tmp_path, f"{name} 1\n"), "train")) == [(name, 1)]


def test_all_lists_count_the_classes_of_the_training_list(tmp_path):
    written(tmp_path, "x.mp4 4\n")
    assert len(video_list.read(written(tmp_path, "y.mp4 1\n", "val"), "val").classes) == 5
    written(tmp_path, "y.mp4 4\nz.mp4 5\n", "val")
    with pytest.raises(UserError, match=rf"val\.csv:2: label 5 is out of range; the 5 classes of {tmp_path}/train.csv"):
        video_list.read(tmp_path, "val")
    with pytest.raises(UserError, match=r"train\.csv:1: label 4 is out of range; the 4 classes are 0 to 3"):
        video_list.read(tmp_path, "train", classes=4)
    assert len(video_list.read(tmp_path, "train", classes=400).classes) == 400
    (tmp_path / "train.csv").unlink()
    assert len(video_list.read(tmp_path, "val").classes) == 6


def test_a_list_without_labels_is_for_pretraining_alone(tmp_path):
    index = video_list.read(written(tmp_path, "x.mp4 -1\ny.mp4 -1\n"), "train")
    assert (index.labels.tolist(), index.classes) == ([-1, -1], ())
    with pytest.raises(UserError, match=r"val\.csv:1: label -1 .* only train.csv may"):
        video_list.read(written(tmp_path, "x.mp4 -1\n", "val"), "val")


def test_absolute_paths_lie_below_the_list_or_below_one_folder(tmp_path):
    inside = video_list.read(written(tmp_path, f"{tmp_path}/a/x.mp4 1\n{tmp_path}/a/y.mp4 0\n"), "train")
    assert (inside.root, inside.ids) == (tmp_path, ("a/x.mp4", "a/y.mp4"))
    outside = video_list.read(written(tmp_path, "/data/k400/a/x.mp4 1\n/data/k400/b/x.mp4 0\n"), "train")
    assert (str(outside.root), outside.ids) == ("/data/k400", ("a/x.mp4", "b/x.mp4"))
    assert str(outside.path(1)) == "/data/k400/b/x.mp4"
    with pytest.raises(UserError, match=r"train\.csv:2: 'b/y.mp4' is relative, the paths above are not"):
        video_list.read(written(tmp_path, "/a/x.mp4 1\nb/y.mp4 0\n"), "train")
    with pytest.raises(UserError, match=r"train\.csv:3: '/b/y.mp4' is absolute, the paths above are not"):
        video_list.read(written(tmp_path, "x.mp4 1\nz.mp4 0\n/b/y.mp4 0\n"), "train")
