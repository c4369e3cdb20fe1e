"""YouTube-VOS: ids that look like numbers, categories by rank, the list of the 20 %."""

import json

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import ytvos
from sigma_bench.data.datasets.known import is_official
from sigma_bench.data.index import Object

VIDEOS = {
    "12345e6789": {"2": ("zebra", ["00010"]), "10": ("ape", ["00005", "00010"])},
    "0043f083b5": {"1": ("dog", ["00000"]), "2": ("dog", ["00000", "00005"])},
    "0000000012": {"1": ("ape", ["00020"])},
    "ffffffffff": {"1": ("zebra", ["00000"])},
    "1e10000000": {"3": ("dog", ["00000"])},
}


def write(root, videos=VIDEOS):
    content = {
        name: {"objects": {key: {"category": c, "frames": f} for key, (c, f) in objects.items()}}
        for name, objects in videos.items()
    }
    for name in videos:
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / name).mkdir(parents=True)
    (root / "meta.json").write_text(json.dumps({"videos": content}))
    return root


@pytest.fixture
def toy(tmp_path):
    write(tmp_path / "train")
    return tmp_path


@pytest.mark.parametrize("place", ytvos.PLACES)
def test_a_sample_is_a_video_with_objects_and_their_categories(tmp_path, place):
    write(tmp_path / place)
    index = ytvos.read(tmp_path, "train")
    assert index.ids == ("0000000012", "0043f083b5", "12345e6789", "1e10000000", "ffffffffff")
    assert index.classes == ("ape", "dog", "zebra")
    sample = index.sample(2)
    assert (sample.path, sample.masks) == ("JPEGImages/12345e6789", "Annotations/12345e6789")
    assert sample.objects == (Object(2, 2), Object(10, 0))  # by number, not by text; ids need not start at 1
    assert (sample.label, sample.group) == (-1, "12345e6789")
    assert index.root == tmp_path / place
    assert (index.missing(), index.notes) == ((), ())


@pytest.mark.parametrize("name", ytvos.LISTS)
def test_the_list_is_read_as_text_in_any_order_with_any_line_ends(toy, name):
    assert ytvos.splits(toy) == ("train",)
    (toy / name).write_bytes(b"\xef\xbb\xbfffffffffff\r\n12345e6789\r\n0000000012\r\n\r\n")
    index = ytvos.read(toy, "train20")
    assert index.ids == ("0000000012", "12345e6789", "ffffffffff")
    assert index.split == "train20"
    assert ytvos.splits(toy) == ("train", "train20")
    assert not is_official("ytvos", "train20", 1, index)


def test_categories_have_one_number_whatever_the_split(toy):
    (toy / "train20.txt").write_text("ffffffffff\n")
    index = ytvos.read(toy, "train20")
    assert index.classes == ("ape", "dog", "zebra")
    assert index.sample(0).objects == (Object(1, 2),)


def test_without_a_list_nothing_is_drawn_in_silence(toy):
    with pytest.raises(UserError, match=r"expected train20.txt or val.txt in .*data lists ytvos.*train20_seed0"):
        ytvos.read(toy, "train20")


def test_two_lists_that_differ_are_refused(toy):
    (toy / "train20.txt").write_text("ffffffffff\n")
    (toy / "val.txt").write_text("0000000012\n")
    with pytest.raises(UserError, match="is there twice and differs"):
        ytvos.read(toy, "train20")


