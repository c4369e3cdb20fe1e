"""Own lists: both ways to write them, what is refused with its line, and what tells two sets of videos apart."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets.own_lists import listed, pair, read


@pytest.fixture
def videos(tmp_path) -> Path:
    for name in ("a.mp4", "b.mp4", "two words.mp4", "c,d.mp4", "sub/e.mp4", "t1.mp4", "t2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def both(folder, train, test="t1.mp4,jump\nt2.mp4,run\n"):
    (folder / "train.csv").write_text(train)
    (folder / "val.csv").write_text(test)
    return pair(folder / "train.csv", folder / "val.csv")


def content(index):
    return list(zip(index.ids, (index.classes[label] for label in index.labels), strict=True))


@pytest.mark.parametrize(
    "train",
    [
        "a.mp4,run\ntwo words.mp4,jump\nsub/e.mp4,run\n",
        "\ufeffa.mp4, run\r\n\r\n\"two words.mp4\",jump\r\n./sub/../sub/e.mp4 ,run",
        "Path,Label\na.mp4,run\ntwo words.mp4,jump\nsub/e.mp4,run\n",
        "label,path\nrun,a.mp4\njump,two words.mp4\nrun,sub/e.mp4\n",
        "a.mp4 run\ntwo words.mp4\tjump\n  sub/e.mp4   run  \n",
        "path label\na.mp4 run\ntwo words.mp4 jump\nsub/e.mp4 run",
    ],
)  # fmt: skip
def test_commas_or_spaces_header_or_none_quotes_or_none(videos, train):
    lists = both(videos, train)
    assert content(lists.train) == [("a.mp4", "run"), ("two words.mp4", "jump"), ("sub/e.mp4", "run")]
    assert content(lists.test) == [("t1.mp4", "jump"), ("t2.mp4", "run")]
    assert lists.train.classes == lists.test.classes == ("jump", "run")
    assert lists.train.notes == ("own lists train.csv and val.csv",)
    assert lists.train.path(1) == videos / "two words.mp4"
    assert not lists.train.missing()


def test_numbers_are_classes_in_their_order_and_need_not_begin_at_0(videos):
    lists = both(videos, "a.mp4 10\nb.mp4 2\nsub/e.mp4 007\n", "t1.mp4,7\nt2.mp4,10\n")
    assert lists.train.classes == ("2", "7", "10")
    assert lists.train.labels.tolist() == [2, 0, 1]
    assert lists.test.labels.tolist() == [1, 2]
    mixed = both(videos, "a.mp4 10\nb.mp4 2\nsub/e.mp4 jump\n", "t1.mp4 10\nt2.mp4 2\n")
    assert mixed.train.classes == ("10", "2", "jump")


def test_absolute_paths_links_upwards_and_groups(videos, tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    lists = both(folder, f"path,label,group\n{videos / 'a.mp4'},run,x\n../b.mp4,jump,\n../sub/e.mp4,jump,x\n",
                 "../t1.mp4,jump\n../t2.mp4,run")  # fmt: skip
    assert lists.train.root == videos
    assert lists.train.table["group"].to_pylist() == ["x", "b.mp4", "x"]
    assert lists.train.path(2) == videos / "sub/e.mp4"


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ("", None, "train.csv is empty; expected one video a line, `path,label` or `path label`"),
        ("a.mp4,run\nb.mp4,jump\n", "\n \n", "val.csv is empty"),
        ("a.mp4\nb.mp4 jump\n", None, r"train.csv:1: found 'a.mp4'.*is the label missing\?"),
        ("a.mp4,run\nb.mp4,\n", None, "train.csv:2: 'b.mp4' has no label"),
        ("a.mp4 -1\nb.mp4 -1\n", None, "train.csv:1: 'a.mp4' has no label"),
        ("a.mp4,run\nb.mp4,jump\n./a.mp4,run\n", None, r"train.csv:3: './a.mp4' is in line 1 too"),
        ("a.mp4,run\nb.mp4,jump\n", "t1.mp4,jmup\n", r"val.csv:1: no video of .* has the label 'jmup'.* jump, run"),
        ("a.mp4,0\nb.mp4,1\n", "t1.mp4,jump\n", "no video of .* has the label 'jump'"),
        ("a.mp4,run\nb.mp4,jump,3\n", None, r"train.csv:2: found 3 fields, expected 2 \(path, label\)"),
        ("c,d.mp4,run\nb.mp4,jump\n", None, "train.csv:1: found 3 fields, expected 2"),
        (
            "path,label,kind\na.mp4,run,x\n",
            None,
            "train.csv:1: column 'kind': expected each of path, label",
        ),
        ("path,label,path\na.mp4,run,x\n", None, "column 'path': expected each"),
        ("video,class\na.mp4,run\nb.mp4,jump\n", None, "train.csv:1: there is no 'video'; if the line is a header"),
        ('a.mp4,run\n"b.mp4,jump\n', None, "train.csv:2: no line of a CSV file|train.csv:3: no line of a CSV file"),
        (",run\nb.mp4,jump\n", None, "train.csv:1: found '' as a path"),
        (
            "x.mp4,run\ny.mp4,jump\n",
            None,
            r"none of its 2 videos exists; the first, 'x.mp4', was looked for",
        ),
        ("t1.mp4,run\nt2.mp4,jump\nb.mp4,jump\n", "t1.mp4,run\n", "all 1 videos of .*val.csv are in .*train.csv too"),
        ("a.mp4," + "x" * 300 + "\n", None, "has the label 'xxx"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(videos, train, test, said):
    with pytest.raises(UserError, match=said):
        both(videos, train, *([] if test is None else [test]))


def test_a_list_that_is_no_text_or_not_there_is_told(videos):
    (videos / "train.csv").write_bytes(b"a.mp4,\xff\xfe\n")
    (videos / "val.csv").write_text("t1.mp4,jump\n")
    with pytest.raises(UserError, match=r"train.csv:1: not a text file"):
        pair(videos / "train.csv", videos / "val.csv")
    with pytest.raises(UserError, match=r"nothing.csv: no such list"):
        pair(videos / "nothing.csv", videos / "val.csv")
    with pytest.raises(UserError, match="no such list"):
        pair(videos, videos / "val.csv")


def test_paths_from_the_working_directory_are_recognised(videos, monkeypatch):
    folder = videos / "lists"
    folder.mkdir()
    monkeypatch.chdir(videos)
    with pytest.raises(UserError, match="It is there from the working directory: write the paths from"):
        both(folder, "a.mp4,run\nb.mp4,jump\n")


def test_a_path_with_a_comma_stands_in_quotes_and_missing_files_are_samples(videos):
    lists = both(videos, '"c,d.mp4",run\nb.mp4,jump\ngone.mp4,run\n')
    assert lists.train.ids[0] == "c,d.mp4"
    assert lists.train.missing() == ("gone.mp4",)


def test_videos_in_both_lists_are_noted(videos):
    lists = both(videos, "a.mp4,run\nt1.mp4,jump\n")
    assert lists.train.notes[1] == "1 of 2 test videos are in the training list too"


def test_other_videos_of_the_same_names_are_another_set(videos, tmp_path):
    before = both(videos, "a.mp4,run\nb.mp4,jump\n")
    again = both(videos, "path,label\na.mp4,run\nb.mp4,jump\n")
    assert again.sha256 == before.sha256
    changed = [both(videos, "a.mp4,jump\nb.mp4,run\n").sha256, both(videos, "b.mp4,jump\na.mp4,run\n").sha256]
    (videos / "a.mp4").write_bytes(b"another video")
    other = both(videos, "a.mp4,run\nb.mp4,jump\n")
    assert other.train.sha256 == before.train.sha256  # ids and labels are the same
    assert len({before.sha256, other.sha256, *changed}) == 4


def test_the_data_set_of_that_name_has_two_lists(videos):
    both(videos, "a.mp4,run\nb.mp4,jump\n")
    (videos / "val.csv").rename(videos / "test.csv")
    assert content(read(videos, "test")) == [("t1.mp4", "jump"), ("t2.mp4", "run")]
    assert read(videos, "train").count == 2
    with pytest.raises(UserError, match="found list 'val', fold 1"):
        read(videos, "val")


def test_a_list_without_labels(videos):
    (videos / "list.txt").write_text("a.mp4\ntwo words.mp4\nb.mp4 3\n")
    assert listed(videos / "list.txt").ids == ("a.mp4", "two words.mp4", "b.mp4")
    (videos / "list.csv").write_text('path,label\na.mp4,run\n"c,d.mp4",-1\n')
    assert listed(videos / "list.csv").ids == ("a.mp4", "c,d.mp4")


NAMES = st.lists(st.sampled_from(["a.mp4", "b.mp4", "two words.mp4", "sub/e.mp4"]), min_size=2, max_size=4, unique=True)


@settings(max_examples=25, deadline=None)
@given(NAMES, st.data())
def test_spaces_and_commas_give_the_same_lists(tmp_path_factory, names, data):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "sub").mkdir()
    for name in [*names, "t.mp4"]:
        (folder / name).write_bytes(b"x")
    labels = data.draw(st.lists(st.sampled_from(["run", "jump", "5"]), min_size=len(names), max_size=len(names)))
    test = f"t.mp4,{labels[0]}"
    lists = [
        both(folder, "\n".join(f"{name}{between}{label}" for name, label in zip(names, labels, strict=True)), test)
        for between in (" ", ",", " , ", "\t")
    ]
    assert len({one.sha256 for one in lists}) == 1
    assert content(lists[0].train) == list(zip(names, labels, strict=True))
