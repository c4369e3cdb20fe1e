"""Charades: ids that look like numbers, actions that do not fit, texts with quotes, several forms of the videos."""

import csv
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import charades
from sigma_bench.data.index import Action

CLASSES = "c000 Holding some clothes\nc001 Putting clothes somewhere\nc002 Taking/opening a door\n"


def row(name="QQQQQ", actions="", length="12.00", subject="AAAA", script="Someone runs."):
    return [name, subject, "Kitchen", "5", "6", "Yes", script, "door;chair", "One sits down.", actions, length]


def table(path, rows, header=charades.HEADER):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def root(tmp_path):
    (tmp_path / charades.CLASSES).write_text(CLASSES)
    (tmp_path / "Charades_v1").mkdir()
    (tmp_path / "Charades_v1" / "1E234.mp4").touch()
    return tmp_path


def test_actions_become_labels_and_ids_stay_text(root):
    table(
        root / "Charades_v1_test.csv",
        [
            row("1E234", "c002 1.20 4.00;c000 3.10 11.00;c002 6.00 7.50", subject="BBBB"),
            row("00012", script='A person says "look, a door", then\nsits.'),
            row("QQQQQ", "c001 0.00 3.00"),
        ],
    )
    index = charades.read(root, "test")
    assert (index.name, index.split, index.count, index.notes) == ("charades", "test", 3, ())
    assert index.ids == ("1E234", "00012", "QQQQQ")
    assert index.classes == ("Holding some clothes", "Putting clothes somewhere", "Taking/opening a door")
    first, empty, _ = (index.sample(k) for k in range(3))
    assert first.actions == (Action(2, 1.2, 4.0), Action(0, 3.1, 11.0), Action(2, 6.0, 7.5))
    assert (first.labels, first.label, first.group, first.fps) == ((0, 2), -1, "BBBB", None)
    assert (first.path, first.start, first.end, first.start_s) == ("Charades_v1/1E234.mp4", None, None, None)
    assert (empty.labels, empty.actions, empty.group) == ((), (), "AAAA")
    assert index.missing() == ("00012", "QQQQQ")


def test_times_may_have_any_number_of_decimals(root):
    table(root / "Charades_v1_test.csv", [row(actions="c001 1 2.5;c002 1.125 2.0625", length="12.0625")])
    assert charades.read(root, "test").sample(0).actions == (Action(1, 1.0, 2.5), Action(2, 1.125, 2.0625))


def test_actions_end_with_their_video(root, caplog):
    caplog.set_level("INFO")
    table(root / "Charades_v1_train.csv", [row("AAAA1", "c000 1.00 31.00;c001 2.00 12.00"), row("AAAA2", "c000 0 99")])
    index = charades.read(root, "train")
    assert index.sample(0).actions == (Action(0, 1.0, 12.0), Action(1, 2.0, 12.0))
    assert index.sample(1).actions == (Action(0, 0.0, 12.0),)
    assert index.notes == ()
    assert caplog.text.count("2 actions go on after their video's end") == 1


def test_actions_that_do_not_last_are_left_out_and_counted(root, caplog):
    table(
        root / "Charades_v1_train.csv",
        [
            row("AAAA1", "c000 5.00 5.00;c000 1.00 2.00;c001 9.00 8.00"),
            row("AAAA2", "c002 12.00 15.00;c000 0.00 1.00"),
            row("AAAA3", "c002 2.00 1.00;c002 1.00 2.00"),
        ],
    )
    index = charades.read(root, "train")
    assert [index.sample(k).labels for k in range(3)] == [(0,), (0,), (2,)]
    assert caplog.text.count("4 actions left out") == 1
    assert index.notes == ("2 videos lose a class whose only action does not last",)


def test_actions_left_out_are_no_note_where_no_class_is_lost(root, caplog):
    table(root / "Charades_v1_train.csv", [row("AAAA3", "c002 2.00 1.00;c002 1.00 2.00")])
    assert charades.read(root, "train").notes == ()
    assert "1 actions left out" in caplog.text


def test_the_annotations_may_lie_as_unpacked(root):
    (root / "Charades").mkdir()
    (root / charades.CLASSES).rename(root / "Charades" / charades.CLASSES)
    table(root / "Charades" / "Charades_v1_test.csv", [row()])
    assert charades.read(root, "test").count == 1


def test_frames_go_first_then_small_videos_and_a_note_says_so(root, caplog):
    caplog.set_level("INFO")
    table(root / "Charades_v1_test.csv", [row("1E234")])
    assert charades.read(root, "test").path(0).is_file()
    assert f"is read from {root / 'Charades_v1'}" in caplog.text
    (root / "Charades_v1_480").mkdir()
    assert charades.read(root, "test").notes == ()  # an empty folder is none
    (root / "Charades_v1_480" / "1E234.mp4").touch()
    index = charades.read(root, "test")
    assert index.sample(0).path == "Charades_v1_480/1E234.mp4"
    assert index.notes == ("read from Charades_v1_480, not from Charades_v1, which is there too",)
    (root / "Charades_v1_rgb" / "1E234").mkdir(parents=True)
    index = charades.read(root, "test")
    assert (index.sample(0).path, index.sample(0).fps, index.missing()) == ("Charades_v1_rgb/1E234", 24.0, ())
    assert index.notes == ("read from Charades_v1_rgb, not from Charades_v1_480 or Charades_v1, which is there too",)


