"""HMDB51: flags, names that are hard to handle, and films."""

import re
import shutil
import tarfile

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import hmdb51
from sigma_bench.data.datasets.known import is_official
from sigma_bench.data.subsets import class_counts

HAIR = [
    "My_clip_brush_hair_u_nm_np1_fr_med_0.avi 1 ",
    "Hair!!__[_NEW_AUDIO_]_#2_(take)&more;~+@_brush_hair_h_cm_np1_fr_goo_0.avi 2 ",
    "My_clip_brush_hair_u_nm_np1_fr_med_1.avi 0 ",
]
CLAP = ["The_Slow_clap_clap_u_nm_np1_fr_med_13.avi 2 ", "THE_FILM_clap_f_cm_np2_ba_bad_1.avi 1 "]
RUN = ["The_Film_3_run_f_cm_np2_le_bad_1.avi 1 ", "2_brush_hair_run_l_cm_np2_ri_bad_10.avi 2 "]


def lists(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("brush_hair", HAIR), ("clap", CLAP), ("run", RUN)):
        for fold in hmdb51.FOLDS:
            (folder / f"{name}_test_split{fold}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def toy(tmp_path):
    lists(tmp_path / "testTrainMulti_7030_splits")
    (tmp_path / "videos" / "brush_hair").mkdir(parents=True)
    (tmp_path / "videos" / "brush_hair" / HAIR[1].rsplit(" ", 2)[0]).touch()
    return tmp_path


def test_flags_say_the_split_and_zero_is_in_neither(toy):
    train, test = hmdb51.read(toy, "train"), hmdb51.read(toy, "test")
    assert train.classes == test.classes == ("brush_hair", "clap", "run")
    assert train.ids == (
        "My_clip_brush_hair_u_nm_np1_fr_med_0",
        "THE_FILM_clap_f_cm_np2_ba_bad_1",
        "The_Film_3_run_f_cm_np2_le_bad_1",
    )
    assert train.labels.tolist() == test.labels.tolist() == [0, 1, 2]
    assert (train.name, train.split, test.count) == ("hmdb51", "train", 3)


def test_names_with_brackets_and_signs_are_found_on_disk(toy):
    test = hmdb51.read(toy, "test")
    assert test.ids[0] == "Hair!!__[_NEW_AUDIO_]_#2_(take)&more;~+@_brush_hair_h_cm_np1_fr_goo_0"
    assert test.path(0).is_file()
    assert test.missing() == test.ids[1:]


def test_the_group_is_the_film_whatever_its_part_spelling_and_class(toy):
    assert hmdb51.read(toy, "train").table.column("group").to_pylist() == ["my_clip", "the_film", "the_film"]
    assert hmdb51.read(toy, "test").table.column("group").to_pylist() == [
        "hair!!__[_new_audio_]_#2_(take)&more;~+@",
        "the_slow_clap",
        "2_brush_hair",
    ]


def test_files_of_editors_and_systems_are_no_classes(toy):
    folder = toy / "testTrainMulti_7030_splits"
    for name in (
        ".brush_hair_test_split1.txt.swp",
        "._clap_test_split1.txt",
        "clap_test_split1.txt~",
        "#run_test_split1.txt#",
        "a b_test_split1.txt",
        "run_test_split4.txt",
        "readme.txt",
    ):
        (folder / name).write_bytes(b"\x00\xff")
    assert hmdb51.read(toy, "train").classes == ("brush_hair", "clap", "run")


@pytest.mark.parametrize("place", hmdb51.LISTS)
@pytest.mark.parametrize("videos", hmdb51.VIDEOS)
def test_lists_and_class_folders_may_lie_in_several_places(tmp_path, place, videos):
    lists(tmp_path / place)
    (tmp_path / videos / "clap").mkdir(parents=True)
    assert hmdb51.read(tmp_path, "test").root == tmp_path / videos


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{CLAP[0]}\nrubbish\n", r"split1.txt:2: found 'rubbish', expected '<name>.avi 0', 1 \(train\) or 2"),
        (CLAP[0].replace(" 2 ", " 3"), "split1.txt:1: found .* 3'"),
        (CLAP[0].replace(" 2 ", ""), "split1.txt:1: found"),
        (f"../{CLAP[0]}", "split1.txt:1: found"),
        (f"..\\{CLAP[0]}", "split1.txt:1: found"),
        (f"{CLAP[0]}\n\n{RUN[0]}", r"split1.txt:3: found 'The_Film_3_run.*clips of class 'clap'"),
        (f"{CLAP[1]}\n{CLAP[0]}\n{CLAP[0]}", "split1.txt:3: 'The_Slow_clap.* is in line 2 too"),
        ("\n", "split1.txt is empty"),
    ],
)
def test_malformed_lists_name_file_and_line(toy, text, message):
    (toy / "testTrainMulti_7030_splits" / "clap_test_split1.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        hmdb51.read(toy, "test")


def test_a_list_that_is_no_text_names_the_line(toy):
    (toy / "testTrainMulti_7030_splits" / "clap_test_split1.txt").write_bytes(CLAP[0].encode() + b"\n\xff\xfe")
    with pytest.raises(UserError, match=r"clap_test_split1.txt:2: not a text file"):
        hmdb51.read(toy, "test")


def test_a_class_without_its_file_would_shift_all_labels_and_is_refused(toy):
    (toy / "testTrainMulti_7030_splits" / "clap_test_split2.txt").unlink()
    assert hmdb51.read(toy, "train").count == 3
    with pytest.raises(UserError, match=r"clap_test_split2.txt does not exist.* \(1 of fold 2 are missing\)"):
        hmdb51.read(toy, "train", fold=2)


def test_absent_things_are_named_with_where_they_were_looked_for(toy):
    with pytest.raises(UserError, match="no fold 4; it has 1, 2, 3"):
        hmdb51.read(toy, "train", fold=4)
    with pytest.raises(UserError, match="no split 'val'"):
        hmdb51.read(toy, "val")
    shutil.rmtree(toy / "videos")
    with pytest.raises(UserError, match=rf"class folders such as brush_hair.* in {re.escape(str(toy))}/videos or"):
        hmdb51.read(toy, "train")
    shutil.rmtree(toy / "testTrainMulti_7030_splits")
    with pytest.raises(UserError, match="no split files of hmdb51: expected 153 files"):
        hmdb51.read(toy, "train")


def test_a_split_without_clips_is_refused(toy):
    for path in (toy / "testTrainMulti_7030_splits").iterdir():
        path.write_text(path.read_text().replace(" 2 ", " 0 "))
    with pytest.raises(UserError, match="no clip of hmdb51/test"):
        hmdb51.read(toy, "test")


@pytest.fixture(scope="module")
def official(shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("hmdb51")
    (root / "videos" / "brush_hair").mkdir(parents=True)
    with tarfile.open(shared / "annotations" / "hmdb51" / "test_train_splits.tar.gz") as archive:
        archive.extractall(root, filter="data")
    return root, (shared / "annotations" / "hmdb51" / "label_map.txt").read_text().split()


@pytest.mark.parametrize("fold", hmdb51.FOLDS)
def test_official_lists_have_the_official_counts_and_hashes(official, fold):
    root, names = official
    train, test = (hmdb51.read(root, split, fold=fold) for split in ("train", "test"))
    assert list(train.classes) == names
    assert set(class_counts(train).values()) == {70}
    assert set(class_counts(test).values()) == {30}
    assert (train.count, test.count) == (3570, 1530)
    assert not set(train.ids) & set(test.ids)
    for split, index in (("train", train), ("test", test)):
        assert is_official("hmdb51", split, fold, index)
        assert not is_official("hmdb51", split, fold % 3 + 1, index)
