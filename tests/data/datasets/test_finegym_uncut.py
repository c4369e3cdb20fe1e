"""FineGym's elements in untrimmed videos: the times, their files, and what contradicts."""

import gzip
import itertools
import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import finegym, finegym_uncut
from sigma_bench.data.datasets.known import is_official

A, B, VAULT = (
    "-_CCCCCCCCC_E_000123_000150_A_0003_0005",
    "-_CCCCCCCCC_E_000123_000150_A_0006_0006",
    "DDDDDDDDD_D_E_000001_000020_A_0000_0009",
)
INFO = {
    "-_CCCCCCCCC": {
        "E_000123_000150": {
            "event": 4,
            "segments": {
                "A_0003_0005": {"stages": 1, "timestamps": [[3.45, 5.64]]},
                "A_0006_0006": {"stages": 1, "timestamps": [[6.92, 6.96]]},
            },
            "timestamps": [[123.86, 150.5]],
        },
        "E_000200_000210": {"event": 2, "segments": None, "timestamps": [[200.1, 210.2]]},
    },
    "DDDDDDDDD_D": {
        "E_000001_000020": {
            "event": 1,
            "segments": {"A_0000_0009": {"stages": 3, "timestamps": [[0.5, 3.25], [3.3, 7.0], [7.5, 9.75]]}},
            "timestamps": [[1.25, 20.0]],
        }
    },
}


def events(info):
    return {f"{v}_{e}": entry["segments"] for v, of in info.items() for e, entry in of.items() if entry["segments"]}


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "-_CCCCCCCCC.mp4").touch()
    (tmp_path / "videos" / "DDDDDDDDD_D.webm").touch()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "gym99_train_element_v1.0.txt").write_text(f"{A} 78\n{VAULT} 0\n{B} 6")
    (tmp_path / "annotations" / finegym_uncut.INFO[0]).write_text(json.dumps(INFO))
    return tmp_path


def spans(index):
    return [(index.sample(row).start_s, index.sample(row).end_s) for row in range(index.count)]


def test_an_element_is_from_its_first_stage_to_its_last_after_the_start_of_its_event(toy):
    train = finegym.gym99(toy, "train")
    assert train.root == toy / "videos"
    assert train.table.column("path").to_pylist() == ["-_CCCCCCCCC.mp4", "DDDDDDDDD_D.webm", "-_CCCCCCCCC.mp4"]
    assert spans(train) == [(123.86 + 3.45, 123.86 + 5.64), (1.25 + 0.5, 1.25 + 9.75), (123.86 + 6.92, 123.86 + 6.96)]
    assert train.table.column("start").null_count == train.table.column("end").null_count == 3
    assert train.notes == ("cut from untrimmed videos by finegym_annotation_info_v1.0.json",)
    assert train.missing() == ()


def test_one_frame_lasts_as_long_as_one_frame(toy):
    start, end = spans(finegym.fx_s1(toy, "train"))[0]
    assert end - start == pytest.approx(0.04, abs=1e-9)


def test_the_list_is_the_same_from_cut_clips_which_go_first(toy):
    uncut = finegym.gym99(toy, "train")
    (toy / "subactions").mkdir()
    (toy / "subactions" / f"{A}.mp4").touch()
    cut = finegym.gym99(toy, "train")
    assert cut.root == toy / "subactions"
    assert (cut.notes, cut.sha256) == ((), uncut.sha256)
    assert cut.missing() == (VAULT, B)
    assert spans(cut) == [(None, None)] * 3


@pytest.mark.parametrize("name", [None, "cut.log", "-_CCCCCCCCC.mp4", f"{A}.txt"])
def test_a_folder_without_a_cut_clip_hides_no_untrimmed_video(toy, name):
    (toy / "subactions").mkdir()
    if name is not None:
        (toy / "subactions" / name).touch()
    train = finegym.gym99(toy, "train")
    assert (train.root, train.missing()) == (toy / "videos", ())


