"""Counting as an objective: its windows, an exact resume, and that they do not depend on the processes."""

import json

import numpy as np
import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.cycle_targets import IGNORED
from sigma_bench.evaluators.counting.objective import UNROLL
from sigma_bench.train import loop, state
from tests.evaluators.counting.made import Kept, OneOf, objective, trained


def _epoch(found, epoch=0, offset=0):
    steps = []
    for batch in found.batches(epoch, offset):
        steps.append(batch)
        found.step(batch)
    return steps


def _windows(steps):
    return [(b.tracks.minibatch, b.tracks.step, b.tracks.windows_N3.tolist()) for b in steps]


def test_an_epoch_shows_every_segment_in_minibatches_of_up_to_11_steps():
    found = objective()
    steps = _epoch(found)
    assert found.minibatches == 3
    assert sorted({b.tracks.minibatch for b in steps}) == [0, 1, 2]
    for minibatch in range(3):
        own = [b for b in steps if b.tracks.minibatch == minibatch]
        assert 1 <= len(own) <= UNROLL
        assert [b.tracks.step for b in own] == list(range(len(own)))
    shown = [id(lesson) for b in steps if b.tracks.step == 0 for lesson in b.lessons]
    assert len(shown) == len(set(shown)) == 12
    assert [len(b.lessons) for b in steps if b.tracks.step == 0] == [5, 5, 2]


def test_windows_stay_in_their_segment_and_have_the_targets_of_their_frames():
    for batch in _epoch(objective()):
        for lesson, (left, middle, right), fits1, fits2 in zip(
            batch.lessons, batch.tracks.windows_N3, batch.sides[0].fits_NA, batch.sides[1].fits_NA, strict=True
        ):
            assert 0 <= middle < lesson.segment.frames
            assert left <= middle < right
            assert (fits1 == IGNORED).all() == (lesson.previous[middle] == IGNORED)
            after = lesson.following[middle + 1] if middle + 1 < lesson.segment.frames else IGNORED
            assert (fits2 == IGNORED).all() == (after == IGNORED)


def test_the_next_windows_depend_on_what_the_network_says():
    first, second = objective(), objective()
    for parameter in second.module.box1.parameters():
        torch.nn.init.constant_(parameter, 0.05)
    one, other = _windows(_epoch(first)), _windows(_epoch(second))
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_two_epochs_and_two_seeds_differ_and_the_same_are_the_same():
    assert _windows(_epoch(objective(), 0)) == _windows(_epoch(objective(), 0))
    assert _windows(_epoch(objective(), 0)) != _windows(_epoch(objective(), 1))
    assert _windows(_epoch(objective(seed=1), 0)) != _windows(_epoch(objective(), 0))


def test_half_of_the_segments_are_mirrored_through_a_whole_minibatch():
    found = objective(each=20, batch=80)
    first, second, *_ = _epoch(found)
    flips = [[found._flipped(b.tracks, place) for place in b.tracks.places] for b in (first, second)]
    assert flips[0] == flips[1]
    assert 0.3 < np.mean(flips[0]) < 0.7
    found.flip = False
    assert not any(found._flipped(first.tracks, place) for place in first.tracks.places)


def test_losses_are_of_both_sides():
    found = objective()
    batch = next(iter(found.batches(0, 0)))
    losses = found.step(batch)
    assert losses["loss"].item() == pytest.approx(losses["fit"].item() + losses["box"].item())
    assert losses["fit"].item() == pytest.approx(2 * np.log(2), abs=0.7)
    assert losses["loss"].requires_grad
    assert found.watched() == {}


def test_it_learns_the_lengths_of_blinking_bars(tmp_path):
    found = objective(each=4, batch=8)
    records = []
    loop.fit(*trained(found, epochs=8, save_every=10**6, rate=3e-3), tmp_path, {}, on_log=records.append)
    assert np.mean([r["loss"] for r in records[-40:]]) < 0.75 * np.mean([r["loss"] for r in records[:40]])


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return loop.fit(*trained(objective()), tmp_path_factory.mktemp("straight"), {})


