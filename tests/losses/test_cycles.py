"""The loss of cycle lengths: against torch's own, where some are ignored, and in parts."""

import pytest
import torch
import torch.nn.functional as F

from sigma_bench.losses.cycles import BOX_WEIGHT, side_loss


def _case(seed=0, rows=6, anchors=7):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, 2, anchors, generator=rng, requires_grad=True)
    boxes = (2 * torch.randn(rows, anchors, generator=rng)).requires_grad_()
    fits = torch.randint(-1, 2, (rows, anchors), generator=rng)
    factors = torch.where(fits == 1, 0.5 * torch.randn(rows, anchors, generator=rng), -1.0)
    return logits, boxes, fits, factors


def test_it_is_torchs_mean_over_what_is_not_ignored_and_over_all_boxes():
    logits, boxes, fits, factors = _case()
    fit, box = side_loss(logits, boxes, fits, factors)
    wanted = torch.where(fits == 1, factors, boxes.detach())
    assert torch.allclose(fit, F.cross_entropy(logits, fits, ignore_index=-1))
    assert torch.allclose(box, 50 * F.smooth_l1_loss(boxes, wanted))


def test_ignored_anchors_have_no_gradient():
    logits, boxes, fits, factors = _case(1)
    fit, box = side_loss(logits, boxes, fits, factors)
    (fit + box).backward()
    assert ((logits.grad != 0).any(1) == (fits != -1)).all()
    assert ((boxes.grad != 0) == (fits == 1)).all()


def test_a_large_error_of_a_box_has_a_bounded_gradient():
    boxes = torch.tensor([[5.0, 0.1]], requires_grad=True)
    _, box = side_loss(torch.zeros(1, 2, 2), boxes, torch.ones(1, 2, dtype=torch.int64), torch.zeros(1, 2))
    box.backward()
    assert boxes.grad.tolist() == [[BOX_WEIGHT / 2, pytest.approx(0.1 * BOX_WEIGHT / 2)]]


def test_where_all_are_ignored_the_loss_is_0_not_nan():
    logits, boxes, fits, factors = _case(2)
    fit, box = side_loss(logits, boxes, torch.full_like(fits, -1), torch.full_like(factors, -1))
    assert (fit.item(), box.item()) == (0, 0)
    (fit + box).backward()
    assert (logits.grad == 0).all()


def test_parts_with_the_totals_add_up_to_the_whole():
    logits, boxes, fits, factors = _case(3, rows=9)
    whole = side_loss(logits, boxes, fits, factors)
    known = float((fits != -1).sum())
    parts = [
        side_loss(logits[rows], boxes[rows], fits[rows], factors[rows], known, 9.0)
        for rows in (slice(0, 2), slice(2, 9), slice(9, 9))
    ]
    for one, several in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.allclose(one, sum(several))


def test_it_is_computed_in_float32():
    logits, boxes, fits, factors = _case(4)
    fit, box = side_loss(logits.bfloat16(), boxes.bfloat16(), fits, factors)
    assert fit.dtype == box.dtype == torch.float32
