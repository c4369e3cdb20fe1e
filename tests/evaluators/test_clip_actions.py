"""Targets of training clips: the union of what is shown between their first and their last frame."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Action, Index, Sample
from sigma_bench.data.loader import Batch
from sigma_bench.evaluators.clip_actions import targets

CLASSES = ("a", "b", "c")


def index(*actions, **place):
    samples = [
        Sample(f"v{k}", f"v{k}.mp4", -1, "g", labels=(), actions=None if a is None else tuple(a), **place)
        for k, a in enumerate(actions)
    ]
    return Index.build("toy", "train", Path("nowhere"), CLASSES, samples)


def batch(*clips):
    """Rows and the frames they show."""
    infos = [{"counted": [list(frames)], "indices": [[0]]} for _, frames in clips]
    return Batch(torch.zeros(len(clips), 1), [row for row, _ in clips], [(0,)] * len(clips), [], infos)


def shown(found):
    return [set(np.flatnonzero(row).tolist()) for row in found.numpy()]


def test_frames_between_those_shown_count_and_others_do_not():
    of = targets(index([Action(0, 0.5, 0.6), Action(1, 0.0, 0.2), Action(2, 2.0, 9.0)]), 10, True)
    found = of(batch((0, [0, 8]), (0, [3, 4]), (0, [6, 19]), (0, [7, 20]), (0, [0, 20])))
    assert found.dtype == torch.float32
    assert shown(found) == [{0, 1}, set(), {0}, {2}, {0, 1, 2}]


def test_ends_are_in_or_out():
    timed = index([Action(0, 0.5, 1.0)])
    inside = [batch((0, frames)) for frames in ([0, 5], [10, 30], [0, 4], [11, 30], [6, 6])]
    assert [shown(targets(timed, 10, True)(b)) for b in inside] == [[{0}], [{0}], [set()], [set()], [{0}]]
    assert [shown(targets(timed, 10, False)(b)) for b in inside] == [[set()], [set()], [set()], [set()], [{0}]]


def test_videos_without_actions_have_empty_targets_and_rows_are_those_of_the_index():
    of = targets(index([], [Action(1, 0.0, 1.0)]), 24, True)
    assert shown(of(batch((1, [0]), (0, [0, 99]), (1, [0, 0, 0])))) == [{1}, set(), {1}]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99), st.integers(0, 99)), max_size=5), st.integers(0, 99),
       st.integers(0, 40), st.booleans())  # fmt: skip
def test_targets_are_those_of_a_loop(timed, first, length, inclusive):
    actions = [Action(label, start / 24, end / 24) for label, start, end in timed]
    wanted = set()
    for label, start, end in timed:
        for frame in range(first, first + length + 1):
            if start < frame < end or (inclusive and start <= frame <= end):
                wanted.add(label)
    clip = sorted({first, first + length // 2, first + length})
    assert shown(targets(index(actions), 24, inclusive)(batch((0, clip)))) == [wanted]


def test_samples_without_actions_or_that_are_parts_of_a_file_are_refused():
    with pytest.raises(UserError, match=r"toy/train: v1 has no list of actions; expected whole videos"):
        targets(index([], None), 24, True)
    for place in ({"start": 3, "end": 9}, {"start_s": 1.0, "end_s": 2.0}):
        with pytest.raises(UserError, match=r"v0 is a part of its file"):
            targets(index([], **place), 24, True)
