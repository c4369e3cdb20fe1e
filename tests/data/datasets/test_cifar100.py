"""CIFAR-100: rows, fine labels and names, and what is wrong with a file."""

import re

import numpy as np
import pytest

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import cifar100
from sigma_bench.data.miniatures.python2 import dumps

NAMES = [b"class_%02d" % k for k in range(100)]
META = {b"fine_label_names": NAMES, b"coarse_label_names": [b"coarse_%d" % k for k in range(20)]}
PICTURES = {
    b"filenames": [b"bos_taurus_s_000507.png", b"caf\xc3\xa9.png", b"bos_taurus_s_000507.png"],
    b"batch_label": b"training batch 1 of 1",
    b"fine_labels": [99, 0, 19],
    b"coarse_labels": [11, 15, 4],
    b"data": np.zeros((3, 3072), np.uint8),
}


def write(folder, name, content, **changed):
    content = {**content, **{key.encode(): value for key, value in changed.items()}}
    content = {key: value for key, value in content.items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(dumps(content))


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "cifar-100-python"
    write(folder, "meta", META)
    write(folder, "train", PICTURES)
    write(folder, "test", PICTURES, fine_labels=[1, 2, 3])
    return tmp_path


def test_a_picture_is_a_row_with_its_fine_label(toy):
    index = cifar100.read(toy, "train")
    assert (index.name, index.split, index.root) == ("cifar100", "train", toy)
    assert index.classes == tuple(name.decode() for name in NAMES)
    assert index.labels.tolist() == [99, 0, 19]
    assert index.ids == (
        "train_00000_bos_taurus_s_000507.png",
        "train_00001_café.png",
        "train_00002_bos_taurus_s_000507.png",  # names may repeat, ids may not
    )
    for row in range(3):
        sample = index.sample(row)
        assert (sample.path, sample.start, sample.end) == ("cifar-100-python/train", row, row + 1)
        assert sample.group == sample.id
    assert index.missing() == ()
    test = cifar100.read(toy, "test")
    assert test.labels.tolist() == [1, 2, 3]
    assert test.ids[0] == "test_00000_bos_taurus_s_000507.png"
    assert registry.get("datasets", "cifar100") is cifar100.read


def test_the_root_may_be_the_folder_itself_or_a_link_to_it(toy):
    index = cifar100.read(toy / "cifar-100-python", "train")
    assert (index.root, index.path(0)) == (toy, toy / "cifar-100-python" / "train")
    (toy / "cifar100").symlink_to(toy / "cifar-100-python")
    assert cifar100.read(toy / "cifar100", "train").path(0).read_bytes() == index.path(0).read_bytes()


def test_a_packed_an_incomplete_and_a_renamed_copy_say_what_to_do(toy, tmp_path_factory):
    (toy / "cifar-100-python" / "meta").rename(toy / "meta")
    with pytest.raises(UserError, match=r"cifar-100-python/meta does not exist; expected train, test and meta"):
        cifar100.read(toy, "train")
    (toy / "meta").rename(toy / "cifar-100-python" / "meta")
    (toy / "cifar-100-python").rename(toy / "other")
    with pytest.raises(UserError, match=r"other holds train, test and meta; move them into a folder called cifar-100"):
        cifar100.read(toy / "other", "train")
    with pytest.raises(UserError, match=rf"no CIFAR-100 in {re.escape(str(toy))}: expected the folder"):
        cifar100.read(toy, "train")
    (toy / "cifar-100-python.tar.gz").touch()
    with pytest.raises(UserError, match=r"cifar-100-python.tar.gz is there; unpack it: tar -xzf"):
        cifar100.read(toy, "train")
    with pytest.raises(UserError, match="no split 'val'; it has train and test"):
        cifar100.read(toy, "val")
    with pytest.raises(UserError, match="no fold 2"):
        cifar100.read(toy, "train", fold=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fine_labels": None}, "no key 'fine_labels'; it has batch_label, coarse_labels, data, filenames"),
        ({"fine_labels": [1, 2]}, "key 'fine_labels' has 2 entries; expected 3"),
        ({"fine_labels": [1, 100, 2]}, "key 'fine_labels', row 1: 100; expected an integer of 0 to 99"),
        ({"fine_labels": [1, 2, -1]}, "key 'fine_labels', row 2: -1"),
        ({"fine_labels": [b"1", 2, 3]}, "key 'fine_labels', row 0: a bytes"),
        ({"fine_labels": b"abc"}, "key 'fine_labels' is a bytes; expected a list of 3"),
        ({"filenames": [b"a"] * 4}, "key 'filenames' has 4 entries; expected 3"),
        ({"filenames": [b"a", b"../x", b"b"]}, "key 'filenames', row 1: '../x'; expected a name"),
        ({"filenames": [b"a", b"b", b"\xff"]}, "key 'filenames', row 2: no UTF-8 text"),
        ({"filenames": [b"", b"b", b"c"]}, "key 'filenames', row 0: ''"),
        ({"filenames": [b"a", b"b\n", b"c"]}, r"key 'filenames', row 1: 'b\\n'"),
        ({"filenames": [1, b"b", b"c"]}, "key 'filenames', row 0: a int"),
        ({"data": None}, "key 'data' is absent"),
        ({"data": np.zeros((3, 1024), np.uint8)}, r"key 'data' is uint8 \(3, 1024\); expected uint8 \(N, 3072\)"),
    ],
)
def test_wrong_files_are_named_with_key_and_row(toy, changed, message):
    write(toy / "cifar-100-python", "train", PICTURES, **changed)
    with pytest.raises(UserError, match=message) as caught:
        cifar100.read(toy, "train")
    assert str(caught.value).startswith(f"{toy}/cifar-100-python/train: ")
    assert cifar100.read(toy, "test").count == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "meta: no key 'fine_label_names'; it has coarse_label_names"),
        (NAMES[:99], "meta: key 'fine_label_names' has 99 entries; expected 100"),
        ([NAMES[5], *NAMES[1:]], "meta: key 'fine_label_names': 'class_05' appears twice"),
        ([7, *NAMES[1:]], "meta: key 'fine_label_names', row 0: a int"),
    ],
)
def test_wrong_names_are_named(toy, names, message):
    write(toy / "cifar-100-python", "meta", META, fine_label_names=names)
    with pytest.raises(UserError, match=message):
        cifar100.read(toy, "train")


def test_cifar_10_is_not_taken_for_it(toy):
    write(toy / "cifar-100-python", "train", {b"data": PICTURES[b"data"], b"labels": [1, 2, 3]})
    with pytest.raises(UserError, match=r"no key 'fine_labels'; it has data, labels. Is it CIFAR-100 \(not 10\)"):
        cifar100.read(toy, "train")
