"""DAVIS-2017: two editions, one list of sequences, frames at 480p."""

import re

import pytest

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import davis
from sigma_bench.data.datasets.known import is_official

VAL = [
    "bike-packing",
    "blackswan",
    "bmx-trees",
    "breakdance",
    "camel",
    "car-roundabout",
    "car-shadow",
    "cows",
    "dance-twirl",
    "dog",
    "dogs-jump",
    "drift-chicane",
    "drift-straight",
    "goat",
    "gold-fish",
    "horsejump-high",
    "india",
    "judo",
    "kite-surf",
    "lab-coat",
    "libby",
    "loading",
    "mbike-trick",
    "motocross-jump",
    "paragliding-launch",
    "parkour",
    "pigs",
    "scooter-black",
    "shooting",
    "soapbox",
]


def write(root, sequences=("dog", "camel"), masks="Annotations", resolution="480p"):
    (root / davis.LISTS).mkdir(parents=True, exist_ok=True)
    (root / davis.LISTS / "val.txt").write_text("".join(f"{s}\n" for s in sequences))
    for name in sequences:
        (root / f"JPEGImages/{resolution}" / name).mkdir(parents=True, exist_ok=True)
        (root / f"{masks}/{resolution}" / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize("place", davis.PLACES)
def test_a_sample_is_a_sequence_with_its_masks(tmp_path, place):
    write(tmp_path / place)
    index = davis.read(tmp_path, "val")
    assert (index.name, index.split, index.classes, index.ids) == ("davis", "val", (), ("camel", "dog"))
    sample = index.sample(1)
    assert (sample.path, sample.masks) == ("JPEGImages/480p/dog", "Annotations/480p/dog")
    assert (sample.label, sample.group, sample.objects) == (-1, "dog", None)
    assert index.root == tmp_path / place
    assert index.missing() == ()
    assert davis.splits(tmp_path) == ("val",)


def test_the_unsupervised_edition_is_another_name_with_other_masks(tmp_path):
    write(tmp_path, masks="Annotations_unsupervised")
    index = registry.get("datasets", "davis_unsupervised")(tmp_path, "val")
    assert index.name == "davis_unsupervised"
    assert index.sample(0).masks == "Annotations_unsupervised/480p/camel"
    with pytest.raises(UserError, match=r"no davis in .* found JPEGImages/480p, Annotations_unsupervised/480p"):
        davis.read(tmp_path, "val")
    assert registry.DRAWN_FROM["davis_unsupervised"] == "davis"


def test_other_resolutions_are_refused(tmp_path):
    write(tmp_path / "DAVIS", resolution="Full-Resolution")
    message = "found DAVIS/JPEGImages/Full-Resolution, DAVIS/Annotations/Full-Resolution.* 480p is the only"
    with pytest.raises(UserError, match=message):
        davis.read(tmp_path, "val")


def test_the_list_is_read_in_any_order_and_with_any_line_ends(tmp_path):
    write(tmp_path, VAL)
    (tmp_path / davis.LISTS / "val.txt").write_bytes("\r\n".join(reversed(VAL)).encode())
    index = davis.read(tmp_path, "val")
    assert list(index.ids) == VAL
    assert is_official("davis", "val", 1, index)
    assert not is_official("davis", "train", 1, index)
    assert not is_official("davis", "val", 1, index.select(range(29)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camel\n/JPEGImages/480p/dog/00000.jpg /Annotations/480p/dog/00000.png\n", "val.txt:2: .* DAVIS-2016"),
        ("camel\n../dog\n", "val.txt:2: found '../dog'"),
        ("camel\n\ncamel\n", "val.txt:3: 'camel' is in line 1 too"),
        ("\n", "val.txt is empty"),
    ],
)
def test_malformed_lists_name_file_and_line(tmp_path, text, message):
    write(tmp_path)
    (tmp_path / davis.LISTS / "val.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        davis.read(tmp_path, "val")


def test_absent_things_are_named(tmp_path):
    write(tmp_path)
    with pytest.raises(UserError, match="no split 'test-dev'"):
        davis.read(tmp_path, "test-dev")
    with pytest.raises(UserError, match="no fold 2"):
        davis.read(tmp_path, "val", fold=2)
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path))}/ImageSets/2017/train.txt does not exist"):
        davis.read(tmp_path, "train")
    with pytest.raises(UserError, match=r"found neither\. Unpack DAVIS-2017-trainval-480p.zip"):
        davis.read(tmp_path / "nowhere", "val")
    (tmp_path / "JPEGImages/480p/dog").rmdir()
    assert davis.read(tmp_path, "val").missing() == ("dog",)
