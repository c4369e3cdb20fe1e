"""UCFRep: numbers stored narrow and unsigned, several places of annotations and videos, damaged files."""

import contextlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import ucfrep, ucfrep_mat
from sigma_bench.data.datasets.known import is_official

ROPE, PUSHUPS = "v_JumpRope_g03_c01", "v_HandStandPushups_g21_c02"


def narrow(values):
    values = np.asarray(values)
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.uint16)


def mat(path, bounds, **other):
    label = {
        "duration": bounds[-1] - bounds[0] + 1,
        "start_frame": bounds[0],
        "end_frame": bounds[-1],
        "temporal_bound_num": len(bounds),
        "temporal_bound": np.reshape(bounds, (-1, 1)),
    }
    label = {name: value for name, value in {**label, **other}.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"label": {name: narrow(value) for name, value in label.items()}}, do_compression=True)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "ucfrep"
    mat(root / "annotations" / "train" / f"{ROPE}.mat", [3, 18, 250, 262])
    mat(root / "annotations" / "val" / f"{PUSHUPS}.mat", [1, 67, 130], start_frame=1, end_frame=130)
    videos = root / "UCF-101"
    for folder, name in (("JumpRope", ROPE), ("HandstandPushups", PUSHUPS)):
        (videos / folder).mkdir(parents=True)
        (videos / folder / f"{name}.avi").touch()
    return root


def test_frames_are_counted_from_0_and_numbers_do_not_wrap(root):
    index = ucfrep.read(root, "train")
    sample = index.sample(0)
    assert (index.name, index.split, index.count, index.notes) == ("ucfrep", "train", 1, ())
    assert index.classes == ("HandStandPushups", "JumpRope")
    assert (sample.id, sample.label, sample.group) == (ROPE, 1, "v_JumpRope_g03")
    assert (sample.start, sample.end, sample.boundaries) == (2, 262, (2, 17, 249, 261))
    assert np.diff(sample.boundaries).tolist() == [15, 232, 12]
    assert sample.end - sample.start == 260


def test_class_folders_are_found_whatever_their_case(root):
    index = ucfrep.read(root, "val")
    assert index.sample(0).path == f"HandstandPushups/{PUSHUPS}.avi"
    assert index.missing() == ()
    (root / "UCF-101" / "HandStandPushups").mkdir()
    assert ucfrep.read(root, "val").missing() == ()  # an empty folder of the other spelling does not hide it
    shutil.rmtree(root / "UCF-101" / "HandstandPushups")
    assert ucfrep.read(root, "val").missing() == (PUSHUPS,)


@pytest.mark.parametrize("place", ucfrep.ROOTS)
def test_annotations_may_lie_as_unpacked(root, place):
    wanted = ucfrep.read(root, "train").sha256
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / "annotations").rename(root / place / "annotations")
    assert ucfrep.splits(root) == ("train", "val")
    assert ucfrep.read(root, "train").sha256 == wanted


@pytest.mark.parametrize("place", ["ucf101", "ucf101/UCF101"])
def test_videos_may_lie_in_ucf101_beside_it(root, place):
    (root.parent / place).mkdir(parents=True)
    (root / "UCF-101").rename(root.parent / place / "UCF-101")
    index = ucfrep.read(root, "val")
    assert index.root == root.parent / place / "UCF-101"
    assert index.missing() == ()


def test_videos_beside_the_root_are_found_from_within_it_too(root, monkeypatch):
    (root.parent / "ucf101").mkdir()
    (root / "UCF-101").rename(root.parent / "ucf101" / "UCF-101")
    monkeypatch.chdir(root)
    assert ucfrep.read(Path(), "val").missing() == ()


def test_videos_that_lie_elsewhere_may_be_linked_as_the_message_says(root, tmp_path):
    elsewhere = tmp_path / "disk" / "UCF-101"
    elsewhere.parent.mkdir()
    (root / "UCF-101").rename(elsewhere)
    with pytest.raises(UserError, match=rf"link its folder: ln -s <ucf101>/UCF-101 {root}/UCF-101"):
        ucfrep.read(root, "val")
    (root / "UCF-101").symlink_to(elsewhere)
    assert ucfrep.read(root, "val").missing() == ()


@pytest.mark.parametrize("place", ucfrep.ROOTS)
def test_frames_go_first_and_a_note_says_so(root, place):
    folder = root / place / "imgs" / "val" / "HandStandPushups" / PUSHUPS
    folder.mkdir(parents=True)
    (folder / "000001.png").touch()
    val, train = ucfrep.read(root, "val"), ucfrep.read(root, "train")
    assert (val.path(0), val.missing()) == (folder, ())
    assert val.notes == ("read from the frames in imgs, not from UCF-101, which is there too",)
    assert train.path(0) == root / "UCF-101" / "JumpRope" / f"{ROPE}.avi"  # no frames of this split
    shutil.rmtree(root / "UCF-101")
    assert ucfrep.read(root, "val").notes == ()


