"""Something-Something v2: templates, string indices, several names and places of the same files."""

import gzip
import json
import logging

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import ssv2
from sigma_bench.data.datasets.known import is_official

LABELS = {
    "Closing something": "0",
    "Laying something on the table on its side, not upright": "1",
    "Pushing something off something": "2",
}
TRAIN = [
    {
        "id": "900010",
        "label": "closing something",
        "template": "Pushing [something] off [something]",
        "placeholders": ["a mug", "the desk"],
    },
    {
        "id": "900002",
        "label": "Pushing something off something",
        "template": "Laying [something] on the table on its side, not upright",
        "placeholders": ["a [red] cup"],
    },
    {"id": "1000001", "label": "closing a box", "template": "Closing [something]", "placeholders": ["a box"]},
]
OLD = "something-something-v2-{}.json"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@pytest.fixture
def toy(tmp_path):
    put(tmp_path / OLD.format("labels"), LABELS)
    put(tmp_path / OLD.format("train"), TRAIN)
    put(tmp_path / OLD.format("validation"), TRAIN[:1])
    put(tmp_path / OLD.format("test"), [{"id": "900020"}, {"id": "900003"}])
    put(tmp_path / "20bn-something-something-v2" / "900002.webm", "")
    return tmp_path


def test_the_class_is_the_template_without_brackets_never_the_sentence(toy):
    train = ssv2.read(toy, "train")
    assert train.classes == tuple(LABELS)
    assert train.ids == ("900002", "900010", "1000001")
    assert train.labels.tolist() == [1, 2, 0]
    assert train.missing() == ("900010", "1000001")
    assert train.path(0) == toy / "20bn-something-something-v2" / "900002.webm"
    assert train.table.column("group").to_pylist() == list(train.ids)


def test_the_hash_does_not_depend_on_the_order_of_the_list(toy):
    before = ssv2.read(toy, "train").sha256
    put(toy / OLD.format("train"), TRAIN[::-1])
    assert ssv2.read(toy, "train").sha256 == before


def test_a_test_list_has_no_labels_and_validation_is_val(toy):
    test = ssv2.read(toy, "test")
    assert test.ids == ("900003", "900020")
    assert test.labels.tolist() == [-1, -1]
    val = ssv2.read(toy, "validation")
    assert (val.split, val.sha256) == ("val", ssv2.read(toy, "val").sha256)
    assert ssv2.splits(toy) == ("train", "val", "test")


def test_classes_follow_their_index_not_their_place_in_the_file(toy):
    put(toy / OLD.format("labels"), dict(reversed(LABELS.items())))
    assert ssv2.read(toy, "train").classes == tuple(LABELS)


@pytest.mark.parametrize("place", ["", "annotations", "labels"])
@pytest.mark.parametrize("form", [OLD, "{}.json"])
def test_lists_are_found_under_both_names_in_every_place(tmp_path, place, form):
    put(tmp_path / place / form.format("labels"), LABELS)
    put(tmp_path / place / form.format("train"), TRAIN)
    put(tmp_path / "videos" / "900002.webm", "")
    assert ssv2.read(tmp_path, "train").count == 3
    assert ssv2.splits(tmp_path) == ("train",)


def test_two_lists_are_refused_unless_they_are_copies(toy):
    put(toy / "labels" / "train.json", TRAIN)
    assert ssv2.read(toy, "train").count == 3
    put(toy / "labels" / "train.json", TRAIN[:2])
    with pytest.raises(UserError, match=r"twice and differs: .*v2-train.json and .*labels/train.json"):
        ssv2.read(toy, "train")


@pytest.mark.parametrize("ending", [".mp4", ".avi"])
def test_a_transcoded_copy_is_read_also_where_only_some_are(toy, ending):
    folder = toy / "20bn-something-something-v2"
    (folder / "900002.webm").rename(folder / f"900002{ending}")
    train = ssv2.read(toy, "train")
    assert train.path(0).name == f"900002{ending}"
    assert train.missing() == ("900010", "1000001")
    put(folder / "900010.webm", "")
    assert ssv2.read(toy, "train").missing() == ("1000001",)


def test_the_official_ending_wins_with_a_warning(toy, caplog):
    folder = toy / "20bn-something-something-v2"
    with caplog.at_level(logging.WARNING):
        ssv2.read(toy, "train")
        assert not caplog.records
        put(folder / "900002.mp4", "")
        assert ssv2.read(toy, "train").path(0).suffix == ".webm"
    assert "1 videos with several endings, the first is 900002; the first of .webm, .mp4, .avi" in caplog.text


