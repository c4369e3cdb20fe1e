"""Random erasing: the same box in all frames, values drawn from seed words."""

import numpy as np
import pytest
import torch

from sigma_bench.data.erase import Erasing, erase

ALWAYS = Erasing(probability=1.0)


def _erased(words, erasing=ALWAYS, shape=(3, 4, 32, 40)) -> torch.Tensor:
    return erase(torch.full((len(words), *shape), 100.0), words, erasing)


def test_the_box_is_the_same_in_all_frames_and_its_noise_is_not():
    hidden = _erased([(k,) for k in range(20)]) != 100
    for clip, where in zip(_erased([(k,) for k in range(20)]), hidden, strict=True):
        assert (where == where[:1, :1]).all()
        rows, columns = where[0, 0].any(1), where[0, 0].any(0)
        assert where[0, 0].sum() == rows.sum() * columns.sum()
        share = float(where[0, 0].float().mean())
        assert 0.015 < share < 0.36
        values = clip[:, :, rows][..., columns]
        assert not torch.equal(values[:, 0], values[:, 1])
        assert abs(float(values.mean())) < 0.3
        assert abs(float(values.std()) - 1) < 0.2


def test_a_quarter_of_the_clips_is_erased():
    rng = np.random.RandomState(0)
    erased = [Erasing().box(32, 32, rng) is not None for _ in range(4000)]
    assert np.mean(erased) == pytest.approx(0.25, abs=0.025)


def test_a_clip_depends_on_its_own_words_alone():
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert torch.equal(_erased([(1, 2), (3,)])[1], _erased([(3,)])[0])
    assert not torch.equal(_erased([(1,)]), _erased([(2,)]))
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_nothing_is_erased_where_no_box_fits_or_at_probability_0():
    assert Erasing(1.0, area=(4.0, 4.0)).box(8, 8, np.random.RandomState(0)) is None
    assert (_erased([(0,)], Erasing(probability=0)) == 100).all()


def test_each_clip_needs_its_seed():
    with pytest.raises(ValueError, match="expected"):
        erase(torch.zeros(2, 3, 1, 8, 8), [(0,)], ALWAYS)
