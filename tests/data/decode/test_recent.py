"""Which files a decoding process keeps, and for how long."""

import numpy as np
import pytest
from PIL import Image

from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.recent import KeptReader, Recent

SIDE = 8
BYTES = 3 * SIDE * SIDE


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((SIDE, SIDE, 3), number, np.uint8)).save(path)
    return paths


def test_what_was_used_longest_ago_goes_first_and_no_more_is_kept_than_said(pictures):
    recent = Recent(pick("pyav"), kept=2 * BYTES)
    first, second = recent.open(pictures[0]), recent.open(pictures[1])
    assert recent.open(pictures[0]) is first
    third = recent.open(pictures[2])
    assert [recent.open(pictures[n]) for n in (0, 2)] == [first, third]
    assert recent.open(pictures[1]) is not second
    for path in pictures * 3:
        recent.open(path)
        assert sum(kept.nbytes for kept in recent._files.values()) == recent._bytes <= 2 * BYTES


def test_a_large_file_is_not_kept(pictures):
    assert isinstance(Recent(pick("pyav"), small=BYTES).open(pictures[0]), KeptReader)
    recent = Recent(pick("pyav"), small=BYTES - 1)
    assert recent.open(pictures[0]) is not recent.open(pictures[0])


def test_a_file_written_anew_is_read_anew(pictures):
    recent = Recent(pick("pyav"))
    assert recent.open(pictures[1]).frames([0]).max() == 1
    pictures[3].replace(pictures[1])
    assert recent.open(pictures[1]).frames([0]).max() == 3
