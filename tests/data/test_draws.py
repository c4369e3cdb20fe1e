"""The data order: what every process shows of each step, for any number of processes, micro-batches and repeats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.draws import Draws, clip_words


@st.composite
def layouts(draw):
    """Numbers that fit: (count, repeats, world, micro-batch, clips of a step)."""
    repeats, world, videos, accumulation = (draw(st.integers(1, n)) for n in (4, 5, 4, 3))
    micro = repeats * videos
    return draw(st.integers(1, 60)), repeats, world, micro, micro * world * accumulation


def steps(count, repeats, world, micro, total, epoch, first=0):
    """Return the draws of all processes together, step by step, beginning with step `first`."""
    per_step = total // (micro * world)  # micro-batches of a step in a process
    parts = [
        Draws(count, batch=micro, global_batch=total, repeats=repeats, seed=7, rank=rank, world=world).epoch(
            epoch, first * per_step
        )
        for rank in range(world)
    ]
    size = per_step * micro // repeats
    assert {len(part) % size for part in parts} == {0}
    return [[d for part in parts for d in part[i : i + size]] for i in range(0, len(parts[0]), size)]


@settings(deadline=None, max_examples=150)
@given(layouts(), st.integers(0, 3), st.integers(0, 5))
def test_all_processes_together_show_the_step_of_a_single_one(layout, epoch, first):
    count, repeats, _, _, total = layout
    one = Draws(count, batch=total, global_batch=total, repeats=repeats, seed=7, rank=0, world=1)
    order, videos = one.order(epoch), total // repeats
    assert len(order) == one.steps_per_epoch * videos
    shown = steps(*layout, epoch, first)
    assert len(shown) == max(0, one.steps_per_epoch - first)
    for step, draws in enumerate(shown, first):
        places = range(step * videos, (step + 1) * videos)
        assert sorted(d.words for d in draws) == [(7, epoch, place, 0) for place in places]
        assert sorted(d.row for d in draws) == sorted(order[places.start : places.stop].tolist())
        assert all(d.row == order[d.words[2]] for d in draws)


@settings(deadline=None, max_examples=100)
@given(layouts(), st.integers(0, 2), st.data())
def test_an_offset_leaves_out_so_many_micro_batches(layout, epoch, data):
    count, repeats, world, micro, total = layout
    rank = data.draw(st.integers(0, world - 1))
    draws = Draws(count, batch=micro, global_batch=total, repeats=repeats, seed=7, rank=rank, world=world)
    whole = draws.epoch(epoch, 0)
    offset = data.draw(st.integers(0, len(whole) // draws.videos))
    assert draws.epoch(epoch, offset) == whole[offset * draws.videos :]
    assert [d.slot for d in whole] == list(range(len(whole)))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_an_epoch_draws_every_video_once_but_for_the_last_part_of_a_step(count, repeats, videos, epoch):
    draws = Draws(
        count, batch=repeats, global_batch=repeats * videos, repeats=repeats, seed=7, rank=0, world=1
    )  # fmt: skip
    drawn = np.bincount(draws.order(epoch), minlength=count)
    assert draws.steps_per_epoch == max(1, count // videos)
    if count >= videos:
        assert drawn.max() == 1
        assert drawn.sum() == count - count % videos
    else:
        assert drawn.sum() == videos
        assert drawn.max() - drawn.min() <= 1


def test_a_replacement_is_drawn_from_the_stream_of_its_place():
    draws = Draws(1000, batch=1, global_batch=1, repeats=1, seed=7, rank=0, world=1)
    first = draws.epoch(0, 3)[0]
    second = draws.replacement(first)
    third = draws.replacement(second)
    assert [d.words for d in (first, second, third)] == [(7, 0, 3, attempt) for attempt in range(3)]
    assert {d.slot for d in (first, second, third)} == {3}
    assert len({d.row for d in (first, second, third)}) == 3
    assert draws.replacement(first) == second


def test_words_of_clips_differ_and_the_first_is_that_of_the_draw():
    words = [clip_words((0, epoch, place, 0), k) for epoch in range(3) for place in range(5) for k in range(4)]
    assert len(set(words)) == len(words)
    assert words[0] == (0, 0, 0, 0)
    streams = {np.random.default_rng((*w, 1)).integers(2**62) for w in words}
    assert len(streams) == len(words)


@pytest.mark.parametrize(
    ("batch", "total", "repeats", "world", "message"),
    [
        (3, 8, 1, 1, "global_batch 8 is not a multiple of 3 clips x 1 processes; .* may be 1, 2, 4, 8$"),
        (8, 8, 1, 2, "global_batch 8 is not a multiple of 8 clips x 2 processes; .* may be 1, 2, 4$"),
        (3, 24, 4, 1, "micro_batch 3 is not a multiple of clips.repeats 4; .* may be 4, 8, 12, 24$"),
        (6, 16, 2, 2, "global_batch 16 is not a multiple of 6 clips x 2 processes; .* may be 2, 4, 8$"),
        (2, 8, 1, 3, "global_batch 8 is not a multiple of 3 processes; expected"),
        (4, 8, 4, 4, r"global_batch 8 is not a multiple of 4 processes x 4 repeats \(clips.repeats\); expected"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_and_those_that_do_are_named(batch, total, repeats, world, message):
    with pytest.raises(UserError, match=message):
        Draws(9, batch=batch, global_batch=total, repeats=repeats, seed=0, rank=0, world=world)
