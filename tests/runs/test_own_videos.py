"""Tasks on one's own videos: one line of the command, rows of custom data, and nothing taken for what it is not."""

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.results.store import Store
from sigma_bench.results.tables import build, custom
from sigma_bench.runs import own_videos
from sigma_bench.runs.evaluate import evaluate_here
from sigma_bench.runs.request import Request
from sigma_bench.spec import load

FAST = ["views.train=1", "views.test_clips=1", "views.test_crops=1", "views.augment=none", "clips.stride=1"]
PROBE = ["probe.epochs=3", "probe.rates=[0.01]", "probe.weight_decays=[0.0]", "clips.frames=8"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Lists with names of classes, of a third of a small UCF101."""
    folder = tmp_path_factory.mktemp("own data")
    write(folder / "ucf101", seed=0, groups=5, clips_per_group=1)
    for split, name in (("train", "train.csv"), ("test", "val.csv")):
        index = read(folder / "ucf101", split)
        rows = [
            f"{index.path(n).relative_to(folder)},{index.classes[index.labels[n]]}" for n in range(0, index.count, 3)
        ]
        (folder / name).write_text("path,label\n" + "\n".join(rows))
    return folder


def request(lists, tmp_path, task="linear", sets=(*FAST, *PROBE), **more):
    given = {"videos": (lists / "train.csv", lists / "val.csv"), "sets": list(sets), "device": "cpu", "workers": 1}
    given |= {"tasks": [task], "out": tmp_path / "out", "results": tmp_path / "rows"}
    return Request(["random:nano"], **{**given, **more})


def test_one_line_measures_own_videos_and_another_one_knows_it(lists, tmp_path, capsys):
    assert evaluate_here(request(lists, tmp_path)) == 0
    (row,) = Store(tmp_path / "rows").read()
    assert (row.task, row.data, row.metric, row.status) == ("linear/videos", "custom", "top1", "ok")
    assert "own lists train.csv and val.csv" in row.marks
    assert not any("other than the published one" in mark for mark in row.marks)
    assert (row.train_count, row.n_decoded) == (43, 11)
    (table,) = custom([row], load.layout())
    assert table.name == "custom_linear"
    assert evaluate_here(request(lists, tmp_path)) == 0
    assert "linear/videos seed 0: has a row, skipped" in capsys.readouterr().err


def test_other_tasks_lend_their_settings_and_never_their_cell(lists, tmp_path):
    assert evaluate_here(request(lists, tmp_path, "knn", [*FAST, "clips.frames=8", "knn.k=5"])) == 0
    assert evaluate_here(request(lists, tmp_path, "linear/ucf101")) == 0
    knn, lent = Store(tmp_path / "rows").read()
    assert (knn.task, knn.metric, knn.data) == ("knn/videos", "knn_top1", "custom")
    assert (lent.task, lent.metric, lent.data) == ("linear/ucf101", "top1", "custom")
    from sigma_bench.results import published
    from sigma_bench.spec import roots

    found = published.read(roots.find("published", "published.csv").parent)
    table = build("T1", [lent, knn], found, load.layout())
    assert not any(line.kind == "measured" for block in table.blocks for line in block.lines)


def test_the_same_names_on_other_videos_are_measured_anew(lists, tmp_path):
    import shutil

    assert evaluate_here(request(lists, tmp_path)) == 0
    copy = tmp_path / "copy"
    shutil.copytree(lists, copy)
    assert evaluate_here(request(copy, tmp_path)) == 0  # a copy is the same
    assert len(Store(tmp_path / "rows").read()) == 1
    videos = sorted(copy.rglob("*_g01_*.avi"))
    shutil.copyfile(videos[0], videos[3])
    assert evaluate_here(request(copy, tmp_path)) == 0
    assert len(Store(tmp_path / "rows").read()) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"videos": ("train.csv",)}, "expected two lists"),
        ({"videos": ("train.csv", "val.csv", "x.csv")}, "expected two lists"),
        ({"data": "miniature"}, "--videos names the data itself; leave out --data miniature"),
        ({"data_root": "/data"}, "leave out --data-root /data"),
        ({"splits": (1, 2)}, "leave out --splits 1,2"),
        ({"tasks": [], "suite": "linear"}, "leave out --suite linear"),
        ({"tasks": ["lineer"]}, r"--task lineer: no such task; with --videos name a task .* attentive, knn, linear"),
        ({"tasks": ["controls/motion"]}, "exists only with --data miniature"),
        ({"tasks": ["linear/in1k"], "sets": ["dataset.relabel=kind"]}, "made for the column kind of in1k"),
    ],
)
def test_what_cannot_go_with_own_videos_is_refused(lists, tmp_path, more, said):
    if "videos" in more:
        more = {"videos": tuple(lists / name for name in more["videos"])}
    with pytest.raises(UserError, match=said):
        evaluate_here(request(lists, tmp_path, **{"sets": (), **more}))
    assert not (tmp_path / "rows").exists()


def test_videos_of_one_class_and_too_few_for_a_hold_out_are_told_and_leave_no_row(lists, tmp_path, capsys):
    lines = (lists / "train.csv").read_text().splitlines()
    one = tmp_path / "one"
    one.mkdir()
    first = lines[1].rpartition(",")[2]
    own = [f"{lists / line.rpartition(',')[0]},{first}" for line in lines[1:4]]
    (one / "train.csv").write_text("\n".join(own[:2]))
    (one / "val.csv").write_text(own[2])
    assert evaluate_here(request(one, tmp_path)) == 2
    assert "all 2 samples of list 'train' of videos are of class" in capsys.readouterr().err
    (one / "train.csv").write_text("\n".join([own[0], own[1].replace(first, "other")]))
    sets = [*FAST, *PROBE, "probe.rates=[0.01, 0.1]"]
    assert evaluate_here(request(one, tmp_path, sets=sets)) == 2
    assert "no group can be held out, since each holds all samples of some class" in capsys.readouterr().err
    assert not Store(tmp_path / "rows").read()


def test_templates_are_the_tasks_named_for_it():
    assert own_videos.template("linear") == "linear/videos"
    assert own_videos.template("attentive") == "attentive/videos"
    assert own_videos.template("linear/k400") == "linear/k400"
    assert own_videos.lists(()) is None