def test_a_draw_has_its_rule_its_name_and_a_note(toy):
    ids = [f"{n:010x}" for n in range(3471)]
    order = np.random.RandomState(7).permutation(3471)
    assert ytvos.drawn(ids[::-1], 7) == sorted(ids[i] for i in order[:694])
    assert [len(ytvos.drawn(ids[:n], 0)) for n in (7, 8, 12, 13)] == [1, 2, 2, 3]  # rounded, not cut off
    index = ytvos.read(toy, "train20_seed7")
    assert index.count == 1
    assert index.notes == ("1 of 5 YouTube-VOS training videos drawn with seed 7, no released list",)
    assert len({ytvos.read(toy, f"train20_seed{k}").ids for k in range(20)}) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ffffffffff\nabc\n", "train20.txt:2: found 'abc'"),
        ("ffffffffff\n../fffffff\n", "train20.txt:2: found"),
        ("ffffffffff\nffffffffff\n", "train20.txt:2: 'ffffffffff' is in line 1 too"),
        ("ffffffffff\n0043f083b6\n", r"train20.txt:2: meta.json has no video '0043f083b6' \(1 of 2"),
        ("\n", "train20.txt is empty"),
    ],
)
def test_malformed_lists_name_file_and_line(toy, text, message):
    (toy / "train20.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        ytvos.read(toy, "train20")


def entry(**changes):
    return {"objects": {"1": {"category": "dog", "frames": ["00000"], **changes}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"meta.json: found \[\]"),
        ({"videos": {}}, "meta.json: found"),
        ({"videos": {"../../etcet": entry()}}, "key 'videos' holds '../../etcet'"),
        ({"videos": {"0043f083b5": []}}, "videos.0043f083b5: found"),
        ({"videos": {"0043f083b5": {"objects": {}}}}, "videos.0043f083b5: found"),
        ({"videos": {"0043f083b5": entry(category=3)}}, r"videos.0043f083b5.objects.1: .*'category' in words"),
        ({"videos": {"0043f083b5": entry(frames=[0, 5])}}, r"objects.1: 'frames' is \[0, 5\]"),
        ({"videos": {"0043f083b5": entry(frames=None)}}, "'frames' is None"),
        ({"videos": {"0043f083b5": {"objects": {"0": entry()["objects"]["1"]}}}}, "found the key '0'"),
        ({"videos": {"0043f083b5": {"objects": {"255": entry()["objects"]["1"]}}}}, "found the key '255'"),
    ],
)
def test_malformed_meta_names_the_key(toy, content, message):
    (toy / "train/meta.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        ytvos.read(toy, "train")


def test_a_video_that_stands_twice_is_refused(toy):
    text = json.dumps(entry())
    (toy / "train/meta.json").write_text(f'{{"videos": {{"0043f083b5": {text}, "0043f083b5": {text}}}}}')
    with pytest.raises(UserError, match="key '0043f083b5' appears twice"):
        ytvos.read(toy, "train")


def test_absent_things_are_named(toy):
    for split in ("valid", "train20_seed", "train20_seed01", "train20_seed-1"):
        with pytest.raises(UserError, match=f"no split '{split}'; it has train, train20 and train20_seed<N>"):
            ytvos.read(toy, split)
    with pytest.raises(UserError, match="no fold 2"):
        ytvos.read(toy, "train", fold=2)
    with pytest.raises(UserError, match=r"no YouTube-VOS in .*train/meta.json"):
        ytvos.read(toy / "nowhere", "train")
    assert ytvos.splits(toy / "nowhere") == ()
    for name in VIDEOS:
        (toy / "train/Annotations" / name).rmdir()
    with pytest.raises(UserError, match="Annotations: no such folder, or empty"):
        ytvos.read(toy, "train")


def test_the_released_list_is_recognised(shared, tmp_path):
    lists = shared / "annotations/ytvos"
    released = (lists / "val_ids_sorted.txt").read_text().split()
    others = (lists / "train_ids_sorted.txt").read_text().split()
    objects = {"objects": {"1": {"category": "dog", "frames": ["00000"]}}}
    (tmp_path / "meta.json").write_text(json.dumps({"videos": dict.fromkeys(others + released, objects)}))
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / released[0]).mkdir(parents=True)
    (tmp_path / "val.txt").write_bytes("\r\n".join(reversed(released)).encode())
    index = ytvos.read(tmp_path, "train20")
    assert index.count == 695
    assert is_official("ytvos", "train20", 1, index)
    assert is_official("ytvos", "train", 1, ytvos.read(tmp_path, "train"))
    (tmp_path / "val.txt").write_text("\n".join(released[1:]))
    assert not is_official("ytvos", "train20", 1, ytvos.read(tmp_path, "train20"))
    assert ytvos.read(tmp_path, "train20_seed0").count == 694