def test_only_the_elements_of_a_part_need_times(toy):
    (toy / "annotations" / finegym_uncut.INFO[0]).write_text(json.dumps({"-_CCCCCCCCC": INFO["-_CCCCCCCCC"]}))
    assert finegym.ub_s1(toy, "train").ids == (A,)
    with pytest.raises(UserError, match=rf"v1.0.json has no times for 1 of 3 elements: {VAULT}; put"):
        finegym.gym99(toy, "train")


def test_severe_s_file_begins_events_at_the_second_of_their_id_and_a_note_says_so(toy):
    (toy / "annotations" / finegym_uncut.INFO[0]).unlink()
    (toy / "event_annotation.json").write_text(json.dumps(events(INFO)))
    train = finegym.gym99(toy, "train")
    assert spans(train) == [(126.45, 128.64), (1.5, 10.75), (129.92, 129.96)]
    note = "cut from untrimmed videos by event_annotation.json, events beginning at the whole second of their id"
    assert train.notes == (note,)


def test_a_list_is_read_with_the_times_of_its_version(toy):
    other = json.loads(json.dumps(INFO).replace("123.86", "123.5"))
    (toy / finegym_uncut.INFO[1]).write_text(json.dumps(other))
    (toy / "event_annotation.json").write_text("{}")
    assert spans(finegym.gym99(toy, "train"))[0][0] == 123.86 + 3.45
    (toy / "annotations" / "gym99_train_element_v1.0.txt").rename(toy / "gym99_train_element_v1.1.txt")
    newer = finegym.gym99(toy, "train")
    assert spans(newer)[0][0] == 123.5 + 3.45
    assert newer.notes == (
        "elements of gym99_train_element_v1.1.txt; the published counts are of v1.0",
        "cut from untrimmed videos by finegym_annotation_info_v1.1.json",
    )


def test_videos_are_found_in_either_folder_and_the_lost_ones_are_missing(toy, caplog):
    (toy / "videos").rename(toy / "raw_videos")
    (toy / "videos").mkdir()
    (toy / "videos" / "notes.txt").touch()
    (toy / "raw_videos" / "-_CCCCCCCCC.mp4").rename(toy / "raw_videos" / "-_CCCCCCCCC.mkv")
    (toy / "raw_videos" / "-_CCCCCCCCC.webm").touch()
    (toy / "raw_videos" / "DDDDDDDDD_D.webm").unlink()
    with caplog.at_level(logging.WARNING):
        train = finegym.gym99(toy, "train")
    assert train.table.column("path").to_pylist() == ["-_CCCCCCCCC.mkv", "DDDDDDDDD_D.mp4", "-_CCCCCCCCC.mkv"]
    assert train.missing() == (VAULT,)
    assert "holds 1 videos more than once; the first of .mp4, .mkv, .webm is read" in caplog.text


def changed(**changes):
    info = json.loads(json.dumps(INFO))
    event = info["-_CCCCCCCCC"]["E_000123_000150"]
    event.update({k: v for k, v in changes.items() if k != "element"})
    if "element" in changes:
        event["segments"]["A_0003_0005"]["timestamps"] = changes["element"]
    return info


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object of videos"),
        ({"-_CCCCCCCCC": 3}, "-_CCCCCCCCC: found 3, expected an object"),
        ({"-_CCCCCCCCC": {}}, "no times for 3 of 3 elements: "),
        (changed(segments=None), "no times for 2 of 3"),
        (changed(timestamps=[]), r"E_000123_000150: 'timestamps' is \[\], expected"),
        (changed(element=None), f"{A}: 'timestamps' is None"),
        (changed(element=[[3.45, 5.64], [6.0]]), f"{A}: 'timestamps' is"),
        (changed(element=[[5.64, 3.45]]), "start before end"),
        (changed(element=[[True, 5.6]]), "start before end"),
        (changed(element=[["3.45", 5.64]]), "start before end"),
        (changed(element=[[3.45, math.nan]]), "start before end"),
        (changed(element=[[3.45, 10**400]]), "start before end"),
        (changed(element=[[-0.5, 5.64]]), "start before end"),
        (changed(element=[[345.0, 564.0]]), r"345.0 to 564.0 contradict the id, which says 3 to 5 whole seconds"),
        (changed(timestamps=[[125.0, 150.5]]), r"125.0 to 150.5 contradict the id, which says 123 to 150"),
    ],
)
def test_times_that_cannot_be_used_name_file_and_element(toy, content, message):
    (toy / "annotations" / finegym_uncut.INFO[0]).write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"finegym_annotation_info_v1.0.json.*{message}"):
        finegym.gym99(toy, "train")


