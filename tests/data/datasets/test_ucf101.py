import gzip
import shutil

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import ucf101
from sigma_bench.data.subsets import class_counts


@pytest.fixture
def toy(tmp_path):
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (tmp_path / "UCF-101" / "Archery").mkdir(parents=True)
    (tmp_path / "UCF-101" / "Archery" / "v_Archery_g08_c01.avi").touch()
    (lists / "classInd.txt").write_bytes(b"1 Archery\r\n2 HandstandPushups\r\n")
    (lists / "trainlist01.txt").write_bytes(
        b"Archery/v_Archery_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n"
    )
    (lists / "testlist01.txt").write_bytes(b"Archery/v_Archery_g01_c01.avi\r\n\r\n")
    return tmp_path


def test_reads_crlf_lists_and_counts_labels_from_zero(toy):
    train = ucf101.read(toy, "train")
    assert train.classes == ("Archery", "HandstandPushups")
    assert train.labels.tolist() == [0, 1]
    assert train.ids == ("v_Archery_g08_c01", "v_HandStandPushups_g09_c02")
    assert train.table.column("group").to_pylist() == ["Archery_g08", "HandstandPushups_g09"]
    assert train.missing() == ("v_HandStandPushups_g09_c02",)
    assert train.path(0) == toy / "UCF-101" / "Archery" / "v_Archery_g08_c01.avi"
    assert ucf101.read(toy, "test").ids == ("v_Archery_g01_c01",)


def test_root_may_hold_ucf101(toy, tmp_path_factory):
    outer = tmp_path_factory.mktemp("data")
    shutil.copytree(toy, outer / "UCF101")
    assert ucf101.read(outer, "train").sha256 == ucf101.read(toy, "train").sha256


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2", r"trainlist01.txt:1: label 2 contradicts the folder"),
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\nrubbish", r"trainlist01.txt:2: found 'rubbish'"),
        ("trainlist01.txt", "Archery/../v_Archery_g08_c01.avi 1", r"trainlist01.txt:1: found"),
        ("trainlist01.txt", "Bowling/v_Bowling_g08_c01.avi 3", r"'Bowling' is not in classInd.txt"),
        ("trainlist01.txt", "\n", r"is empty"),
        ("trainlist01.txt", "path label\nArchery/v_Archery_g08_c01.avi 1", r"trainlist01.txt:1: found 'path label'"),
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi,1", r"trainlist01.txt:1: found"),
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1.0", r"trainlist01.txt:1: label 1.0 contradicts"),
        ("trainlist01.txt", '"Archery/v_Archery_g08_c01.avi" 1', r"trainlist01.txt:1: found"),
        ("trainlist01.txt", "/Archery/v_Archery_g08_c01.avi 1", r"trainlist01.txt:1: found"),
        ("trainlist01.txt", 2 * "Archery/v_Archery_g08_c01.avi 1\n", r"trainlist01.txt:2: '.*' is in line 1 too"),
        ("classInd.txt", "1,Archery\n", r"classInd.txt:1: found '1,Archery'"),
        ("classInd.txt", "\n", r"classInd.txt is empty"),
        ("classInd.txt", "0 Archery\n", r"classInd.txt:1: found '0 Archery', expected '1 "),
        ("classInd.txt", "1 Archery\n2 Archery\n", r"classInd.txt:2"),
    ],
)
def test_malformed_lists_name_file_and_line(toy, file, text, message):
    (toy / "ucfTrainTestlist" / file).write_text(text)
    with pytest.raises(UserError, match=message):
        ucf101.read(toy, "train")


def test_a_list_that_is_no_text_names_the_line_and_a_byte_order_mark_is_passed_over(toy):
    lists = toy / "ucfTrainTestlist"
    (lists / "trainlist01.txt").write_bytes(b"Archery/v_Archery_g08_c01.avi 1\n\xff\xfe")
    with pytest.raises(UserError, match=r"trainlist01.txt:2: not a text file"):
        ucf101.read(toy, "train")
    for name, text in (("classInd.txt", "1 Archery"), ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1")):
        (lists / name).write_text(text, encoding="utf-8-sig")
    assert ucf101.read(toy, "train").classes == ("Archery",)


def test_absent_things_are_named_with_where_they_were_looked_for(toy, tmp_path):
    with pytest.raises(UserError, match=r"trainlist02.txt does not exist"):
        ucf101.read(toy, "train", fold=2)
    with pytest.raises(UserError, match="no fold 4"):
        ucf101.read(toy, "train", fold=4)
    with pytest.raises(UserError, match="no split 'val'"):
        ucf101.read(toy, "val")
    shutil.rmtree(toy / "ucfTrainTestlist")
    with pytest.raises(UserError, match=r"expected the folders UCF-101 and ucfTrainTestlist.*; found .*UCF-101\."):
        ucf101.read(toy, "train")


def test_official_lists_have_the_official_counts(shared, tmp_path):
    (tmp_path / "UCF-101").mkdir()
    (tmp_path / "ucfTrainTestlist").mkdir()
    for file in (shared / "annotations" / "ucf101").iterdir():
        data = file.read_bytes()
        name = file.name.removesuffix(".gz")
        (tmp_path / "ucfTrainTestlist" / name).write_bytes(gzip.decompress(data) if file.suffix == ".gz" else data)
    sizes = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
    for fold, (n_train, n_test) in sizes.items():
        train, test = (ucf101.read(tmp_path, split, fold=fold) for split in ("train", "test"))
        assert (train.count, test.count) == (n_train, n_test)
        assert len(train.classes) == 101
        assert min(class_counts(train).values()) > 50
        groups = [set(part.table.column("group").to_pylist()) for part in (train, test)]
        assert not groups[0] & groups[1]
