"""Encoders at the sizes that a task states."""

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.runs.reading import Reading
from sigma_bench.runs.request import Request
from sigma_bench.runs.sized import sized
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load


def _task(*sets):
    return load.task("severe/ucf_rc", data="miniature", sets=[f"counting.{s}" for s in sets])


def _sized(task, reading=None, name="random:nano"):
    request = Request([name], reading=reading or Reading())
    system = candidate(name, None, None, None, None, request.reading)
    encoder = system.encoder("cpu")
    return system, encoder, *sized(system, encoder, task, request, "cpu")


def test_an_encoder_is_read_at_the_side_of_the_task_and_its_row_says_so():
    system, encoder, other, shown = _sized(_task("image_size=16"))
    assert (encoder.spec.image_size, shown.spec.image_size) == (32, 16)
    assert "read with image_size 16" in other.marks
    assert other.sha256 == system.sha256
    assert other.description == system.description


def test_one_pass_takes_both_halves_as_one_clip():
    *_, other, shown = _sized(_task("passes=1", "image_size=16"))
    assert (shown.spec.frames, shown.spec.image_size) == (32, 16)
    assert {"read with frames 32", "read with image_size 16"} <= set(other.marks)
    assert other.description["frames"] == "8"


def test_what_has_the_size_or_is_asked_nothing_stays_as_it_is():
    for task in (_task(), _task("image_size=32"), load.task("linear/ucf101", data="miniature")):
        system, encoder, other, shown = _sized(task)
        assert other is system
        assert shown is encoder


def test_the_command_line_goes_first():
    system, _, other, shown = _sized(_task("image_size=16"), Reading(image_size=24))
    assert other is system
    assert shown.spec.image_size == 24


def test_a_module_of_ones_own_stays_as_it_is():
    system, encoder, other, shown = _sized(_task("image_size=16"), name="sigma_bench.models.vit:VideoViT")
    assert other is system
    assert shown is encoder


def test_a_policy_that_cannot_be_followed_is_refused():
    with pytest.raises(UserError, match="without weights or a position table"):
        _sized(_task("image_size=16", "positions=interpolate"))
