"""Kinetics-400: three kinds of list, class folders in every spelling, clips side by side."""

import gzip

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import k400
from sigma_bench.data.datasets.known import is_official

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
CLASSES = ("air drumming", "hurling (sport)", "massaging person's head")
ROWS = (
    "hurling (sport),-nQbRBEz2s_,104,114,val,0\n"
    '"air drumming",_BBBBBBBBB-,0,10,validate,1\n'
    "massaging person's head,CCCCCCCCCCC,7,17,val,0\n"
)
STEMS = ("-nQbRBEz2s__000104_000114", "_BBBBBBBBB-_000000_000010", "CCCCCCCCCCC_000007_000017")


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "val.csv").write_text(HEADER + ROWS)
    (tmp_path / "label_map_k400.txt").write_text("\n".join(CLASSES))
    touch(tmp_path / "val" / "air drumming" / f"{STEMS[1]}.mp4")
    return tmp_path


def test_reads_the_official_csv(toy):
    val = k400.read(toy, "val")
    assert val.classes == CLASSES
    assert val.ids == STEMS
    assert val.labels.tolist() == [1, 0, 2]
    assert val.table.column("group").to_pylist() == ["-nQbRBEz2s_", "_BBBBBBBBB-", "CCCCCCCCCCC"]
    assert val.path(1) == toy / "val" / "air drumming" / f"{STEMS[1]}.mp4"
    assert val.missing() == (STEMS[0], STEMS[2])
    assert (k400.read(toy, "validate").split, k400.splits(toy)) == ("val", ("val",))


@pytest.mark.parametrize("name", ["hurling (sport)", "hurling_(sport)", "hurling_sport", "Hurling_Sport"])
@pytest.mark.parametrize("place", ["val", "validate", "videos_val", "videos/val", "videos", "."])
def test_class_folders_are_found_in_every_spelling_and_place(tmp_path, name, place):
    (tmp_path / "val.csv").write_text(HEADER + ROWS)
    (tmp_path / "label_map_k400.txt").write_text("\n".join(CLASSES))
    touch(tmp_path / place / name / f"{STEMS[0]}.mp4")
    val = k400.read(tmp_path, "val")
    assert val.missing() == STEMS[1:]
    assert val.path(0).parent.name == name


def test_clips_may_lie_side_by_side(toy):
    (toy / "val" / "air drumming" / f"{STEMS[1]}.mp4").unlink()
    (toy / "val" / "air drumming").rmdir()
    with pytest.raises(UserError, match=r"no clips of k400/val: expected class folders .* in one of .*val"):
        k400.read(toy, "val")
    touch(toy / "val" / f"{STEMS[0]}.mp4")
    assert k400.read(toy, "val").missing() == STEMS[1:]