TABLE = f"split,video,count,bounds\ntrain,{ROPE},3,3 18 250 262\nval,{PUSHUPS},2,1 67 130\n"


def test_the_table_gives_the_same_index(root):
    wanted = [ucfrep.read(root, split) for split in ucfrep.SPLITS]
    shutil.rmtree(root / "annotations")
    (root / ucfrep.CSV).write_text(TABLE)
    for index in wanted:
        again = ucfrep.read(root, index.split)
        assert again.table.equals(index.table)
        assert again.classes == index.classes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("split,", "part,", "csv:1: found 'part,video,count,bounds', expected"),
        ("train,", "test,", "csv:2: found 'test,v_Jump"),
        (ROPE, "../x", "csv:2: found"),
        ("3 18 250", "3 18  250", "csv:2: found"),
        ("3 18", "18 3", r"csv:2: found \[18, 3, 250, 262\], expected ascending frames"),
        ("1 67 130", "0 67 130", "csv:3: found .0, 67, 130., expected frames in 1 to 130"),
        (",2,1 67 130", ",0,1", "csv:3: found 1 boundaries, expected at least 2"),
        (",3,", ",4,", "csv:2: found the count 4, expected 3"),
        (f"val,{PUSHUPS},2", f"val,{ROPE},2", f"csv:3: '{ROPE}' is in line 2 too"),
        (f"val,{PUSHUPS}", f"train,{PUSHUPS}", "lacks the rows of a split"),
    ],
)
def test_a_malformed_table_names_file_and_line(root, old, new, message):
    shutil.rmtree(root / "annotations")
    (root / ucfrep.CSV).write_text(TABLE.replace(old, new))
    with pytest.raises(UserError, match=message):
        ucfrep.read(root, "train")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"duration": 259}, r"c01.mat: found duration 259, expected 260 \(frames 3 to 262\)"),
        ({"temporal_bound_num": 5}, "c01.mat: found temporal_bound_num 5, expected 4"),
        ({"temporal_bound": [[3], [250], [18], [262]]}, "c01.mat: temporal_bound: found .* expected ascending"),
        ({"temporal_bound": [[3], [18], [18], [262]]}, "c01.mat: temporal_bound: found .* expected ascending"),
        ({"start_frame": 4, "duration": 259}, "c01.mat: temporal_bound: found .*, expected frames in 4 to 262"),
        ({"end_frame": 261, "duration": 259}, "c01.mat: temporal_bound: found .*, expected frames in 3 to 261"),
        ({"start_frame": 0, "duration": 263}, "c01.mat: found start_frame 0 and end_frame 262"),
        ({"temporal_bound": [[3]], "temporal_bound_num": 1}, "c01.mat: temporal_bound: found 1 boundaries"),
        ({"temporal_bound": [[3, 18], [250, 262]]}, "c01.mat: temporal_bound is 2 x 2 of uint8.*|uint16"),
        ({"end_frame": [[3], [262]]}, "c01.mat: end_frame is 2 x 1 of uint16; expected one number"),
        ({"temporal_bound": None}, "c01.mat: the struct 'label' has no field temporal_bound; it has duration, start_"),
        ({"start_frame": None}, "c01.mat: the struct 'label' has no field start_frame"),
    ],
)
def test_annotations_that_contradict_themselves_name_file_and_field(root, other, message):
    mat(root / "annotations" / "train" / f"{ROPE}.mat", [3, 18, 250, 262], **other)
    with pytest.raises(UserError, match=message):
        ucfrep.read(root, "train")


@pytest.mark.parametrize(
    "content", [{"label": np.arange(3)}, {"other": 1}, {"label": "text"}, {"label": {"duration": "x"}}, {"label": {}}]
)
def test_other_matlab_files_are_refused(root, content):
    path = root / "annotations" / "train" / f"{ROPE}.mat"
    savemat(path, content)
    with pytest.raises(UserError, match=r"g03_c01.mat"):
        ucfrep.read(root, "train")


@pytest.mark.parametrize("value", [2.5, np.nan, np.inf, 1e300])
def test_numbers_that_count_no_frames_are_refused(tmp_path, value):
    savemat(tmp_path / "x.mat", {"label": {"start_frame": value}})
    with pytest.raises(UserError, match=r"x.mat: start_frame is .*; expected frame numbers"):
        ucfrep_mat.read(tmp_path / "x.mat")


