"""RandAugment of clips: timm's operations, one draw a clip, from seed words, without torch."""

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from timm.data.auto_augment import rand_augment_transform

from sigma_bench.contracts import UserError
from sigma_bench.data.augment import EXAMPLE, Operation, RandAugment, carry_out, streams

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 20, 28, 3), dtype=np.uint8)
POSTERIZED = Operation("PosterizeIncreasing", (0,))


@pytest.mark.parametrize("text", [EXAMPLE, "rand-m9-n3-mstd0.5", "rand-m9-n5-p1-inc1"])
def test_a_frame_is_what_timm_makes_of_it_with_the_same_draws(text):
    augment = RandAugment.parse(text)
    timm = rand_augment_transform(text, {"interpolation": Image.Resampling.BICUBIC})
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        for seed in range(60):
            choices, strengths = streams((seed,))
            np.random.set_state(choices.get_state())  # noqa: NPY002
            random.setstate(strengths.getstate())
            expected = np.asarray(timm(Image.fromarray(FRAMES[0])))
            assert np.array_equal(augment(FRAMES[:1], (seed,))[0], expected), augment.draw((seed,))
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)


@settings(deadline=None, max_examples=40)
@given(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 100)))
def test_all_frames_get_the_same_operations(words):
    still = np.repeat(FRAMES[:1], 3, axis=0)
    changed = RandAugment(layers=6)(still, words)
    assert (changed == changed[:1]).all()
    assert changed.dtype == np.uint8
    assert changed.shape == still.shape


def test_draws_depend_on_the_words_alone():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = RandAugment()(FRAMES, (4, 2))
    random.seed(2)
    assert np.array_equal(RandAugment()(FRAMES, (4, 2)), first)
    assert len({tuple(RandAugment().draw((k,))) for k in range(30)}) > 20
    random.seed(1)
    RandAugment()(FRAMES, (7,))
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_shares_and_strengths():
    drawn = [RandAugment().draw((k,)) for k in range(1500)]
    assert np.mean([len(operations) for operations in drawn]) == pytest.approx(2, abs=0.1)
    names = [operation.name for operations in drawn for operation in operations]
    assert len(set(names)) == 15
    assert min(names.count(name) for name in set(names)) > 140
    angles = [o.arguments[0] for operations in drawn for o in operations if o.name == "Rotate"]
    assert np.mean(np.abs(angles)) == pytest.approx(21, abs=0.5)
    assert np.std(np.abs(angles)) == pytest.approx(1.5, abs=0.3)
    assert np.mean(np.sign(angles)) == pytest.approx(0, abs=0.25)


def test_no_bits_are_black_where_pillow_refuses():
    assert RandAugment(magnitude=10, deviation=0, probability=1, layers=60).draw((0,)).count(POSTERIZED) > 0
    assert not carry_out(FRAMES, [POSTERIZED]).any()
    with pytest.raises(ValueError, match="bits"):
        ImageOps.posterize(Image.fromarray(FRAMES[0]), 0)


def test_no_operation_returns_the_frames():
    assert carry_out(FRAMES, []) is FRAMES
    assert np.array_equal(RandAugment(probability=0)(FRAMES, (0,)), FRAMES)


def test_short_form():
    assert RandAugment.parse(EXAMPLE) == RandAugment()
    assert RandAugment.parse("rand") == RandAugment(10, 2, 0, 0.5, False)
    assert pickle.loads(pickle.dumps(RandAugment())) == RandAugment()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("augmix-m3", "expected a form like"),
        ("rand-m7-w0", "part 'w0'"),
        ("rand-n1.5", "whole n"),
        ("rand-inc2", "inc0 or inc1"),
        ("rand-m11", "magnitude 11.0"),
        ("rand-n0", "layers 0"),
        ("rand-p2", "probability 2.0"),
        ("", "expected a form like"),
    ],
)
def test_another_form_or_value_is_told(text, message):
    with pytest.raises(UserError, match=message):
        RandAugment.parse(text)


def test_frames_of_another_kind_are_an_error():
    with pytest.raises(ValueError, match="uint8"):
        RandAugment()(FRAMES.astype(np.float32), (0,))


def test_torch_is_not_imported():
    script = (
        "import sys, numpy as np\n"
        "from sigma_bench.data.augment import RandAugment\n"
        "RandAugment()(np.zeros((2, 8, 8, 3), np.uint8), (0,))\n"
        "assert not {'torch', 'timm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