@pytest.mark.parametrize("at", [7, 28, 49])
def test_a_training_killed_anywhere_goes_on_exactly(straight, tmp_path, at):
    begun = straight.with_name(f"step-{at:07d}.pt")
    resumed = loop.fit(*trained(objective()), tmp_path, {}, resume=begun)
    assert resumed.name == straight.name
    for name, tensor in state.load(straight)["model"].items():
        assert torch.equal(tensor, state.load(resumed)["model"][name]), name


def test_a_state_is_plain_and_of_one_step_only():
    found = objective()
    batches = found.batches(0, 0)
    for _ in range(5):
        found.step(next(batches))
    saved = json.loads(json.dumps(found.merge([found.state_dict()])))
    again = objective()
    again.load_state_dict(saved)
    again.module.load_state_dict(found.module.state_dict())
    assert next(again.batches(0, 5)).tracks.windows_N3.tolist() == next(batches).tracks.windows_N3.tolist()
    for epoch, offset in ((0, 4), (1, 5)):
        other = objective()
        other.load_state_dict(saved)
        with pytest.raises(UserError, match="are not known"):
            next(other.batches(epoch, offset))
    with pytest.raises(UserError, match="step 3 of epoch 0"):
        next(objective().batches(0, 3))


def test_a_state_before_the_first_step_is_taken_back_too():
    found = objective()
    again = objective()
    again.load_state_dict(found.merge([found.state_dict()]))
    assert _windows(_epoch(again))[0] == _windows(_epoch(found))[0]


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_processes_together_show_what_one_shows(world):
    alone = objective()
    processes = [objective(OneOf(rank, world)) for rank in range(world)]
    iterators = [found.batches(0, 0) for found in processes]
    for batch in alone.batches(0, 0):
        parts = [next(iterator) for iterator in iterators]
        pairs = sorted(
            (place, window)
            for b in parts
            for place, window in zip(b.tracks.places, b.tracks.windows_N3.tolist(), strict=True)
        )
        assert [window for _, window in pairs] == batch.tracks.windows_N3.tolist()
        for found, part in zip(processes, parts, strict=True):
            found.step(part)
        alone.step(batch)
        if batch.tracks.step > 8:  # a process alone cannot know that the others go on
            break


def test_a_process_without_segments_takes_part_with_nothing_to_learn():
    found = objective(OneOf(3, 4), each=1, batch=3)  # of a last minibatch of one segment it gets none
    batches = [b for b in _take(found) if not b.tracks.places]
    assert batches
    for batch in batches:
        losses = found.step(batch)
        assert losses["loss"].item() == 0
        losses["loss"].backward()
        assert all(p.grad is not None and not p.grad.any() for p in found.module.parameters())


def _take(found):
    for minibatch in range(found.minibatches):
        picked = found.lessons[minibatch * found.batch : (minibatch + 1) * found.batch]
        tracks = found._begun(0, minibatch, 0, picked)
        yield found._made(tracks, picked, found.stretches.frames)


def test_windows_of_two_processes_are_one_state_for_three():
    processes = [objective(OneOf(rank, 2)) for rank in range(2)]
    states = []
    for found in processes:
        batches = found.batches(0, 0)
        for _ in range(3):
            found.step(next(batches))
        states.append(found.state_dict())
    whole = processes[0].merge(states)
    assert whole["places"] == [0, 1, 2, 3, 4]
    shares = []
    for rank in range(3):
        found = objective(OneOf(rank, 3))
        found.load_state_dict(whole)
        shares.append(found.state_dict())
    again = processes[0].merge(shares)
    assert {key: again[key] for key in ("places", "windows", "done", "step")} == {
        key: whole[key] for key in ("places", "windows", "done", "step")
    }


def test_a_step_can_be_told_by_videos_segments_and_windows():
    found = objective()
    batch = next(iter(found.batches(0, 0)))
    told = json.loads(json.dumps(found.origin(batch)))
    assert set(told["ids"]) <= set(Kept().index.ids)
    assert told["windows"] == batch.tracks.windows_N3.tolist()
    assert told["segments"][0] == [batch.lessons[0].segment.start, batch.lessons[0].segment.end]