def test_damaged_files_are_named(root):
    path = root / "annotations" / "train" / f"{ROPE}.mat"
    whole = path.read_bytes()
    for damaged in (b"", b"no MATLAB file, but text\n" * 20, whole[:100], whole[:140], whole[:-9]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"{ROPE}.mat: no MATLAB file with the struct 'label'"):
            ucfrep.read(root, "train")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_flipped_bytes_never_end_in_another_error(root, data):
    path = root / "annotations" / "train" / f"{ROPE}.mat"
    mat(path, [3, 18, 250, 262])
    damaged = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(124, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    found = None
    with contextlib.suppress(UserError):
        found = ucfrep_mat.read(path)
    if found is not None:
        assert 0 <= found.start <= found.boundaries[0] < found.boundaries[-1] < found.end


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.lists(st.integers(1, 90), min_size=1, max_size=12),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_boundaries_come_back(tmp_path, first, lengths, before, after):
    bounds = (first + before + np.cumsum([0, *lengths])).tolist()
    end = bounds[-1] + after
    mat(tmp_path / "x.mat", bounds, start_frame=first, end_frame=end, duration=end - first + 1)
    found = ucfrep_mat.read(tmp_path / "x.mat")
    assert [frame + 1 for frame in found.boundaries] == bounds
    assert (found.start, found.end) == (first - 1, end)


def test_absent_or_doubtful_things_are_named(root):
    with pytest.raises(UserError, match="ucfrep has no split 'test'; it has train and val"):
        ucfrep.read(root, "test")
    with pytest.raises(UserError, match="ucfrep has no fold 2"):
        ucfrep.read(root, "train", fold=2)
    train = root / "annotations" / "train"
    shutil.copy(train / f"{ROPE}.mat", root / "annotations" / "val")
    with pytest.raises(UserError, match=rf"val/{ROPE}.mat: the video is in the other split too"):
        ucfrep.read(root, "train")
    (root / "annotations" / "val" / f"{ROPE}.mat").rename(train / "rope.mat")
    with pytest.raises(UserError, match=r"train/rope.mat: expected a name such as v_JumpRope"):
        ucfrep.read(root, "val")
    (train / "rope.mat").rename(train / "._rope.mat")
    (train / "readme.txt").touch()
    assert ucfrep.read(root, "train").count == 1  # files of systems and others are none
    shutil.rmtree(root / "UCF-101")
    with pytest.raises(UserError, match=r"no videos of ucfrep: .*imgs/train or .*ucf101/UCF101/UCF-101"):
        ucfrep.read(root, "train")
    shutil.rmtree(train)
    with pytest.raises(UserError, match=r"annotations/train holds no .mat file, while the other split has"):
        ucfrep.read(root, "val")
    shutil.rmtree(root / "annotations" / "val")
    (root / "annotations" / "repetition_label").mkdir()
    (root / "annotations" / "repetition_label" / "JumpRope.txt").write_text(f"{ROPE}\n3 18 250 262\n\n\n")
    with pytest.raises(UserError, match=r"no annotations of ucfrep: .*repetition_label do not say which split"):
        ucfrep.read(root, "val")
    assert ucfrep.splits(root) == ()


@pytest.fixture(scope="module", params=["mat", "csv"])
def official(request, shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("ucfrep")
    (root / "UCF-101" / "JumpRope").mkdir(parents=True)
    lists = shared / "annotations" / "ucfrep"
    if request.param == "csv":
        shutil.copy(lists / ucfrep.CSV, root)
    else:
        with zipfile.ZipFile(lists / "ucf526_annotations.zip") as archive:
            archive.extractall(root)
    return root


@pytest.mark.parametrize(("split", "count", "most"), [("train", 421, 53), ("val", 105, 32)])
def test_official_annotations_have_the_official_counts_and_hashes(official, split, count, most):
    index = ucfrep.read(official, split)
    assert is_official("ucfrep", split, 1, index)
    assert not is_official("ucfrep", split, 1, index.select(range(count - 1)))
    assert (index.count, len(index.classes), len(set(index.labels.tolist()))) == (count, 23, 23)
    counts = [len(bounds) - 1 for bounds in index.table.column("boundaries").to_pylist()]
    assert (min(counts), max(counts)) == (2, most)
    groups = {int(group[-2:]) for group in index.table.column("group").to_pylist()}
    assert groups <= set(range(1, 21)) if split == "train" else groups <= set(range(21, 26))