@pytest.mark.parametrize("ending", [".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("inside", ["air_drumming/", ""])
def test_a_clip_may_have_another_ending_and_the_official_one_goes_first(toy, caplog, ending, inside):
    (toy / "val" / "air drumming" / f"{STEMS[1]}.mp4").unlink()
    (toy / "val" / "air drumming").rmdir()
    touch(toy / "val" / inside / f"{STEMS[1]}{ending}")
    touch(toy / "val" / inside / "notes.txt")
    val = k400.read(toy, "val")
    assert val.missing() == (STEMS[0], STEMS[2])
    assert val.path(1) == toy / "val" / inside / f"{STEMS[1]}{ending}"
    before = val.sha256
    touch(toy / "val" / inside / f"{STEMS[1]}.mp4")
    val = k400.read(toy, "val")
    assert (val.path(1).suffix, val.sha256) == (".mp4", before)
    assert "1 videos with several endings" in caplog.text


def test_two_folders_of_one_class_are_refused(toy):
    (toy / "val" / "air_drumming").mkdir()
    with pytest.raises(UserError, match=r"the folders 'air.drumming' and 'air.drumming' are both of the class"):
        k400.read(toy, "val")


def test_crlf_and_byte_order_mark(toy):
    before = k400.read(toy, "val").sha256
    (toy / "val.csv").write_bytes(b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode())
    (toy / "label_map_k400.txt").write_bytes("\r\n".join(CLASSES).encode())
    assert k400.read(toy, "val").sha256 == before


def test_without_label_map_the_list_must_name_all_classes(tmp_path):
    names = [f"class {n:03d}" for n in range(400)]
    touch(tmp_path / "class_000" / "AAAAAAAAAAA_000000_000010.mp4")
    rows = [f"{name},AAAAAAAAAAA,{n},{n + 10},train,0\n" for n, name in reversed(list(enumerate(names)))]
    (tmp_path / "kinetics_train.csv").write_text(HEADER + "".join(rows))
    train = k400.read(tmp_path, "train")
    assert train.classes == tuple(names)
    assert train.labels.tolist() == list(range(399, -1, -1))
    assert set(train.table.column("group").to_pylist()) == {"AAAAAAAAAAA"}
    (tmp_path / "kinetics_train.csv").write_text(HEADER + "".join(rows[1:]))
    with pytest.raises(UserError, match=r"kinetics_train.csv names 399 classes.*expected 400, or label_map_k400.txt"):
        k400.read(tmp_path, "train")


def test_a_test_list_may_have_no_labels(toy):
    (toy / "test.csv").write_text("youtube_id,time_start,time_end,split\nAAAAAAAAAAA,1,11,test\n")
    touch(toy / "test" / "AAAAAAAAAAA_000001_000011.mp4")
    test = k400.read(toy, "test")
    assert (test.labels.tolist(), test.missing()) == ([-1], ())
    (toy / "val.csv").write_text("youtube_id,time_start,time_end,split\nAAAAAAAAAAA,1,11,val\n")
    with pytest.raises(UserError, match=r"val.csv:1: column 'label' is there 0 times; the columns are youtube_id"):
        k400.read(toy, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"val.csv is empty"),
        (HEADER, r"val.csv: no clip after the header"),
        ("path,class\na.mp4,0\n", r"val.csv:1: column 'label' is there 0 times; the columns are path, class"),
        (HEADER.replace("time_end", "time_start") + ROWS, r"val.csv:1: column 'time_start' is there 2 times"),
        (HEADER + ROWS + "archery,DDDDDDDDDDD,1,11,val,0\n", r"val.csv:5: 'archery' is none of the 3 classes"),
        (HEADER + "air drumming,short,1,11,val,0\n", r"val.csv:2: 'youtube_id' is 'short'"),
        (HEADER + "air drumming,../../../aa,1,11,val,0\n", r"val.csv:2: 'youtube_id' is '../../../aa'"),
        (HEADER + "air drumming,DDDDDDDDDDD,1.5,11,val,0\n", r"val.csv:2: 'time_start' is '1.5'"),
        (HEADER + "air drumming,DDDDDDDDDDD,1,,val,0\n", r"val.csv:2: 'time_end' is ''"),
        (HEADER + "air drumming,DDDDDDDDDDD,11,11,val,0\n", r"val.csv:2: 'time_end' is 11, expected more"),
        (HEADER + "air drumming,DDDDDDDDDDD,1,11,train,0\n", r"val.csv:2: 'split' is 'train', expected val or valid"),
        (HEADER + ",DDDDDDDDDDD,1,11,val,0\n", r"val.csv:2: 'label' is empty"),
        (HEADER + "air drumming,DDDDDDDDDDD,1,11,val\n", r"val.csv:2: found another number of fields than the 6"),
        (HEADER + "air drumming,DDDDDDDDDDD,1,11,val,0,9\n", r"val.csv:2: found another number of fields than the 6"),
        (HEADER + '"air drumming"x,DDDDDDDDDDD,1,11,val,0\n', r"val.csv:2: no csv"),
        (HEADER + ROWS + ROWS, r"val.csv:5: clip -nQbRBEz2s__000104_000114 is in line 2 too"),
    ],
)
def test_a_malformed_csv_is_named_with_line_and_key(toy, text, message):
    (toy / "val.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        k400.read(toy, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b\na\n", r"label_map_k400.txt:2: found 'a', expected a class name that sorts after"),
        ("a\n\nb\n", r"label_map_k400.txt:2: found ''"),
        ("a b\na_b\n", r"label_map_k400.txt: two classes differ in punctuation alone"),
        ("", r"label_map_k400.txt: empty"),
    ],
)
def test_a_malformed_label_map_is_named_with_the_line(toy, text, message):
    (toy / "label_map_k400.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        k400.read(toy, "val")


def test_reads_the_list_of_severe(toy):
    (toy / "val.csv").unlink()
    path = toy / "labels" / "val_videofolder.txt"
    path.parent.mkdir()
    path.write_text(f"hurling_sport/{STEMS[0]} 300 1\nair_drumming/{STEMS[1]} 0 0\n")
    val = k400.read(toy, "val")
    assert (val.ids, val.labels.tolist(), val.missing()) == (STEMS[:2], [1, 0], STEMS[:1])
    for line, message in {
        f"air_drumming/{STEMS[1]} 250 2": r"val_videofolder.txt:2: label 2 contradicts 'air_drumming', which is cl",
        f"archery/{STEMS[1]} 250 2": r"val_videofolder.txt:2: 'archery' is none of the 3 classes",
        f"air_drumming/{STEMS[1]}.mp4 250 0": r"val_videofolder.txt:2: found 'air_drumming/",
        f"air_drumming/{STEMS[0]} 300 0": r"val_videofolder.txt:2: clip .* is in line 1 too",
    }.items():
        path.write_text(f"hurling_sport/{STEMS[0]} 300 1\n{line}\n")
        with pytest.raises(UserError, match=message):
            k400.read(toy, "val")
    (toy / "label_map_k400.txt").unlink()
    path.write_text(f"hurling_sport/{STEMS[0]} 300 1\nair_drumming/{STEMS[1]} 250 1\n")
    with pytest.raises(UserError, match=r"val_videofolder.txt:2: label 1 is that of 'air_drumming' here and of 'hurl"):
        k400.read(toy, "val")


def test_a_list_of_the_videomae_family_is_told_by_its_first_line(toy):
    (toy / "val.csv").write_text("val/air drumming/clip one.mp4 2\n\nb.mp4 0\n")
    val = k400.read(toy, "val")
    assert (val.name, val.ids, val.labels.tolist()) == ("k400", ("val/air drumming/clip one.mp4", "b.mp4"), [2, 0])
    (toy / "annotations").mkdir()
    (toy / "val.csv").rename(toy / "annotations" / "val.csv")
    with pytest.raises(UserError, match=r"annotations/val.csv:1: a list of `path label` lines must lie at .*/val.csv"):
        k400.read(toy, "val")


def test_absent_and_double_lists(toy):
    with pytest.raises(UserError, match=r"no list of k400/train: expected train.csv or kinetics_train.csv or"):
        k400.read(toy, "train")
    with pytest.raises(UserError, match="no split 'dev'; it has train, val, test"):
        k400.read(toy, "dev")
    with pytest.raises(UserError, match="no fold 2"):
        k400.read(toy, "val", fold=2)
    (toy / "annotations").mkdir()
    (toy / "annotations" / "validate.csv").write_text(HEADER)
    with pytest.raises(UserError, match=r"k400/val is there twice and differs: .*val.csv and .*validate.csv; keep one"):
        k400.read(toy, "val")


@pytest.fixture
def official(shared, tmp_path):
    lists = shared / "annotations" / "kinetics400"
    touch(tmp_path / "val" / "abseiling" / "0wR5jVB-WPk_000417_000427.mp4")
    (tmp_path / "label_map_k400.txt").write_bytes((lists / "label_map_k400.txt").read_bytes())
    return lists, tmp_path


def test_the_official_validation_csv(official):
    lists, root = official
    (root / "val.csv").write_bytes(gzip.decompress((lists / "kinetics_val.csv.gz").read_bytes()))
    val = k400.read(root, "val")
    assert (val.count, len(val.classes)) == (19_906, 400)
    assert len(val.missing()) == 19_905
    assert is_official("k400", "val", 1, val)
    names = (root / "label_map_k400.txt").read_text().splitlines()
    assert list(val.classes) == names == sorted(names)
    (root / "label_map_k400.txt").unlink()
    assert k400.read(root, "val").sha256 == val.sha256


def test_the_list_of_severe_agrees_with_the_official_one(official):
    lists, root = official
    (root / "val.csv").write_bytes(gzip.decompress((lists / "kinetics_val.csv.gz").read_bytes()))
    full = k400.read(root, "val")
    (root / "val.csv").unlink()
    (root / "val_videofolder.txt").write_bytes(gzip.decompress((lists / "severe_val_videofolder.txt.gz").read_bytes()))
    severe = k400.read(root, "val")
    assert severe.count == 19_328
    assert not is_official("k400", "val", 1, severe)
    label = dict(zip(full.ids, full.labels.tolist(), strict=True))
    assert severe.labels.tolist() == [label[i] for i in severe.ids]