def test_videos_may_lie_beside_the_lists(toy):
    (toy / "20bn-something-something-v2" / "900002.webm").rename(toy / "900002.webm")
    assert ssv2.read(toy, "train").path(0) == toy / "900002.webm"
    (toy / "900002.webm").unlink()
    with pytest.raises(UserError, match=r"no videos of ssv2: expected .*900001.webm .*20bn-something-something-v2 or"):
        ssv2.read(toy, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": "1"}, r"v2-train.json: found \{'id': '1'\}, expected a list"),
        ([], r"v2-train.json: found \[\], expected a list"),
        ([TRAIN[0], 7], r"entry 1: found 7, expected an object"),
        ([{"template": "Closing [something]"}], r"entry 0: no key 'id'; found 'template'"),
        ([{"id": 900001, "template": "Closing [something]"}], r"entry 0: 'id' is 900001, expected text"),
        ([{"id": "../9", "template": "Closing [something]"}], r"entry 0: 'id' is '../9', expected digits"),
        ([{"id": "٣", "template": "Closing [something]"}], r"entry 0: 'id' is '٣', expected digits"),
        ([{"id": "9" * 5000, "template": "Closing [something]"}], r"entry 0: 'id' is '9{20}"),
        ([TRAIN[0], {"id": "5", "label": "Closing something"}], r"entry 1: no key 'template'; found 'id', 'label'"),
        ([{"id": "5", "template": None}], r"entry 0: 'template' is None, expected text"),
        ([{"id": "5", "template": "closing [something]"}], r"entry 0 \(id 5\): 'template' .* is not in .*labels.json"),
        ([*TRAIN, TRAIN[1]], r"entry 3: 'id' 900002 is that of entry 1 too"),
        ('[\n{"id": "5",\n', r"v2-train.json:\d: no JSON"),
        ('[{"id": "5", "id": "6"}]', r"v2-train.json: key 'id' appears twice"),
        ("[" * 100_000, r"v2-train.json: JSON that no official list holds"),
        ("\0", r"v2-train.json:1: no JSON"),
    ],
)
def test_a_malformed_list_is_named_with_entry_and_key(toy, content, message):
    put(toy / OLD.format("train"), content)
    with pytest.raises(UserError, match=message):
        ssv2.read(toy, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"v2-labels.json: found \[\], expected an object"),
        ({"Closing something": 0}, r"v2-labels.json: key 'Closing something' has the index 0; expected text"),
        ({"Closing something": "1"}, r"v2-labels.json: key 'Closing something' has the index '1'"),
        ({"A": "0", "B": "0"}, r"v2-labels.json: keys 'A' and 'B' have the same index 0"),
        ({"A": "-1"}, r"v2-labels.json: key 'A' has the index '-1'"),
        ('{"A": "0", "A": "1"}', r"v2-labels.json: key 'A' appears twice"),
    ],
)
def test_a_malformed_labels_file_is_named_with_the_key(toy, content, message):
    put(toy / OLD.format("labels"), content)
    with pytest.raises(UserError, match=message):
        ssv2.read(toy, "train")


def test_binary_lists_and_byte_order_marks(toy):
    path = toy / OLD.format("train")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert ssv2.read(toy, "train").count == 3
    path.write_bytes(b"[\n\xff]")
    with pytest.raises(UserError, match=r"v2-train.json:2: not a text file"):
        ssv2.read(toy, "train")


def test_absent_things_are_named_with_where_they_were_looked_for(toy):
    (toy / OLD.format("validation")).unlink()
    with pytest.raises(UserError, match=r"no list of ssv2/val: .*v2-validation.json or validation.json or val.csv in "):
        ssv2.read(toy, "val")
    (toy / OLD.format("labels")).unlink()
    with pytest.raises(UserError, match=r"no labels file of ssv2: .*labels"):
        ssv2.read(toy, "train")
    with pytest.raises(UserError, match="no split 'dev'; it has train, val, test"):
        ssv2.read(toy, "dev")
    with pytest.raises(UserError, match="no fold 2"):
        ssv2.read(toy, "train", fold=2)


def test_a_list_of_the_videomae_family_is_read_where_it_is_the_only_one(toy):
    (toy / "train.csv").write_text("20bn-something-something-v2/900002.webm 1\n")
    with pytest.raises(UserError, match=r"ssv2/train has two lists, .*v2-train.json and .*train.csv"):
        ssv2.read(toy, "train")
    (toy / OLD.format("train")).unlink()
    train = ssv2.read(toy, "train")
    assert (train.name, train.count, train.missing()) == ("ssv2", 1, ())
    assert ssv2.splits(toy) == ("train", "val", "test")
    assert ssv2.official_splits(toy) == ("val", "test")


def test_the_official_validation_list_has_the_official_labels(shared, tmp_path):
    lists = shared / "annotations" / "ssv2"
    names = json.loads((lists / OLD.format("labels")).read_text())
    by_index = {int(index): name for name, index in names.items()}
    pairs = [
        line.split() for line in gzip.decompress((lists / "val_id_label.txt.gz").read_bytes()).decode().split("\n")
    ]
    expected = {number: int(label) for number, label in filter(None, pairs)}
    entries = [
        {"id": i, "label": "words", "template": by_index[n].replace("something", "[something]"), "placeholders": []}
        for i, n in expected.items()
    ]
    put(tmp_path / OLD.format("validation"), entries)
    (tmp_path / OLD.format("labels")).write_bytes((lists / OLD.format("labels")).read_bytes())
    put(tmp_path / "videos" / "1.webm", "")
    val = ssv2.read(tmp_path, "val")
    assert (val.count, len(val.classes)) == (24_777, 174)
    assert list(val.classes) == sorted(names)
    assert dict(zip(val.ids, val.labels.tolist(), strict=True)) == expected
    assert is_official("ssv2", "val", 1, val)
    assert is_official("mini_ssv2", "val", 1, val)
    assert not is_official("ssv2", "val", 1, val.select(range(24_776)))
