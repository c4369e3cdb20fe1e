"""Mixup and CutMix of clips: label shares are pixel shares, and draws come from seed words."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.data.mixup import Mixup

from sigma_bench.contracts import UserError
from sigma_bench.data.mix import Mixing, mix

MODES = ("batch", "pair", "elem")
SHAPE = (3, 5, 14, 9)


def _constant(batch: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """Clip b is b everywhere."""
    return torch.arange(batch, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(batch, *shape).contiguous()


def _mixed(mixing: Mixing, words: tuple[int, ...], batch: int = 4):
    return mix(_constant(batch), torch.arange(batch), batch, mixing, words)


@pytest.mark.parametrize("mode", MODES)
@given(words=st.tuples(st.integers(0, 2**32 - 1)), half=st.integers(1, 3))
def test_share_of_labels_is_share_of_pixels(mode, words, half):
    batch = 2 * half
    clips, targets = _mixed(Mixing(mode=mode, smoothing=0), words, batch)
    assert torch.allclose(targets.sum(1), torch.ones(batch))
    expected = targets @ torch.arange(batch, dtype=torch.float32)
    assert torch.allclose(clips.mean((1, 2, 3, 4)), expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@given(words=st.tuples(st.integers(0, 2**32 - 1)))
def test_cutmix_pastes_the_same_box_into_all_frames(mode, words):
    clips, targets = _mixed(Mixing(mixup=0, mode=mode, smoothing=0), words)
    for place, clip in enumerate(clips):
        own = clip == place
        assert (own == own[:1, :1]).all()
        pasted = ~own[0, 0]
        assert pasted.sum() == pasted.any(1).sum() * pasted.any(0).sum()
        assert float(targets[place, place]) == pytest.approx(float(own.float().mean()), abs=1e-6)
        assert set(clip.unique().tolist()) <= {float(place), float(3 - place)}


def test_timm_on_clips_of_five_axes_mislabels():
    np.random.seed(0)  # noqa: NPY002
    mixer = Mixup(mixup_alpha=0, cutmix_alpha=1.0, label_smoothing=0, num_classes=2)
    differences = []
    for _ in range(50):
        clips, targets = mixer(_constant(2, (3, 16, 32, 32)), torch.arange(2))
        differences.append(abs(float(clips[0].mean()) - float(targets[0, 1])))
    assert np.mean(differences) > 0.1


def test_a_batch_has_one_share_and_other_modes_have_several():
    for mode, shares in (("batch", 1), ("pair", 3), ("elem", 6)):
        _, targets = _mixed(Mixing(cutmix=0, mode=mode, smoothing=0), (3,), batch=6)
        assert len({round(float(targets[k, k]), 6) for k in range(6)}) == shares


def test_draws_come_from_the_words_and_leave_the_global_generators():
    np.random.seed(5)  # noqa: NPY002
    before, of_torch = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = _mixed(Mixing(), (1, 2))
    np.random.seed(6)  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(first, _mixed(Mixing(), (1, 2)), strict=True))
    assert not torch.equal(first[1], _mixed(Mixing(), (1, 3))[1])
    np.random.seed(5)  # noqa: NPY002
    _mixed(Mixing(), (9,))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), of_torch)


def test_shares_of_mixing_and_of_cutmix():
    drawn = [_mixed(Mixing(probability=0.5, switch=0.25, smoothing=0), (k,), 2) for k in range(800)]
    untouched = [bool(targets[0, 0] == 1) and bool((clips[0] == 0).all()) for clips, targets in drawn]
    added = [len(clips[0].unique()) == 1 for (clips, _), same in zip(drawn, untouched, strict=True) if not same]
    assert np.mean(untouched) == pytest.approx(0.5, abs=0.06)
    assert np.mean(added) == pytest.approx(0.75, abs=0.07)


def test_smoothing_spreads_over_all_classes():
    _, targets = mix(_constant(2), torch.tensor([1, 3]), 5, Mixing(mixup=0, cutmix=0, smoothing=0.1), (0,))
    assert torch.allclose(targets, torch.tensor([[0.02, 0.92, 0.02, 0.02, 0.02], [0.02, 0.02, 0.02, 0.92, 0.02]]))


def test_nothing_mixed_leaves_clips_and_takes_odd_batches():
    clips, targets = mix(_constant(3), torch.arange(3), 3, Mixing(probability=0, smoothing=0), (0,))
    assert torch.equal(clips, _constant(3))
    assert torch.equal(targets, torch.eye(3))


def test_mistakes_are_told():
    with pytest.raises(UserError, match="micro-batch has 3; expected an even one"):
        _mixed(Mixing(), (0,), batch=3)
    with pytest.raises(ValueError, match="expected"):
        mix(torch.zeros(2, 3, 8, 8), torch.arange(2), 2, Mixing(), (0,))