@pytest.mark.parametrize("first", [0, 1])
def test_frames_are_counted_from_the_first_however_they_are_numbered(root, first):
    import numpy as np
    from PIL import Image

    from sigma_bench.data.decode.media import open_media
    from sigma_bench.data.frame_labels import frame_labels

    folder = root / "Charades_v1_rgb" / "QQQQQ"
    folder.mkdir(parents=True)
    for k in range(30):
        Image.fromarray(np.full((8, 8, 3), 8 * k, np.uint8)).save(folder / f"QQQQQ-{k + first:06d}.jpg")
    table(root / "Charades_v1_test.csv", [row("QQQQQ", "c001 0.50 1.00", length="1.25")])
    index = charades.read(root, "test")
    shown = np.flatnonzero(frame_labels(index.sample(0).actions, 30, 3, fps=index.sample(0).fps)[:, 1])
    frames = open_media(None, index.path(0)).frames(shown)
    assert shown.tolist() == list(range(12, 25))
    assert np.abs(frames.mean((1, 2, 3)) - 8 * shown).max() < 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    script=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_text_may_stand_in_the_script(root, script, quoting, end):
    if quoting == csv.QUOTE_MINIMAL and end == "\n":
        script = script.replace("\r", "")  # which the writer leaves bare, so that it ends the line
    with open(root / "Charades_v1_train.csv", "w", newline="", encoding="utf-8") as file:
        rows = [charades.HEADER, row("1E234", "c001 1.00 2.00", script=script), row("QQQQQ", script=script)]
        csv.writer(file, quoting=quoting, lineterminator=end).writerows(rows)
    index = charades.read(root, "train")
    assert index.ids == ("1E234", "QQQQQ")
    assert index.sample(0).labels == (1,)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), row("AAAA1", "c003 1.00 2.00")], "train.csv:3: class c003 is unknown; .* has c000 to c002"),
        ([row(actions="c001 1.00")], "train.csv:2: found the action 'c001 1.00', expected 'c008 1.20 4.00"),
        ([row(actions="c001 1.00 2.00;")], "train.csv:2: found the action ''"),
        ([row(actions="c001 -1.00 2.00")], "train.csv:2: found the action 'c001 -1.00 2.00'"),
        ([row(actions="c001 nan inf")], "train.csv:2: found the action"),
        (
            [row(script="a\nb\nc"), row("AAAA1", length="")],
            "train.csv:5: found the length '', expected seconds above 0",
        ),
        ([row(length="long")], "train.csv:2: found the length 'long'"),
        ([row(length="0.00")], "train.csv:2: found the length '0.00'"),
        ([row(length="1e400")], "train.csv:2: found the length '1e400'"),
        ([row(), row("AAAA1"), row()], "train.csv:4: id 'QQQQQ' is in line 2 too"),
        ([row("1.0E+234")], "train.csv:2: found the id '1.0E.234', expected five letters and digits"),
        ([row("../..")], "train.csv:2: found the id"),
        ([row(subject=" ")], "train.csv:2: the subject is empty"),
        ([row()[:-1]], "train.csv:2: found 10 fields, expected 11"),
        ([], "train.csv names no video"),
    ],
)
def test_malformed_rows_name_file_and_line(root, rows, message):
    table(root / "Charades_v1_train.csv", rows)
    with pytest.raises(UserError, match=message):
        charades.read(root, "train")


def test_a_missing_quote_swallows_no_row(root):
    path = root / "Charades_v1_train.csv"
    table(path, [row("AAAA1", script="one, two"), row("AAAA2", script="three, four"), row("AAAA3")])
    path.write_text(path.read_text().replace('"one, two"', '"one, two'))
    with pytest.raises(UserError, match=r"train.csv:2: the row that begins here is no csv"):
        charades.read(root, "train")
    path.write_text(path.read_text().partition("two")[0])
    with pytest.raises(UserError, match=r"train.csv:2: the row that begins here is no csv"):
        charades.read(root, "train")


def test_another_header_is_refused(root):
    table(root / "Charades_v1_train.csv", [row()], header=["vid", *charades.HEADER[1:]])
    with pytest.raises(UserError, match=r"train.csv:1: found the header 'vid,subject,.*expected 'id,subject"):
        charades.read(root, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c000 A\nc002 B\n", "classes.txt:2: found 'c002 B', expected 'c001 <name>'"),
        ("c000 A\nc000 B\n", "classes.txt:2: found"),
        ("0 A\n", "classes.txt:1: found '0 A'"),
        ("c000\n", "classes.txt:1: found"),
        ("", "classes.txt is empty"),
    ],
)
def test_a_malformed_list_of_classes_names_the_line(root, text, message):
    table(root / "Charades_v1_train.csv", [row()])
    (root / charades.CLASSES).write_text(text)
    with pytest.raises(UserError, match=message):
        charades.read(root, "train")


def test_absent_things_are_named_with_where_they_were_looked_for(root):
    with pytest.raises(UserError, match="charades has no split 'val'; it has train and test"):
        charades.read(root, "val")
    with pytest.raises(UserError, match="charades has no fold 2"):
        charades.read(root, "train", fold=2)
    with pytest.raises(UserError, match=rf"Charades_v1_train.csv of charades does not exist: .*{re.escape(str(root))}"):
        charades.read(root, "train")
    table(root / "Charades_v1_train.csv", [row()])
    (root / "Charades_v1" / "1E234.mp4").unlink()
    with pytest.raises(UserError, match=r"no videos of charades in .*Charades_v1_rgb/QQQQQ/QQQQQ-000001.jpg or"):
        charades.read(root, "train")
    (root / charades.CLASSES).unlink()
    with pytest.raises(UserError, match=r"Charades_v1_classes.txt of charades does not exist"):
        charades.read(root, "train")