def test_absent_times_and_absent_videos_are_named(toy):
    (toy / "annotations" / finegym_uncut.INFO[0]).unlink()
    with pytest.raises(
        UserError, match=r"no times of FineGym's elements: expected .*v1.0.json or .*v1.1.json or event_"
    ):
        finegym.gym99(toy, "train")
    for video in (toy / "videos").iterdir():
        video.unlink()
    with pytest.raises(UserError, match=r"neither .*subactions holds a clip, .*untrimmed video such as"):
        finegym.gym99(toy, "train")
    with pytest.raises(UserError, match="no untrimmed videos of FineGym in"):
        finegym_uncut.find(toy, [A])


@given(
    st.integers(0, 10**6 - 2),
    st.floats(0, 1, exclude_max=True),
    st.lists(st.integers(1, 10**5), min_size=2, max_size=9),
)
def test_whatever_the_times_the_stretch_is_theirs(tmp_path_factory, whole, part, steps):
    root = tmp_path_factory.getbasetemp() / "any_times"
    (root / "videos").mkdir(parents=True, exist_ok=True)
    (root / "videos" / "-_CCCCCCCCC.mp4").touch()
    marks = [total / 100 for total in itertools.accumulate(steps)]
    event = (whole + part, whole + part + 0.5)
    names = f"E_{whole:06d}_{int(event[1]):06d}", f"A_{int(marks[0]):04d}_{int(marks[-1]):04d}"
    stages = [list(pair) for pair in itertools.pairwise(marks)]
    content = {"segments": {names[1]: {"stages": len(stages), "timestamps": stages}}, "timestamps": [list(event)]}
    (root / finegym_uncut.INFO[0]).write_text(json.dumps({"-_CCCCCCCCC": {names[0]: content}}))
    element = "_".join(("-_CCCCCCCCC", *names))
    found = finegym_uncut.find(root, [element]).stretches[element]
    assert found == ("-_CCCCCCCCC.mp4", event[0] + marks[0], event[0] + marks[-1])


@pytest.mark.parametrize(("name", "train", "val"), [("gym99", 20484, 8521), ("gym288", 22671, 9646)])
def test_the_released_times_are_those_of_all_elements_and_floor_to_their_ids(shared, tmp_path, name, train, val):
    source = shared / "annotations" / "finegym"
    for file in (f"{name}_train.txt", f"{name}_val.txt", "event_annotation.json"):
        (tmp_path / file).write_bytes(gzip.decompress((source / f"{file}.gz").read_bytes()))
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "AAAAAAAAAAA.mp4").touch()
    shortest = []
    for split, count in (("train", train), ("val", val)):
        index = getattr(finegym, name)(tmp_path, split)
        assert index.count == count
        assert is_official(name, split, 1, index)
        starts, ends = (index.table.column(c).to_numpy() for c in ("start_s", "end_s"))
        for element, start, end in zip(index.ids, starts, ends, strict=True):
            event, first, last = (int(element[k : k + n]) for k, n in ((14, 6), (30, 4), (35, 4)))
            assert math.floor(start - event + 1e-6) == first
            assert math.floor(end - event + 1e-6) == last
        shortest.append((ends - starts).min())
    assert shortest == pytest.approx([0.04, 0.04], abs=1e-9)
